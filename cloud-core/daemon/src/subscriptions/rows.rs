//! The table of subscriptions, and the counting of what is used.

use cloud_logic::catalogue::Mode;
use cloud_logic::ids::{CompanyId, DeviceId, SubscriptionId};
use cloud_logic::subscriptions::{ENDS_SOON, GRACE, Sku, Subscription};
use model::Timestamp;
use serde_json::json;

use crate::core::NewId;
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

/// So many a company has at most.
const MOST: i64 = 500;

/// A subscription with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) id: SubscriptionId,
    pub(crate) company: CompanyId,
    pub(crate) subscription: Subscription,
    pub(crate) reference: String,
}

/// Why an order is not written down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no such company; `admin subscriptions list` names them by their ids")]
    NoCompany,
    #[error("there is no such subscription; `admin subscriptions list` shows all")]
    NoSubscription,
    #[error("a subscription ends after it begins: give a later --until")]
    Period,
    #[error("a company has at most {MOST} subscriptions: end some")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn order(row: &Row) -> Result<Order, StoreError> {
    Ok(Order {
        id: row.parsed("id")?,
        company: row.parsed("company_id")?,
        subscription: Subscription {
            sku: row.parsed("sku")?,
            amount: u32::try_from(row.int("amount")?).unwrap_or(u32::MAX),
            from: row.time("valid_from")?,
            until: row.time("valid_until")?,
        },
        reference: row.text("reference")?,
    })
}

pub(super) async fn of_company(tx: &mut Tx, company: CompanyId) -> Result<Vec<Order>, StoreError> {
    let asked = query("SELECT * FROM subscription WHERE company_id = $1 ORDER BY id");
    tx.all(asked.bind(company))
        .await?
        .iter()
        .map(order)
        .collect()
}

/// Of all companies, with their names.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<(String, CompanyId, Vec<Order>)>, StoreError> {
    let companies = tx
        .all(query("SELECT id, name FROM company ORDER BY name_key, id"))
        .await?;
    let mut all = Vec::new();
    for row in &companies {
        let company = row.parsed("id")?;
        all.push((row.text("name")?, company, of_company(tx, company).await?));
    }
    Ok(all)
}

/// Those that end within the time in which it is told, or are in their grace.
pub(super) async fn ending(tx: &mut Tx, now: Timestamp) -> Result<Vec<Order>, StoreError> {
    let asked = query(
        "SELECT * FROM subscription WHERE valid_until > $1 AND valid_until <= $2
         ORDER BY valid_until, id LIMIT 1000",
    );
    let asked = asked
        .bind(now.saturating_sub(GRACE))
        .bind(now.saturating_add(ENDS_SOON));
    tx.all(asked).await?.iter().map(order).collect()
}

fn told(tx: &mut Tx, order: &Order, (action, what): (&'static str, What), now: Timestamp) {
    let subscription = order.subscription;
    tx.audit(Audit {
        at: now,
        company: Some(order.company),
        actor: Actor::named("cli"),
        action,
        object_kind: "subscription",
        object_id: order.id.to_string(),
        before: None,
        after: Some(json!({
            "sku": subscription.sku,
            "amount": subscription.amount,
            "from": subscription.from.to_string(),
            "until": subscription.until.to_string(),
            "reference": order.reference,
        })),
    });
    tx.changed(Change {
        at: now,
        whose: Whose {
            company: Some(order.company),
            ..Whose::default()
        },
        kind: "subscription",
        id: order.id.to_string(),
        what,
    });
}

/// Writes down what a company has ordered.
pub(crate) async fn add(
    tx: &mut Tx,
    company: CompanyId,
    subscription: Subscription,
    reference: &str,
    now: Timestamp,
) -> Result<Order, Refused> {
    if subscription.until <= subscription.from {
        return Err(Refused::Period);
    }
    let there = query("SELECT id FROM company WHERE id = $1").bind(company);
    tx.optional(there).await?.ok_or(Refused::NoCompany)?;
    let count = query("SELECT count(*) AS n FROM subscription WHERE company_id = $1");
    if tx.one(count.bind(company)).await?.int("n")? >= MOST {
        return Err(Refused::TooMany);
    }
    let order = Order {
        id: SubscriptionId::new_at(now),
        company,
        subscription,
        reference: reference.to_owned(),
    };
    let insert = query(
        "INSERT INTO subscription (id, company_id, sku, amount, valid_from, valid_until, reference,
                                   created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );
    let insert = insert
        .bind(order.id)
        .bind(company)
        .bind(subscription.sku.word())
        .bind(subscription.amount)
        .bind(subscription.from)
        .bind(subscription.until)
        .bind(reference)
        .bind(now);
    tx.execute(insert).await?;
    told(tx, &order, ("subscription.add", What::Created), now);
    Ok(order)
}

async fn find(tx: &mut Tx, id: SubscriptionId) -> Result<Order, Refused> {
    let asked = query("SELECT * FROM subscription WHERE id = $1").bind(id);
    let row = tx.optional(asked).await?.ok_or(Refused::NoSubscription)?;
    Ok(order(&row)?)
}

/// Another amount, or another end.
pub(crate) async fn change(
    tx: &mut Tx,
    id: SubscriptionId,
    (amount, until): (Option<u32>, Option<Timestamp>),
    now: Timestamp,
) -> Result<Order, Refused> {
    let mut order = find(tx, id).await?;
    let subscription = &mut order.subscription;
    subscription.amount = amount.unwrap_or(subscription.amount);
    subscription.until = until.unwrap_or(subscription.until);
    if subscription.until <= subscription.from {
        return Err(Refused::Period);
    }
    let update = query("UPDATE subscription SET amount = $2, valid_until = $3 WHERE id = $1")
        .bind(id)
        .bind(order.subscription.amount)
        .bind(order.subscription.until);
    tx.execute(update).await?;
    told(tx, &order, ("subscription.change", What::Updated), now);
    Ok(order)
}

/// Takes one back that should not have been written down: it has no grace.
pub(crate) async fn end(tx: &mut Tx, id: SubscriptionId, now: Timestamp) -> Result<Order, Refused> {
    let order = find(tx, id).await?;
    tx.execute(query("DELETE FROM subscription WHERE id = $1").bind(id))
        .await?;
    told(tx, &order, ("subscription.end", What::Deleted), now);
    Ok(order)
}

/// What a company uses, where the core can count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    cloud_devices: u64,
    managed_devices: u64,
    web_clients: u64,
    mobile_clients: u64,
}

impl Usage {
    pub(super) fn of(&self, sku: Sku) -> Option<u64> {
        match sku {
            Sku::CallService => Some(self.cloud_devices + self.web_clients + self.mobile_clients),
            Sku::DeviceManagement => Some(self.cloud_devices + self.managed_devices),
            Sku::SingleSignOn
            | Sku::Bridge
            | Sku::Assistant30
            | Sku::AssistantFlex
            | Sku::Volume1K
            | Sku::Volume10K
            | Sku::AssistantDevice365
            | Sku::AssistantDevice6K
            | Sku::InsightsUser
            | Sku::KnowledgeApi => None,
        }
    }
}

pub(super) async fn usage(
    tx: &mut Tx,
    company: CompanyId,
    now: Timestamp,
) -> Result<Usage, StoreError> {
    let number = |row: &Row, name| -> Result<u64, StoreError> {
        Ok(u64::try_from(row.int(name)?).unwrap_or(0))
    };
    let devices = query(
        "SELECT count(CASE WHEN mode = 'cloud' THEN 1 END) AS cloud,
                count(CASE WHEN mode = 'managed' THEN 1 END) AS managed
         FROM claim WHERE company_id = $1 AND ended IS NULL",
    );
    let devices = tx.one(devices.bind(company)).await?;
    let clients = query(
        "SELECT count(DISTINCT CASE WHEN g.role = 'web_client' THEN g.holder END) AS web,
                count(DISTINCT CASE WHEN g.role = 'mobile_client' THEN g.holder END) AS mobile
         FROM grant_ g JOIN user_account u ON u.id = g.holder
         WHERE g.company_id = $1 AND u.blocked = 0 AND g.valid_from <= $2
           AND (g.valid_until IS NULL OR g.valid_until > $2)",
    );
    let clients = tx.one(clients.bind(company).bind(now)).await?;
    Ok(Usage {
        cloud_devices: number(&devices, "cloud")?,
        managed_devices: number(&devices, "managed")?,
        web_clients: number(&clients, "web")?,
        mobile_clients: number(&clients, "mobile")?,
    })
}

/// A device among those of its company that need looking after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Managed {
    pub(super) company: CompanyId,
    pub(super) mode: Mode,
    /// The longest claimed is the first.
    pub(super) place: u64,
}

pub(super) async fn managed(tx: &mut Tx, device: DeviceId) -> Result<Option<Managed>, StoreError> {
    let asked =
        query("SELECT company_id, mode, bound FROM claim WHERE device_id = $1 AND ended IS NULL");
    let Some(row) = tx.optional(asked.bind(device)).await? else {
        return Ok(None);
    };
    let company: CompanyId = row.parsed("company_id")?;
    let place = query(
        "SELECT count(*) AS n FROM claim
         WHERE company_id = $1 AND ended IS NULL AND mode IN ('cloud', 'managed')
           AND (bound < $2 OR (bound = $2 AND device_id <= $3))",
    );
    let place = place.bind(company).bind(row.int("bound")?).bind(device);
    let place = tx.one(place).await?.int("n")?;
    Ok(Some(Managed {
        company,
        mode: row.parsed("mode")?,
        place: u64::try_from(place).unwrap_or(u64::MAX),
    }))
}
