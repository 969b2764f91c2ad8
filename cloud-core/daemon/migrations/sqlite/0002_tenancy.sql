-- What a company writes beside its projects and sites, and how users mark what they see.
CREATE TABLE metadata_key (
    company_id TEXT NOT NULL REFERENCES company (id),
    key TEXT NOT NULL,
    title TEXT NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (company_id, key)
);

CREATE TABLE label (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    colour TEXT NOT NULL
);
CREATE UNIQUE INDEX label_name ON label (user_id, name_key);

CREATE TABLE labelled (
    label_id TEXT NOT NULL REFERENCES label (id) ON DELETE CASCADE,
    object_id TEXT NOT NULL,
    PRIMARY KEY (label_id, object_id)
);
CREATE INDEX labelled_object ON labelled (object_id);
