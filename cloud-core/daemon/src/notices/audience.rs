//! Who gets a letter about notices.
//!
//! Whoever may see a notice can have it by mail; without a choice of her own, who looks after the
//! place has it. Invariant: nobody gets more letters about notices in an hour than she could read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_logic::ids::UserId;
use cloud_logic::rights::{Permission, Rights, Scope};

use super::choices::{self, Choice};
use super::rows::Notice;
use super::texts::{self, Title};
use crate::core::Core;
use crate::mail::{self, Kind, Letter};
use crate::people::{Reader, readers};
use crate::store::{StoreError, Tx};

/// So many letters about notices somebody gets in an hour; what is more stands in the portal.
const MOST: i64 = 20;
const HOUR: Duration = Duration::from_secs(3600);

/// Afterwards nobody needs to be written to about it.
const LASTS: Duration = Duration::from_secs(24 * 3600);

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) opened: Vec<Notice>,
    pub(super) over: Vec<Notice>,
}

/// Writes to everybody concerned, in the transaction of the notices.
pub(super) async fn write_to_all(
    tx: &mut Tx,
    core: &Core,
    scope: Scope,
    title: &Title,
    news: &News,
) -> Result<(), StoreError> {
    let mailed = |notices: &[Notice]| notices.iter().any(|notice| notice.kind.is_mailed());
    let any = mailed(&news.opened) || mailed(&news.over);
    if !any || core.mail.settings().is_none() {
        return Ok(());
    }
    let now = core.now();
    for (user, (reader, rights)) in people(tx, scope).await? {
        if !rights.may(Permission::NoticeView, &scope, now) {
            continue;
        }
        let looks_after = rights.may(Permission::NoticeConfigure, &scope, now);
        let choice = choices::of(tx, user).await?;
        let choice = choice.map_or_else(|| Choice::of_role(looks_after), |found| found.choice);
        let wanted = |notices| wanted(&choice, &scope, notices);
        let (opened, over) = (wanted(&news.opened), wanted(&news.over));
        if opened.is_empty() && over.is_empty() {
            continue;
        }
        let since = now.saturating_sub(HOUR);
        if mail::so_many_to(tx, &reader.mail, Kind::Notice, since).await? >= MOST {
            core.mail
                .figures()
                .held_back
                .fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let language = reader.language.parse().unwrap_or_default();
        let portal = &core.people.site().origin;
        let text = texts::letter(language, title, (&opened, &over), portal);
        let letter = Letter {
            company: scope.company(),
            kind: Kind::Notice,
            recipient: &reader.mail,
            language: language.word(),
            words: serde_json::json!(text),
            link: None,
            expires: now.saturating_add(LASTS),
        };
        mail::write(tx, core, letter).await?;
    }
    Ok(())
}

fn wanted<'a>(choice: &Choice, scope: &Scope, notices: &'a [Notice]) -> Vec<&'a Notice> {
    let all = notices.iter().filter(|notice| notice.kind.is_mailed());
    all.filter(|notice| choice.wants(notice.kind, scope))
        .collect()
}

/// Those who hold something in the company, each with all of it.
async fn people(
    tx: &mut Tx,
    scope: Scope,
) -> Result<BTreeMap<UserId, (Reader, Rights)>, StoreError> {
    let mut grants: BTreeMap<UserId, (Reader, Vec<_>)> = BTreeMap::new();
    for (reader, grant) in readers(tx, scope.company(), Permission::NoticeView).await? {
        let held = grants.entry(reader.user).or_insert((reader, Vec::new()));
        held.1.push(grant);
    }
    let with_rights = grants
        .into_iter()
        .map(|(user, (reader, grants))| (user, (reader, Rights::new(grants))));
    Ok(with_rights.collect())
}
