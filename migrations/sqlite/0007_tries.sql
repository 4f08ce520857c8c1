-- Each call that was made for a request, as JSON; NULL for one whose only call went well, straight
-- and at once.
ALTER TABLE requests ADD COLUMN tries TEXT;
