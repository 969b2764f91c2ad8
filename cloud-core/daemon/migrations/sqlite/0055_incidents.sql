-- What operators tell about troubles of the service: for everybody to read, of no company.
CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    -- `degraded`, `down` or `maintenance`.
    state TEXT NOT NULL,
    -- Which parts, as a JSON list of their words.
    parts TEXT NOT NULL,
    opened BIGINT NOT NULL,
    closed BIGINT
);
CREATE INDEX incident_age ON incident (opened);

CREATE TABLE incident_note (
    incident_id TEXT NOT NULL REFERENCES incident (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (incident_id, seq)
);
