//! What companies have ordered, written down by whoever runs the core.

use anyhow::{Context, Result, bail};
use cloud_logic::subscriptions::{Checking, Sku, Subscription};
use model::Timestamp;

use super::super::args::Subscriptions;
use crate::core::Core;
use crate::subscriptions::{Order, add, all, change, end};

pub(super) async fn run(core: &Core, what: &Subscriptions) -> Result<String> {
    let now = core.now();
    if let Subscriptions::List { .. } = what {
        return list(core).await;
    }
    let mut tx = core.store.write().await?;
    let (order, done) = match what {
        Subscriptions::List { .. } => unreachable!("answered above"),
        Subscriptions::Add {
            company,
            sku,
            amount,
            from,
            until,
            reference,
            ..
        } => {
            let subscription = Subscription {
                sku: sku.parse::<Sku>()?,
                amount: *amount,
                from: from.as_deref().map_or(Ok(now), day)?,
                until: day(until)?,
            };
            let reference = words(reference)?;
            let company = company.parse()?;
            let order = add(&mut tx, company, subscription, reference, now).await?;
            (order, "written down")
        }
        Subscriptions::Change {
            id, amount, until, ..
        } => {
            let until = until.as_deref().map(day).transpose()?;
            let order = change(&mut tx, id.parse()?, (*amount, until), now).await?;
            (order, "changed")
        }
        Subscriptions::End { id, .. } => (end(&mut tx, id.parse()?, now).await?, "taken back"),
    };
    tx.commit().await?;
    Ok(format!("{}: {done}\n", line(&order, now)))
}

async fn list(core: &Core) -> Result<String> {
    let mut tx = core.store.read().await?;
    let mut told = String::new();
    for (name, company, orders) in all(&mut tx).await? {
        told += &format!("{company}  {name}\n");
        for order in &orders {
            told += &format!("  {}\n", line(order, core.now()));
        }
    }
    if core.subscriptions == Checking::Off {
        told += "nothing asks for them: [subscriptions] mode is \"off\"\n";
    }
    Ok(told)
}

fn line(order: &Order, now: Timestamp) -> String {
    let subscription = order.subscription;
    format!(
        "{}  {} x {} ({})  {} to {}  {}  {}",
        order.id,
        subscription.amount,
        subscription.sku,
        subscription.sku.title(),
        date(subscription.from),
        date(subscription.until),
        subscription.standing(now).word(),
        order.reference,
    )
}

/// The beginning of a day, in UTC.
fn day(text: &str) -> Result<Timestamp> {
    let day: jiff::civil::Date = text
        .parse()
        .with_context(|| format!("`{text}` is no day: write one such as 2027-01-31"))?;
    let begins = day.to_zoned(jiff::tz::TimeZone::UTC)?;
    Ok(Timestamp::from_unix_ms(begins.timestamp().as_millisecond()))
}

fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A reference in one line.
fn words(text: &str) -> Result<&str> {
    if text.chars().any(char::is_control) || text.chars().count() > 100 {
        bail!("a reference has at most 100 characters, in one line");
    }
    Ok(text)
}
