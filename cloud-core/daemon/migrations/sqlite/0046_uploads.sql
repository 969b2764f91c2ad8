-- Files that devices send, piece by piece.
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES device (id),
    -- Whose the device was then: its next owner does not see it.
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT,
    site_id TEXT,
    -- What asked for it.
    command_id TEXT,
    name TEXT NOT NULL,
    length BIGINT NOT NULL,
    received BIGINT NOT NULL,
    -- As the device has announced it.
    sha256 BLOB NOT NULL,
    -- The whole; nothing while pieces are missing.
    blob_id TEXT REFERENCES blob (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    finished BIGINT,
    -- When it is given up, or forgotten.
    expires BIGINT NOT NULL
);
-- A ticket is good for one file.
CREATE UNIQUE INDEX upload_of_command ON upload (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX upload_of_device ON upload (device_id, id);
CREATE INDEX upload_of_company ON upload (company_id, id);
CREATE INDEX upload_open ON upload (expires) WHERE blob_id IS NULL;
CREATE INDEX upload_whole ON upload (blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE upload_part (
    upload_id TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    -- Of its first octet.
    place BIGINT NOT NULL,
    blob_id TEXT NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
    size BIGINT NOT NULL,
    PRIMARY KEY (upload_id, place)
);
CREATE UNIQUE INDEX upload_part_blob ON upload_part (blob_id);
