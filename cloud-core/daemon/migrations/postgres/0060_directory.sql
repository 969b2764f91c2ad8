-- Who is called by which number of a company. Numbers of groups and of people are one row of
-- numbers: whoever changes them holds the row of the company's directory.
CREATE TABLE call_directory (
    company_id TEXT PRIMARY KEY REFERENCES company (id),
    revision BIGINT NOT NULL
);

-- Several that ring at once.
CREATE TABLE ring_group (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT REFERENCES project (id),
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    members TEXT NOT NULL,
    ring_s BIGINT NOT NULL,
    early_media BIGINT NOT NULL,
    -- Where the call goes on to; JSON, or nothing.
    onward TEXT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX ring_group_number ON ring_group (company_id, number);
CREATE INDEX ring_group_of_project ON ring_group (project_id);

-- The number of a person, and where her calls go when.
CREATE TABLE call_number (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    number TEXT NOT NULL,
    -- The site in whose zone the rules are read; without it, the company's zone.
    site_id TEXT REFERENCES site (id) ON DELETE SET NULL,
    forwarding TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX call_number_number ON call_number (company_id, number);
CREATE UNIQUE INDEX call_number_user ON call_number (company_id, user_id);
CREATE INDEX call_number_of_user ON call_number (user_id);
CREATE INDEX call_number_at_site ON call_number (site_id);
