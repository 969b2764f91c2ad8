-- What people are told without having asked. No key of others: what it tells of may go before it.
CREATE TABLE notice (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT,
    site_id TEXT,
    kind TEXT NOT NULL,
    -- What it is about: a device, a site, a letter.
    subject TEXT NOT NULL,
    words TEXT NOT NULL,
    opened BIGINT NOT NULL,
    closed BIGINT,
    how TEXT,
    acknowledged BIGINT,
    acknowledged_by TEXT
);
-- Of two who would tell the same at the same instant one fails here.
CREATE UNIQUE INDEX notice_open ON notice (kind, subject) WHERE closed IS NULL;
CREATE INDEX notice_of_company ON notice (company_id, id);
CREATE INDEX notice_open_of_company ON notice (company_id, id) WHERE closed IS NULL;
CREATE INDEX notice_open_of_site ON notice (site_id) WHERE closed IS NULL;
CREATE INDEX notice_about ON notice (subject);
CREATE INDEX notice_closed ON notice (closed) WHERE closed IS NOT NULL;

-- What is kept of a device between two looks at its site.
CREATE TABLE watched (
    device_id TEXT PRIMARY KEY,
    site_id TEXT NOT NULL,
    online BIGINT NOT NULL,
    since BIGINT NOT NULL,
    losses TEXT NOT NULL,
    down BIGINT NOT NULL,
    unsteady BIGINT NOT NULL
);
CREATE INDEX watched_at_site ON watched (site_id);

-- When to look at a site next.
CREATE TABLE site_watch (
    site_id TEXT PRIMARY KEY,
    due BIGINT NOT NULL
);
CREATE INDEX site_watch_due ON site_watch (due);

-- What a company finds worth telling; where there is no row, what most do.
CREATE TABLE notice_rule (
    company_id TEXT PRIMARY KEY REFERENCES company (id),
    offline_after_s BIGINT NOT NULL,
    site_share BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- What somebody wants by mail; where there is no row, what her role suggests.
CREATE TABLE notice_choice (
    user_id TEXT PRIMARY KEY REFERENCES user_account (id) ON DELETE CASCADE,
    by_mail BIGINT NOT NULL,
    -- All kinds where it is empty, all places where it is empty.
    kinds TEXT NOT NULL,
    places TEXT NOT NULL,
    version BIGINT NOT NULL
);
