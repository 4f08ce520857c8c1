-- As sqlite/0007. A column that is there already, of an attempt that broke off, stays: MySQL
-- has no ADD COLUMN IF NOT EXISTS.
SET @there = (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'requests' AND column_name = 'tries');
SET @change = IF(@there = 0, 'ALTER TABLE requests ADD COLUMN tries TEXT', 'DO 0');
PREPARE change_requests FROM @change;
EXECUTE change_requests;
DEALLOCATE PREPARE change_requests;
