-- People, how they show who they are, and what they may do where.

-- A person. The company whose name stands here made the account and looks after it; what the
-- person may do, there and elsewhere, stands in grants alone.
CREATE TABLE user_account (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    mail TEXT NOT NULL,
    mail_key TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    -- PHC string of argon2id; none until the first is chosen.
    password TEXT,
    blocked BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX user_account_mail ON user_account (mail_key);
CREATE INDEX user_account_of_company ON user_account (company_id, id);

-- Signed in somewhere. Only the hash of the token is kept.
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    token_hash BYTEA NOT NULL,
    created BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    -- When a password or passkey was last shown.
    proved BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    address TEXT,
    agent TEXT
);
CREATE UNIQUE INDEX session_token ON session (token_hash);
CREATE INDEX session_of_user ON session (user_id);
CREATE INDEX session_end ON session (ends);

-- A program of a company that uses the interface.
CREATE TABLE integration (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX integration_name ON integration (company_id, name_key);

-- Who may do what, where, from when, until when. The holder is a user or an integration.
CREATE TABLE grant_ (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT REFERENCES project (id),
    site_id TEXT REFERENCES site (id),
    holder TEXT NOT NULL,
    role TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT,
    withheld BIGINT NOT NULL,
    reason TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX grant_of_holder ON grant_ (holder);
CREATE INDEX grant_of_company ON grant_ (company_id, id);

-- Letters with a link by which somebody joins, or chooses a new password.
CREATE TABLE invitation (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    project_id TEXT REFERENCES project (id),
    site_id TEXT REFERENCES site (id),
    mail TEXT NOT NULL,
    mail_key TEXT NOT NULL,
    language TEXT NOT NULL,
    role TEXT NOT NULL,
    valid_until BIGINT,
    withheld BIGINT NOT NULL,
    reason TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    invited_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX invitation_token ON invitation (token_hash);
CREATE INDEX invitation_of_company ON invitation (company_id, id);

CREATE TABLE password_reset (
    token_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX password_reset_of_user ON password_reset (user_id);

CREATE TABLE passkey (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credential_id BYTEA NOT NULL,
    credential TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT
);
CREATE UNIQUE INDEX passkey_credential ON passkey (credential_id);
CREATE INDEX passkey_of_user ON passkey (user_id);

-- A registration or a proof that is under way.
CREATE TABLE passkey_ceremony (
    id TEXT PRIMARY KEY,
    user_id TEXT REFERENCES user_account (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX passkey_ceremony_end ON passkey_ceremony (expires);

-- Keys that sign tokens: sealed, with their public half.
CREATE TABLE token_key (
    id TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL,
    x TEXT NOT NULL,
    y TEXT NOT NULL,
    signs_from BIGINT NOT NULL,
    signs_until BIGINT NOT NULL,
    shown_until BIGINT NOT NULL
);

-- Letters that wait for the mail server. The link in them opens an account: it is sealed, and
-- gone when the letter is.
CREATE TABLE letter (
    id TEXT PRIMARY KEY,
    company_id TEXT REFERENCES company (id),
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    language TEXT NOT NULL,
    words TEXT NOT NULL,
    sealed_link BYTEA,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX letter_age ON letter (created);
