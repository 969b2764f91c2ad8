//! The one shape of what is kept here: found, listed by name, made, changed by version, ended.
//!
//! Each kind says what is its own: its columns, its checks, its statements. What follows is the same
//! for all: a page, the version, the log and the change for listeners. Invariant: nothing is made,
//! changed or ended here without an entry in the log and a line for listeners.

use axum::http::StatusCode;
use cloud_logic::rights::Scope;
use serde::Serialize;
use serde_json::json;

use super::place::{Told, tell};
use crate::api::check::key_of;
use crate::api::{Cursor, IfMatch, Json, Page, PageOf, Problem, Versioned};
use crate::core::Core;
use crate::people::Caller;
use crate::store::changes::What;
use crate::store::{Query, Row, StoreError, Tx};

/// Something with a name, a place and a version.
pub(crate) trait Kept: Sized + Serialize {
    /// As listeners and the log call it.
    const KIND: &'static str;
    /// What can be set.
    type Settings: Serialize;

    fn read(row: &Row) -> Result<Self, StoreError>;
    fn about(&self) -> About<'_, Self::Settings>;
    /// The same with other settings and the version of those.
    fn changed_to(self, settings: Self::Settings, version: i64) -> Self;
}

/// What of it matters here.
pub(crate) struct About<'a, S> {
    pub(crate) id: String,
    pub(crate) name: &'a str,
    pub(crate) scope: Scope,
    pub(crate) settings: &'a S,
    pub(crate) version: i64,
}

/// The one that a statement finds.
pub(crate) async fn find<T: Kept>(tx: &mut Tx, asked: Query) -> Result<T, Problem> {
    let row = tx.optional(asked).await?.ok_or_else(Problem::not_found)?;
    Ok(T::read(&row)?)
}

/// All that a statement finds.
pub(crate) async fn all<T: Kept>(tx: &mut Tx, asked: Query) -> Result<Vec<T>, StoreError> {
    tx.all(asked).await?.iter().map(T::read).collect()
}

/// A page of what a statement with a condition finds, by name.
pub(crate) async fn page_by_name<T: Kept>(
    core: &Core,
    mut asked: Query,
    page: &PageOf,
) -> Result<Json<Page<T>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor()?);
    if let Some(after) = after {
        asked = asked
            .text(" AND (name_key, id) > (")
            .value(after.key)
            .text(", ")
            .value(after.id)
            .text(")");
    }
    let asked = asked.text(" ORDER BY name_key, id LIMIT ").value(limit + 1);
    let kept = all(&mut core.store.read().await?, asked).await?;
    Ok(Json(Page::of(kept, limit, |kept: &T| {
        let About { id, name, .. } = kept.about();
        Cursor {
            key: key_of(name),
            id,
        }
    })))
}

/// Makes it; `action` is what the log calls that.
pub(crate) async fn make<T: Kept>(
    mut tx: Tx,
    caller: &Caller,
    (insert, made): (Query, T),
    action: &'static str,
) -> Result<(StatusCode, Versioned<T>), Problem> {
    tx.execute(insert).await?;
    let content = (None, Some(json!(made.about().settings)));
    told(&mut tx, caller, &made, (action, What::Created), content);
    tx.commit().await?;
    let version = made.about().version;
    Ok((StatusCode::CREATED, Versioned(version, made)))
}

/// Changes it by a statement that names the version that was read.
pub(crate) async fn change<T: Kept>(
    mut tx: Tx,
    caller: &Caller,
    version: IfMatch,
    (update, before, wish): (Query, T, T::Settings),
    action: &'static str,
) -> Result<Versioned<T>, Problem> {
    let was = before.about();
    version.check(was.version)?;
    version.changed(tx.execute(update).await?)?;
    let version = was.version + 1;
    let content = (Some(json!(was.settings)), Some(json!(wish)));
    told(&mut tx, caller, &before, (action, What::Updated), content);
    tx.commit().await?;
    Ok(Versioned(version, before.changed_to(wish, version)))
}

/// Ends it by a statement. What still refers to it keeps it.
pub(crate) async fn end<T: Kept>(
    mut tx: Tx,
    caller: &Caller,
    version: IfMatch,
    (delete, before): (Query, T),
    action: &'static str,
) -> Result<StatusCode, Problem> {
    let was = before.about();
    version.check(was.version)?;
    tx.execute(delete).await?;
    let content = (Some(json!(was.settings)), None);
    told(&mut tx, caller, &before, (action, What::Deleted), content);
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

type Content = Option<serde_json::Value>;

fn told<T: Kept>(
    tx: &mut Tx,
    caller: &Caller,
    kept: &T,
    (action, what): (&'static str, What),
    (before, after): (Content, Content),
) {
    let About { id, scope, .. } = kept.about();
    let told = Told {
        scope,
        action,
        kind: T::KIND,
        id,
        what,
        before,
        after,
    };
    tell(tx, caller, told);
}
