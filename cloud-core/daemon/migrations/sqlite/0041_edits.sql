-- One change of settings for many devices: what it would do, and what it did.
CREATE TABLE edit (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    made_by TEXT NOT NULL,
    -- Which devices: a list of ids, a filter, or those of an edit that is undone.
    selection TEXT NOT NULL,
    -- Nothing in it where each device has its own.
    patch TEXT NOT NULL,
    -- Of what was shown: the devices, their revisions, what would become of each.
    hash TEXT NOT NULL,
    -- preview, running, done
    state TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- Until when a preview may be carried out.
    expires BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    -- Of nodes that work on it, one after the other.
    turns BIGINT NOT NULL
);
CREATE INDEX edit_of_company ON edit (company_id, id);
CREATE INDEX edit_running ON edit (id) WHERE state = 'running';
CREATE INDEX edit_expires ON edit (expires) WHERE state = 'preview';
CREATE INDEX edit_ended ON edit (ended) WHERE state = 'done';

CREATE TABLE edit_device (
    edit_id TEXT NOT NULL REFERENCES edit (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL REFERENCES device (id),
    -- The one it was judged at.
    revision BIGINT NOT NULL,
    -- waiting, same, refused, changed, skipped
    outcome TEXT NOT NULL,
    code TEXT,
    detail TEXT,
    -- Where each device has its own.
    patch TEXT,
    -- What leads back, and the revision that the change made.
    back TEXT,
    new_revision BIGINT,
    PRIMARY KEY (edit_id, device_id)
);
CREATE INDEX edit_device_outcome ON edit_device (edit_id, outcome, device_id);
