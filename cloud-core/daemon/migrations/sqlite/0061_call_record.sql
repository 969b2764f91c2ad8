-- One row for each leg of a call that ever started. No keys of others: a record stays when whom it
-- names has gone.
CREATE TABLE call_record (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT,
    site_id TEXT,
    call_id TEXT NOT NULL,
    leg_id TEXT NOT NULL,
    talked_with TEXT,
    role TEXT NOT NULL,
    -- Who it was, whom it called, and what was called before the last step; JSON.
    party TEXT NOT NULL,
    user_id TEXT,
    dialled TEXT,
    by_way_of TEXT,
    priority BIGINT NOT NULL,
    started BIGINT NOT NULL,
    answered BIGINT,
    ended BIGINT NOT NULL,
    rang_ms BIGINT NOT NULL,
    talked_ms BIGINT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    audio TEXT
);
CREATE INDEX call_record_of_call ON call_record (call_id);
CREATE INDEX call_record_of_company ON call_record (company_id, started, id);
CREATE INDEX call_record_of_project ON call_record (project_id);
CREATE INDEX call_record_of_user ON call_record (user_id);
CREATE INDEX call_record_ended ON call_record (ended);
