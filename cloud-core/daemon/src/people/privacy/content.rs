//! All that is known of a person, as JSON.
//!
//! A list of sections, each a table and the columns of it that are about her. Secrets are none of
//! them: hashes of passwords and tokens tell her nothing, and would open her account to whoever finds
//! the file.

use cloud_logic::ids::{CompanyId, UserId};
use jiff::Timestamp as Moment;
use serde_json::{Map, Value, json};

use super::super::users::{Account, mail_key};
use crate::store::{Query, Row, StoreError, Tx, query};

/// Entries of the audit log, newest first; more are not put into one document.
const MOST_ENTRIES: u32 = 100_000;
/// Rows of every other section.
const MOST_ROWS: u32 = 10_000;
/// Read at once.
const PORTION: u32 = 1000;

#[derive(Clone, Copy, Debug)]
enum Holds {
    Text,
    Moment,
    Flag,
    Json,
}

/// By what rows are hers.
#[derive(Clone, Copy, Debug)]
enum Hers {
    Id,
    /// The mail address, as it is compared.
    Mail,
}

struct Section {
    name: &'static str,
    /// Up to the value by which a row is hers.
    from: &'static str,
    hers: Hers,
    /// Where rows say which company they are of.
    company: Option<&'static str>,
    order: &'static str,
    columns: &'static [(&'static str, Holds)],
}

const SECTIONS: &[Section] = &[
    Section {
        name: "account",
        from: "SELECT * FROM user_account WHERE id = ",
        hers: Hers::Id,
        company: None,
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("company_id", Holds::Text),
            ("mail", Holds::Text),
            ("name", Holds::Text),
            ("language", Holds::Text),
            ("blocked", Holds::Flag),
            ("created", Holds::Moment),
        ],
    },
    Section {
        name: "grants",
        from: "SELECT * FROM grant_ WHERE holder = ",
        hers: Hers::Id,
        company: Some("company_id"),
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("company_id", Holds::Text),
            ("project_id", Holds::Text),
            ("site_id", Holds::Text),
            ("role", Holds::Text),
            ("valid_from", Holds::Moment),
            ("valid_until", Holds::Moment),
            ("reason", Holds::Text),
            ("granted_by", Holds::Text),
            ("created", Holds::Moment),
        ],
    },
    Section {
        name: "sessions",
        from: "SELECT * FROM session WHERE user_id = ",
        hers: Hers::Id,
        company: None,
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("created", Holds::Moment),
            ("last_seen", Holds::Moment),
            ("ends", Holds::Moment),
            ("address", Holds::Text),
            ("agent", Holds::Text),
        ],
    },
    Section {
        name: "passkeys",
        from: "SELECT * FROM passkey WHERE user_id = ",
        hers: Hers::Id,
        company: None,
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("name", Holds::Text),
            ("created", Holds::Moment),
            ("last_used", Holds::Moment),
        ],
    },
    Section {
        name: "labels",
        from: "SELECT * FROM label WHERE user_id = ",
        hers: Hers::Id,
        company: None,
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("name", Holds::Text),
            ("colour", Holds::Text),
        ],
    },
    Section {
        name: "letters",
        from: "SELECT * FROM letter WHERE lower(recipient) = ",
        hers: Hers::Mail,
        company: Some("company_id"),
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("company_id", Holds::Text),
            ("kind", Holds::Text),
            ("recipient", Holds::Text),
            ("language", Holds::Text),
            ("words", Holds::Json),
            ("created", Holds::Moment),
        ],
    },
    Section {
        name: "invitations",
        from: "SELECT * FROM invitation WHERE mail_key = ",
        hers: Hers::Mail,
        company: Some("company_id"),
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("company_id", Holds::Text),
            ("mail", Holds::Text),
            ("role", Holds::Text),
            ("reason", Holds::Text),
            ("created", Holds::Moment),
            ("expires", Holds::Moment),
        ],
    },
    Section {
        name: "call_numbers",
        from: "SELECT * FROM call_number WHERE user_id = ",
        hers: Hers::Id,
        company: Some("company_id"),
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("company_id", Holds::Text),
            ("number", Holds::Text),
            ("site_id", Holds::Text),
            ("forwarding", Holds::Json),
        ],
    },
    Section {
        name: "calls",
        from: "SELECT * FROM call_record WHERE user_id = ",
        hers: Hers::Id,
        company: Some("company_id"),
        order: "started",
        columns: &[
            ("call_id", Holds::Text),
            ("company_id", Holds::Text),
            ("role", Holds::Text),
            ("party", Holds::Json),
            ("dialled", Holds::Json),
            ("by_way_of", Holds::Json),
            ("started", Holds::Moment),
            ("answered", Holds::Moment),
            ("ended", Holds::Moment),
            ("status", Holds::Text),
        ],
    },
    Section {
        name: "commands",
        from: "SELECT * FROM command WHERE ordered_by = ",
        hers: Hers::Id,
        company: Some("company_id"),
        order: "id",
        columns: &[
            ("id", Holds::Text),
            ("device_id", Holds::Text),
            ("op", Holds::Text),
            ("issued", Holds::Moment),
            ("state", Holds::Text),
        ],
    },
];

const AUDIT: &[(&str, Holds)] = &[
    ("company_id", Holds::Text),
    ("at", Holds::Moment),
    ("address", Holds::Text),
    ("session", Holds::Text),
    ("action", Holds::Text),
    ("object_kind", Holds::Text),
    ("object_id", Holds::Text),
    ("before", Holds::Json),
    ("after", Holds::Json),
];

/// What is known of her: to one company, or at all.
pub(super) async fn of(
    tx: &mut Tx,
    account: &Account,
    company: Option<CompanyId>,
) -> Result<Value, StoreError> {
    let mut document = Map::new();
    for section in SECTIONS {
        let mut rows = Vec::new();
        for row in tx.all(section.asked(account, company)).await? {
            rows.push(object(&row, section.columns)?);
        }
        document.insert(section.name.to_owned(), Value::Array(rows));
    }
    document.insert("audit".to_owned(), audit(tx, account.id, company).await?);
    Ok(Value::Object(document))
}

impl Section {
    fn asked(&self, account: &Account, company: Option<CompanyId>) -> Query {
        let asked = match self.hers {
            Hers::Id => query(self.from).value(account.id),
            Hers::Mail => query(self.from).value(mail_key(&account.mail)),
        };
        let asked = match (company, self.company) {
            (Some(company), Some(column)) => {
                asked.text(" AND ").text(column).text(" = ").value(company)
            }
            (Some(_) | None, Some(_) | None) => asked,
        };
        let asked = asked.text(" ORDER BY ").text(self.order);
        asked.text(" LIMIT ").value(MOST_ROWS)
    }
}

/// What she did, newest first.
async fn audit(tx: &mut Tx, user: UserId, company: Option<CompanyId>) -> Result<Value, StoreError> {
    let mut companies = Vec::new();
    match company {
        Some(company) => companies.push(company.to_string()),
        None => {
            let asked = query("SELECT DISTINCT company_id FROM audit WHERE actor = $1").bind(user);
            for row in tx.all(asked).await? {
                companies.push(row.text("company_id")?);
            }
        }
    }
    let mut entries = Vec::new();
    for company in companies {
        let mut before = i64::MAX;
        while entries.len() < MOST_ENTRIES as usize {
            let asked = query(
                "SELECT * FROM audit WHERE actor = $1 AND company_id = $2 AND seq < $3
                 ORDER BY seq DESC LIMIT $4",
            );
            let asked = asked.bind(user).bind(&company).bind(before).bind(PORTION);
            let rows = tx.all(asked).await?;
            let Some(last) = rows.last() else { break };
            before = last.int("seq")?;
            for row in &rows {
                entries.push(object(row, AUDIT)?);
            }
        }
    }
    Ok(Value::Array(entries))
}

fn object(row: &Row, columns: &[(&str, Holds)]) -> Result<Value, StoreError> {
    let mut object = Map::new();
    for (column, holds) in columns {
        let value = match holds {
            Holds::Text => Value::from(row.maybe_text(column)?),
            Holds::Flag => Value::from(row.flag(column)?),
            Holds::Moment => match row.maybe_int(column)?.map(Moment::from_millisecond) {
                Some(Ok(moment)) => Value::from(moment.to_string()),
                Some(Err(_)) | None => Value::Null,
            },
            Holds::Json => {
                let text = row.maybe_text(column)?.unwrap_or_default();
                serde_json::from_str(&text).unwrap_or(Value::Null)
            }
        };
        object.insert((*column).to_owned(), value);
    }
    Ok(json!(object))
}
