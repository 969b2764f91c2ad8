-- What was done last to the installation as a whole, and when: backups.
CREATE TABLE milestone (
    name TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    detail TEXT NOT NULL
);
