-- What is kept beside the store: one row for each, and the tasks that one node at a time does.
CREATE TABLE blob (
    id TEXT PRIMARY KEY,
    -- Whose room it takes.
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT REFERENCES project (id),
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    -- here, or leaving: its octets are on their way out.
    state TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT
);
CREATE INDEX blob_of_company ON blob (company_id, size);
CREATE INDEX blob_of_project ON blob (project_id) WHERE project_id IS NOT NULL;
CREATE INDEX blob_leaving ON blob (id) WHERE state = 'leaving';
CREATE INDEX blob_end ON blob (expires) WHERE expires IS NOT NULL;

-- A task that one node at a time does, and until when it is its.
CREATE TABLE lease (
    task TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
