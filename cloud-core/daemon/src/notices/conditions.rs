//! Notices of what is no coming and going: certificates, subscriptions, letters, commands.
//!
//! Conditions that last are compared, all of a kind, with what stands open; what has happened once
//! is told once, and over when somebody has seen it or a week has passed.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_logic::ids::{CompanyId, NodeId, ProjectId, SiteId};
use cloud_logic::notices::Kind;
use cloud_logic::rights::Scope;
use model::Timestamp;
use serde_json::json;

use super::audience::{self, News};
use super::rows::{self, New};
use super::texts::Title;
use super::watch::hold;
use crate::core::Core;
use crate::store::{Row, StoreError, Tx, query};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate lasts 90 days and is renewed with 30 left: with fewer than these it was not.
const CERTIFICATE: Duration = Duration::from_secs(20 * 24 * 3600);

/// Letters wait for so long before it is worth telling.
const MAIL: Duration = Duration::from_secs(15 * 60);

/// What has happened is shown for so long, if nobody has seen it.
const SHOWN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Closed notices are kept for so long.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// So many of a kind at once: beyond that it is one trouble, not many.
const MOST: u32 = 1000;

/// Whether a notice of this kind tells of an event, and not of a condition that lasts.
pub(super) fn has_happened(kind: Kind) -> bool {
    match kind {
        Kind::CommandFailed | Kind::LetterUndelivered => true,
        Kind::DeviceOffline
        | Kind::DeviceUnsteady
        | Kind::SiteOutage
        | Kind::SiteUnsteady
        | Kind::CertificateEnding
        | Kind::MailWaiting
        | Kind::SubscriptionEnding => false,
    }
}

/// Looks at all conditions, in one transaction each kind.
pub(super) async fn check(core: &Core, holder: NodeId) -> Result<(), StoreError> {
    for kind in [
        Kind::CertificateEnding,
        Kind::MailWaiting,
        Kind::SubscriptionEnding,
    ] {
        let now = core.now();
        let mut tx = core.store.write().await?;
        if !hold(&mut tx, holder, now).await? {
            return Ok(());
        }
        let wanted = match kind {
            Kind::CertificateEnding => certificates(&mut tx, now).await?,
            Kind::MailWaiting => mail(&mut tx, core).await?,
            _ => crate::subscriptions::ending(&mut tx, core).await?,
        };
        settle(&mut tx, core, kind, wanted).await?;
        tx.commit().await?;
    }
    let now = core.now();
    let mut tx = core.store.write().await?;
    for kind in Kind::ALL.into_iter().filter(|kind| has_happened(*kind)) {
        for notice in rows::open_of_kind(&mut tx, kind).await? {
            if notice.opened.saturating_add(SHOWN) <= now {
                rows::close(&mut tx, (kind, &notice.subject), "seen", now).await?;
            }
        }
    }
    rows::forget(&mut tx, now.saturating_sub(KEPT), MOST).await?;
    tx.commit().await
}

/// Opens what is wanted and closes what is not, of one kind.
async fn settle(tx: &mut Tx, core: &Core, kind: Kind, wanted: Vec<New>) -> Result<(), StoreError> {
    let now = core.now();
    let mut news: BTreeMap<Scope, News> = BTreeMap::new();
    for notice in rows::open_of_kind(tx, kind).await? {
        if wanted.iter().all(|new| new.subject != notice.subject) {
            rows::close(tx, (kind, &notice.subject), "back", now).await?;
        }
    }
    for new in wanted {
        let scope = new.scope;
        let opened = rows::open(tx, new, now).await?;
        news.entry(scope).or_default().opened.extend(opened);
    }
    for (scope, news) in news {
        let Some(title) = title(tx, scope).await? else {
            continue;
        };
        audience::write_to_all(tx, core, scope, &title, &news).await?;
    }
    Ok(())
}

async fn title(tx: &mut Tx, scope: Scope) -> Result<Option<Title>, StoreError> {
    let site = scope.site();
    let asked = match site {
        Some(site) => query("SELECT name FROM site WHERE id = $1").bind(site),
        None => query("SELECT name FROM company WHERE id = $1").bind(scope.company()),
    };
    let Some(row) = tx.optional(asked).await? else {
        return Ok(None);
    };
    let name = row.text("name")?;
    Ok(Some(match site {
        Some(_) => Title::Site(name),
        None => Title::Company(name),
    }))
}

/// Where a row belongs; nothing where it belongs to nobody.
fn scope(row: &Row) -> Result<Option<Scope>, StoreError> {
    let Some(company) = row.maybe_parsed::<CompanyId>("company_id")? else {
        return Ok(None);
    };
    let project: Option<ProjectId> = row.maybe_parsed("project_id")?;
    let site: Option<SiteId> = row.maybe_parsed("site_id")?;
    Ok(Some(match (project, site) {
        (Some(project), Some(site)) => Scope::Site(company, project, site),
        (Some(project), None) => Scope::Project(company, project),
        (None, _) => Scope::Company(company),
    }))
}

/// Devices whose last certificate ends soon, or ended.
async fn certificates(tx: &mut Tx, now: Timestamp) -> Result<Vec<New>, StoreError> {
    let asked = query(
        "SELECT d.id, d.company_id, d.project_id, d.site_id, d.name, max(c.not_after) AS last
         FROM certificate c JOIN device d ON d.id = c.device_id
         JOIN claim k ON k.device_id = d.id AND k.ended IS NULL
         WHERE c.not_after > $1 AND c.not_after <= $2 AND c.revoked IS NULL
           AND d.company_id IS NOT NULL AND c.epoch = k.epoch
           AND NOT EXISTS (SELECT 1 FROM certificate n WHERE n.device_id = c.device_id
                           AND n.epoch = k.epoch AND n.revoked IS NULL AND n.not_after > $2)
         GROUP BY d.id, d.company_id, d.project_id, d.site_id, d.name
         ORDER BY d.id LIMIT $3",
    );
    let asked = asked
        .bind(now.saturating_sub(DAY * 90))
        .bind(now.saturating_add(CERTIFICATE))
        .bind(MOST);
    let rows = tx.all(asked).await?;
    let mut wanted = Vec::new();
    for row in &rows {
        let Some(scope) = scope(row)? else { continue };
        wanted.push(New {
            scope,
            kind: Kind::CertificateEnding,
            subject: row.text("id")?,
            words: json!({
                "device": row.text("name")?,
                "until": row.time("last")?.to_string(),
            }),
        });
    }
    Ok(wanted)
}

/// Companies whose letters wait because the server cannot be used.
async fn mail(tx: &mut Tx, core: &Core) -> Result<Vec<New>, StoreError> {
    let before = core.now().saturating_sub(MAIL);
    let asked = query(
        "SELECT company_id, max(reason) AS reason FROM letter
         WHERE state = 'waiting' AND created <= $1 AND tries > 0 AND company_id IS NOT NULL
         GROUP BY company_id ORDER BY company_id LIMIT $2",
    );
    let rows = tx.all(asked.bind(before).bind(MOST)).await?;
    let new = |row: &Row| {
        Ok(New {
            scope: Scope::Company(row.parsed("company_id")?),
            kind: Kind::MailWaiting,
            subject: row.text("company_id")?,
            words: json!({ "reason": row.maybe_text("reason")?.unwrap_or_default() }),
        })
    };
    rows.iter().map(new).collect()
}

/// Of these commands, those that went wrong.
pub(super) async fn of_commands(
    tx: &mut Tx,
    commands: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    if commands.is_empty() {
        return Ok(());
    }
    let asked = query(
        "SELECT c.id, c.company_id, c.project_id, c.site_id, c.op, c.state, c.code, d.name
         FROM command c JOIN device d ON d.id = c.device_id
         WHERE c.state IN ('failed', 'unknown') AND c.id IN ",
    );
    for row in tx.all(asked.any_of(commands)).await? {
        let Some(scope) = scope(&row)? else { continue };
        let words = json!({
            "device": row.text("name")?,
            "op": row.text("op")?,
            "state": row.text("state")?,
            "code": row.maybe_text("code")?,
        });
        once(tx, scope, Kind::CommandFailed, row.text("id")?, words, now).await?;
    }
    Ok(())
}

/// Of these letters, those that were given up.
pub(super) async fn of_letters(
    tx: &mut Tx,
    core: &Core,
    letters: &[String],
) -> Result<(), StoreError> {
    // Where no mail leaves, that is no news.
    if letters.is_empty() || core.mail.settings().is_none() {
        return Ok(());
    }
    let now = core.now();
    let asked = query(
        "SELECT id, company_id, kind FROM letter
         WHERE state = 'failed' AND company_id IS NOT NULL AND id IN ",
    );
    for row in tx.all(asked.any_of(letters)).await? {
        let scope = Scope::Company(row.parsed("company_id")?);
        // To whom is told to those only who may list letters.
        let words = json!({ "letter": row.text("kind")? });
        once(
            tx,
            scope,
            Kind::LetterUndelivered,
            row.text("id")?,
            words,
            now,
        )
        .await?;
    }
    Ok(())
}

/// What has happened is told once, whatever became of its notice.
async fn once(
    tx: &mut Tx,
    scope: Scope,
    kind: Kind,
    subject: String,
    words: serde_json::Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    if rows::is_known(tx, kind, &subject).await? {
        return Ok(());
    }
    let new = New {
        scope,
        kind,
        subject,
        words,
    };
    rows::open(tx, new, now).await?;
    Ok(())
}
