-- What became of a letter, and when it is tried next.
ALTER TABLE letter ADD COLUMN state TEXT NOT NULL DEFAULT 'waiting';
ALTER TABLE letter ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE letter ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
-- Why it has not left, in the words of the mail server.
ALTER TABLE letter ADD COLUMN reason TEXT;
ALTER TABLE letter ADD COLUMN ended BIGINT;
CREATE INDEX letter_due ON letter (due) WHERE state = 'waiting';
CREATE INDEX letter_of_company ON letter (company_id, id);
CREATE INDEX letter_to ON letter (recipient, created);
