-- A ceremony under way is sealed and handed to the browser; what is kept is which ones are over, so
-- that none is finished twice.
DROP TABLE passkey_ceremony;
CREATE TABLE passkey_ceremony_over (
    id TEXT PRIMARY KEY,
    expires BIGINT NOT NULL
);
CREATE INDEX passkey_ceremony_over_end ON passkey_ceremony_over (expires);

ALTER TABLE passkey ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
