-- Makers whose factory certificates show a device at its enrolment.
CREATE TABLE maker (
    certificate_hash BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    certificate BLOB NOT NULL,
    created BIGINT NOT NULL
);

-- Hardware, and software gateways, that can be claimed.
CREATE TABLE unit (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    revision TEXT,
    -- As on the type plate.
    serial_number TEXT NOT NULL,
    -- HMAC of its claim code.
    code_mac BLOB NOT NULL,
    -- SHA-256 of the public key it was born with, if it was.
    factory_key BLOB,
    -- Of its last claim; 0 before the first.
    epoch BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX unit_code ON unit (code_mac);
CREATE UNIQUE INDEX unit_serial_number ON unit (model, serial_number);
CREATE UNIQUE INDEX unit_factory_key ON unit (factory_key);

CREATE TABLE claim (
    device_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    unit_id TEXT NOT NULL REFERENCES unit (id),
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    site_id TEXT NOT NULL REFERENCES site (id),
    mode TEXT NOT NULL,
    claimed_by TEXT NOT NULL,
    -- What a device without a factory key shows that it knows its code by; the key is sealed and
    -- forgotten once the code is burnt.
    handle TEXT NOT NULL,
    proof_key BLOB,
    bound BIGINT NOT NULL,
    enrolled BIGINT,
    ended BIGINT,
    end_reason TEXT,
    PRIMARY KEY (device_id, epoch)
);
-- Of two claims of one unit at the same instant one fails here.
CREATE UNIQUE INDEX claim_of_unit ON claim (unit_id) WHERE ended IS NULL;
CREATE UNIQUE INDEX claim_of_device ON claim (device_id) WHERE ended IS NULL;
CREATE UNIQUE INDEX claim_handle ON claim (handle) WHERE ended IS NULL;
CREATE INDEX claim_of_site ON claim (site_id);
CREATE INDEX claim_of_company ON claim (company_id, device_id);
CREATE INDEX claim_to_forget ON claim (enrolled) WHERE proof_key IS NOT NULL;

-- Wrong codes, for the limits; a day old at most.
CREATE TABLE claim_attempt (
    user_id TEXT NOT NULL,
    company_id TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX claim_attempt_user ON claim_attempt (user_id, at);
CREATE INDEX claim_attempt_company ON claim_attempt (company_id, at);
-- Makes those who try at the same instant go one after the other.
CREATE TABLE claim_turn (
    who TEXT PRIMARY KEY,
    turns BIGINT NOT NULL
);
