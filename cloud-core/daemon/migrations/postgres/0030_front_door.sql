-- What is claimed or known: whose it is. Nobody's where it waits for its claim.
CREATE TABLE device (
    id TEXT PRIMARY KEY,
    company_id TEXT REFERENCES company (id),
    project_id TEXT REFERENCES project (id),
    site_id TEXT REFERENCES site (id),
    version BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX device_of_company ON device (company_id, id);

-- The processes of the core that may hold devices.
CREATE TABLE node (
    id TEXT PRIMARY KEY,
    started BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

-- The last connection of each device, and its session.
CREATE TABLE connection (
    device_id TEXT PRIMARY KEY REFERENCES device (id),
    -- Who holds the socket; nobody when it ended.
    node_id TEXT,
    -- Counts connections: an end that comes late ends nothing.
    epoch BIGINT NOT NULL,
    online BIGINT NOT NULL,
    online_since BIGINT NOT NULL,
    opened BIGINT NOT NULL,
    protocol BIGINT NOT NULL,
    boot BIGINT,
    conn BIGINT,
    firmware TEXT,
    revision TEXT,
    mode TEXT,
    subscribed BIGINT NOT NULL,
    session_ms BIGINT NOT NULL,
    -- When the session is worth nothing any more; nothing while connected.
    session_until BIGINT
);
CREATE INDEX connection_of_node ON connection (node_id);

-- How far each ordered stream of a device is stored.
CREATE TABLE link_stream (
    device_id TEXT NOT NULL REFERENCES device (id),
    stream TEXT NOT NULL,
    boot BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (device_id, stream)
);

CREATE TABLE device_event (
    device_id TEXT NOT NULL REFERENCES device (id),
    boot BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    company_id TEXT,
    project_id TEXT,
    site_id TEXT,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    received BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX device_event_of_device ON device_event (device_id, received);
CREATE INDEX device_event_age ON device_event (expires);
CREATE INDEX device_event_of_company ON device_event (company_id, received);

-- What a device is to be set to, and what it says it is.
CREATE TABLE twin (
    device_id TEXT PRIMARY KEY REFERENCES device (id),
    desired TEXT NOT NULL,
    desired_rev BIGINT NOT NULL,
    reported TEXT NOT NULL,
    reported_at BIGINT,
    applied_rev BIGINT NOT NULL,
    applied_errors TEXT NOT NULL
);

CREATE TABLE command (
    id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES device (id),
    company_id TEXT,
    project_id TEXT,
    site_id TEXT,
    op TEXT NOT NULL,
    args TEXT NOT NULL,
    repeat TEXT NOT NULL,
    ordered_by TEXT NOT NULL,
    issued BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    state TEXT NOT NULL,
    -- When it is over, if nothing else happens; nothing when it is.
    due BIGINT,
    -- The connection it left on.
    epoch BIGINT,
    sent BIGINT,
    acknowledged BIGINT,
    ended BIGINT,
    code TEXT,
    detail TEXT
);
CREATE INDEX command_of_device ON command (device_id, id);
CREATE INDEX command_queued ON command (id) WHERE state = 'queued';
CREATE INDEX command_under_way ON command (device_id) WHERE state = 'sent';
CREATE INDEX command_due ON command (due) WHERE due IS NOT NULL;
