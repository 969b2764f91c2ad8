-- What every other table stands on: who owns what, what changed, and the log of who did it.
CREATE TABLE company (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    call_data_days BIGINT NOT NULL,
    logo TEXT,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE project (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX project_name ON project (company_id, name_key);

CREATE TABLE folder (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    parent_id TEXT REFERENCES folder (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX folder_of_project ON folder (project_id);

CREATE TABLE site (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    folder_id TEXT REFERENCES folder (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    address TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX site_name ON site (project_id, name_key);
CREATE INDEX site_of_company ON site (company_id, id);

-- The cursor table: what changed, in the order of its commit.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    company_id TEXT,
    project_id TEXT,
    site_id TEXT,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    what TEXT NOT NULL
);
CREATE INDEX change_age ON change (at);

CREATE TABLE audit (
    company_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    session TEXT,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before TEXT,
    after TEXT,
    hash BLOB NOT NULL,
    PRIMARY KEY (company_id, seq)
);

-- The end of each company's chain.
CREATE TABLE audit_head (
    company_id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash BLOB NOT NULL
);

-- Answers of requests that must not act twice.
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    status BIGINT,
    body TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_age ON idempotency (created);
