-- The core's certificate authority, what it has issued and what of it is void.
CREATE TABLE authority (
    id TEXT PRIMARY KEY,
    -- root, devices, servers
    kind TEXT NOT NULL,
    -- issuing, trusted, retired
    state TEXT NOT NULL,
    certificate BLOB NOT NULL,
    -- Sealed; nothing where the key is kept elsewhere.
    key BLOB,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
CREATE UNIQUE INDEX authority_issuing ON authority (kind) WHERE state = 'issuing';

-- Lists of void certificates, each with the part of the certificates that point to it.
CREATE TABLE crl (
    authority_id TEXT NOT NULL REFERENCES authority (id),
    shard BIGINT NOT NULL,
    -- Months since the year 0, of its certificates.
    month BIGINT NOT NULL,
    issued BIGINT NOT NULL,
    -- When the last of its certificates ends.
    last_end BIGINT NOT NULL,
    number BIGINT NOT NULL,
    list BLOB NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    PRIMARY KEY (authority_id, shard)
);

CREATE TABLE certificate (
    serial TEXT PRIMARY KEY,
    authority_id TEXT NOT NULL REFERENCES authority (id),
    shard BIGINT NOT NULL,
    device_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    -- SHA-256 of the public key: no key is certified twice.
    key_hash BLOB NOT NULL,
    certificate BLOB NOT NULL,
    issued BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked BIGINT,
    reason TEXT
);
CREATE UNIQUE INDEX certificate_key ON certificate (key_hash);
CREATE INDEX certificate_device ON certificate (device_id);
CREATE INDEX certificate_revoked ON certificate (authority_id, shard) WHERE revoked IS NOT NULL;
CREATE INDEX certificate_end ON certificate (not_after);

-- Secrets of the whole installation, sealed.
CREATE TABLE installation_secret (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);
