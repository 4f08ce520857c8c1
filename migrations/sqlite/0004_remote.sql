-- What the remote was called that a request went through; NULL for one that a key from here
-- answered.
ALTER TABLE requests ADD COLUMN remote TEXT;
