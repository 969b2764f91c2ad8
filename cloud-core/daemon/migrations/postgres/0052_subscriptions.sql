-- What companies have ordered, as whoever runs the core has written it down.
CREATE TABLE subscription (
    id TEXT PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES company (id),
    sku TEXT NOT NULL,
    amount BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    -- Of the order, for the books.
    reference TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX subscription_of_company ON subscription (company_id, id);
CREATE INDEX subscription_end ON subscription (valid_until);
