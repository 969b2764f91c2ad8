-- What a person is given of her data, and that she was forgotten.

-- The chain of the audit log covers the mark of an address (SHA-256 of salt and address) and not the
-- address: that can be taken out, and the chain holds.
ALTER TABLE audit ADD COLUMN address_salt BLOB;
ALTER TABLE audit ADD COLUMN address_mark BLOB;
CREATE INDEX audit_of_actor ON audit (actor, company_id, seq);

CREATE TABLE export (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    -- Whose data.
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    asked_by TEXT NOT NULL,
    -- 1: only what this company may know of her.
    of_company BIGINT NOT NULL,
    blob_id TEXT REFERENCES blob (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    finished BIGINT,
    expires BIGINT
);
CREATE INDEX export_asked_by ON export (asked_by, id);
CREATE INDEX export_of_user ON export (user_id);
CREATE INDEX export_waiting ON export (id) WHERE blob_id IS NULL;
CREATE INDEX export_blob ON export (blob_id) WHERE blob_id IS NOT NULL;

-- Ids of people who were forgotten: a backup from before must not bring them back.
CREATE TABLE erased (
    user_id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
