-- What retention looks for, so that it never reads a whole table.
CREATE INDEX invitation_end ON invitation (expires);
CREATE INDEX password_reset_end ON password_reset (expires);
CREATE INDEX letter_end ON letter (expires);
CREATE INDEX command_ended ON command (ended) WHERE ended IS NOT NULL;
CREATE INDEX claim_attempt_age ON claim_attempt (at);
