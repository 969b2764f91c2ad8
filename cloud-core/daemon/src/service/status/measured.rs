//! How each part is, as far as the store tells.

use std::time::Duration;

use model::Timestamp;

use super::{Part, PartNow, State, Status, incidents};
use crate::core::Core;
use crate::store::{StoreError, Tx, query};

/// Lists of void certificates are signed anew twice a day.
const LIST_LATE: Duration = Duration::from_secs(24 * 3600);
/// A letter that has waited so long did not find the mail server.
const LETTER_LATE: Duration = Duration::from_secs(15 * 60);

pub(super) async fn now(core: &Core) -> Status {
    let name = core.people.site().name.clone();
    let at = core.now();
    let measured = async {
        let mut tx = core.store.read().await?;
        let mut parts = parts(&mut tx, at).await?;
        if core.mail.settings().is_none() {
            // Letters wait there on purpose.
            parts.retain(|one| one.part != Part::Mail);
        }
        let trouble = core.mail.trouble().is_some();
        for one in parts
            .iter_mut()
            .filter(|one| trouble && one.part == Part::Mail)
        {
            one.state = one.state.max(State::Degraded);
        }
        Ok::<_, StoreError>((parts, incidents::shown(&mut tx, at).await?))
    };
    match measured.await {
        Ok((parts, incidents)) => Status::new(name, at, &parts, incidents),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the store tells nothing about the service");
            Status::new(name, at, &without_store(), Vec::new())
        }
    }
}

/// It answers, and knows nothing.
fn without_store() -> Vec<PartNow> {
    let state = |part| match part {
        Part::Api => State::Degraded,
        Part::Store => State::Down,
        Part::Devices | Part::Mail | Part::RevocationLists => State::Unknown,
    };
    let parts = Part::ALL.iter();
    parts
        .map(|&part| PartNow {
            part,
            state: state(part),
        })
        .collect()
}

async fn parts(tx: &mut Tx, now: Timestamp) -> Result<Vec<PartNow>, StoreError> {
    let asked = query(
        "SELECT (SELECT count(*) FROM node WHERE lease_until > $1) AS nodes,
                (SELECT min(created) FROM letter WHERE state = 'waiting') AS letter,
                (SELECT min(this_update) FROM crl) AS list,
                (SELECT min(next_update) FROM crl) AS list_end",
    );
    let row = tx.one(asked.bind(now)).await?;
    let older = |column, than: Duration| {
        let since = row.maybe_time(column)?;
        Ok::<_, StoreError>(since.is_some_and(|since| since.saturating_add(than) < now))
    };
    let devices = match row.int("nodes")? {
        0 => State::Down,
        _ => State::Up,
    };
    let mail = match older("letter", LETTER_LATE)? {
        true => State::Degraded,
        false => State::Up,
    };
    let lists = match (
        older("list_end", Duration::ZERO)?,
        older("list", LIST_LATE)?,
    ) {
        (true, _) => State::Down,
        (false, true) => State::Degraded,
        (false, false) => State::Up,
    };
    let state = |part| match part {
        Part::Api | Part::Store => State::Up,
        Part::Devices => devices,
        Part::Mail => mail,
        Part::RevocationLists => lists,
    };
    let now = |&part| PartNow {
        part,
        state: state(part),
    };
    Ok(Part::ALL.iter().map(now).collect())
}
