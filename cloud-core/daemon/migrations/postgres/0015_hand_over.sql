-- Offers to give a project to another company, or a company to another owner.
CREATE TABLE hand_over (
    id TEXT PRIMARY KEY,
    -- Who gives.
    company_id TEXT NOT NULL REFERENCES company (id),
    -- Nothing where the company itself is given. It may be gone by now.
    project_id TEXT,
    mail TEXT NOT NULL,
    mail_key TEXT NOT NULL,
    offered_by TEXT NOT NULL,
    state TEXT NOT NULL,
    into_company_id TEXT REFERENCES company (id),
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended BIGINT
);
CREATE UNIQUE INDEX hand_over_open ON hand_over (company_id, coalesce(project_id, ''))
    WHERE state = 'offered';
CREATE INDEX hand_over_to ON hand_over (mail_key) WHERE state = 'offered';
CREATE INDEX hand_over_of_company ON hand_over (company_id, id);
