//! Subscriptions of companies: written down by whoever runs the core, shown to companies, and asked
//! where something new is begun (N1).
//!
//! A core checks nothing until `[subscriptions] mode = "checked"` says so. Deliberately not here:
//! what needs which (`cloud_logic::subscriptions`), prices, orders. Invariant: only claims and the
//! looking after devices from afar ask; calls, doors and whatever runs never come here.

mod routes;
mod rows;
#[cfg(test)]
mod tests;

use cloud_logic::catalogue::Mode;
use cloud_logic::ids::{CompanyId, DeviceId};
use cloud_logic::notices::Kind;
use cloud_logic::rights::Scope;
use cloud_logic::subscriptions::{
    Checking, Missing, Outcome, Sku, Standing, balance, to_claim, to_manage,
};
use serde_json::json;

pub(crate) use routes::{BalanceBody as Balance, routes};
#[cfg(test)]
pub(crate) use rows::Refused;
pub(crate) use rows::{Order, add, all, change, end};

use crate::api::{Code, Problem};
use crate::core::Core;
use crate::notices::New;
use crate::store::{StoreError, Tx};

/// What claiming one more device in this mode meets.
pub(crate) async fn check_claim(
    tx: &mut Tx,
    core: &Core,
    company: CompanyId,
    mode: Mode,
) -> Result<Outcome, StoreError> {
    if core.subscriptions == Checking::Off {
        return Ok(Outcome::Covered);
    }
    let orders = rows::of_company(tx, company).await?;
    let subscriptions: Vec<_> = orders.iter().map(|order| order.subscription).collect();
    let usage = rows::usage(tx, company, core.now()).await?;
    Ok(to_claim(core.subscriptions, mode, |sku| {
        let used = usage.of(sku);
        let balance = balance(&subscriptions, sku, used, core.now());
        (balance.there, used.unwrap_or(0))
    }))
}

/// What of every order number is there, used and missing.
pub(crate) async fn balances(
    tx: &mut Tx,
    core: &Core,
    company: CompanyId,
) -> Result<Vec<Balance>, StoreError> {
    let now = core.now();
    let orders = rows::of_company(tx, company).await?;
    let usage = rows::usage(tx, company, now).await?;
    let subscriptions: Vec<_> = orders.iter().map(|order| order.subscription).collect();
    let all = Sku::ALL.iter();
    Ok(all
        .map(|&sku| balance(&subscriptions, sku, usage.of(sku), now).into())
        .collect())
}

/// Whether a device may be looked after from afar: rebooted, asked for its logs, set up.
pub(crate) async fn require_management(
    tx: &mut Tx,
    core: &Core,
    device: DeviceId,
) -> Result<(), Problem> {
    match missing_management(tx, core, device).await? {
        None => Ok(()),
        Some(missing) => Err(problem(&missing)),
    }
}

/// What is missing for looking after a device from afar.
pub(crate) async fn missing_management(
    tx: &mut Tx,
    core: &Core,
    device: DeviceId,
) -> Result<Option<Missing>, StoreError> {
    if core.subscriptions == Checking::Off {
        return Ok(None);
    }
    // A device that nobody has claimed is refused elsewhere.
    let Some(managed) = rows::managed(tx, device).await? else {
        return Ok(None);
    };
    let orders = rows::of_company(tx, managed.company).await?;
    let subscriptions: Vec<_> = orders.iter().map(|order| order.subscription).collect();
    let sku = Sku::DeviceManagement;
    let there = balance(&subscriptions, sku, None, core.now()).there;
    match to_manage(core.subscriptions, managed.mode, there, managed.place) {
        Outcome::Covered | Outcome::Warned(_) => Ok(None),
        Outcome::Refused(missing) => Ok(Some(missing)),
    }
}

/// What is missing, as an answer.
pub(crate) fn problem(missing: &Missing) -> Problem {
    Problem::new(Code::SubscriptionMissing, format!("{missing}."))
}

/// Notices of what ends soon, or counts only for a while longer.
pub(crate) async fn ending(tx: &mut Tx, core: &Core) -> Result<Vec<New>, StoreError> {
    if core.subscriptions == Checking::Off {
        return Ok(Vec::new());
    }
    let now = core.now();
    let orders = rows::ending(tx, now).await?;
    let notices = orders.into_iter().filter(|order| {
        matches!(
            order.subscription.standing(now),
            Standing::Ending | Standing::Grace
        )
    });
    let new = |order: Order| New {
        scope: Scope::Company(order.company),
        kind: Kind::SubscriptionEnding,
        subject: order.id.to_string(),
        words: json!({
            "sku": order.subscription.sku,
            "title": order.subscription.sku.title(),
            "amount": order.subscription.amount,
            "until": order.subscription.until.to_string(),
        }),
    };
    Ok(notices.map(new).collect())
}
