//! What operators tell about troubles: opened, added to, closed, by the command line of a core.
//!
//! Of no company, so no company's audit log has it; who may use the command line is root anyway.

use std::time::Duration;

use cloud_logic::ids::IncidentId;
use model::Timestamp;

use super::{Incident, Note, Part, State};
use crate::api::Time;
use crate::core::NewId;
use crate::store::{Row, StoreError, Tx, query};

/// Closed ones are shown so long.
const SHOWN: Duration = Duration::from_secs(14 * 24 * 3600);
/// No page gets longer than this.
const MOST: u32 = 50;
/// Characters of a title or a note.
pub(crate) const LONGEST: usize = 2000;

/// A new one.
#[derive(Clone, Debug)]
pub(crate) struct NewIncident<'a> {
    pub(crate) title: &'a str,
    pub(crate) state: State,
    pub(crate) parts: &'a [Part],
}

pub(crate) async fn open(
    tx: &mut Tx,
    new: &NewIncident<'_>,
    now: Timestamp,
) -> Result<IncidentId, StoreError> {
    let id = IncidentId::new_at(now);
    let words: Vec<_> = new.parts.iter().map(|part| part.word()).collect();
    let made =
        query("INSERT INTO incident (id, title, state, parts, opened) VALUES ($1, $2, $3, $4, $5)");
    let made = made.bind(id).bind(new.title).bind(new.state.word());
    let made = made.bind(serde_json::json!(words).to_string()).bind(now);
    tx.execute(made).await?;
    Ok(id)
}

/// Whether there is such an incident, and it is open.
pub(crate) async fn note(
    tx: &mut Tx,
    id: IncidentId,
    text: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = query(
        "INSERT INTO incident_note (incident_id, seq, at, text)
         SELECT id, (SELECT count(*) FROM incident_note WHERE incident_id = $1), $2, $3
         FROM incident WHERE id = $1 AND closed IS NULL",
    );
    Ok(tx.execute(added.bind(id).bind(now).bind(text)).await? > 0)
}

/// Whether there was such an incident, and it was open.
pub(crate) async fn close(tx: &mut Tx, id: IncidentId, now: Timestamp) -> Result<bool, StoreError> {
    let closed = query("UPDATE incident SET closed = $1 WHERE id = $2 AND closed IS NULL");
    Ok(tx.execute(closed.bind(now).bind(id)).await? > 0)
}

/// Those that a page shows.
pub(crate) async fn shown(tx: &mut Tx, now: Timestamp) -> Result<Vec<Incident>, StoreError> {
    let since = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(SHOWN.as_millis() as i64));
    let asked = query(
        "SELECT * FROM incident WHERE closed IS NULL OR closed > $1 ORDER BY id DESC LIMIT $2",
    );
    let rows = tx.all(asked.bind(since).bind(MOST)).await?;
    let mut incidents = Vec::with_capacity(rows.len());
    for row in rows {
        let mut incident = read(&row)?;
        let notes = query("SELECT at, text FROM incident_note WHERE incident_id = $1 ORDER BY seq");
        for note in tx.all(notes.bind(incident.id)).await? {
            incident.notes.push(Note {
                at: Time(note.time("at")?),
                text: note.text("text")?,
            });
        }
        incidents.push(incident);
    }
    Ok(incidents)
}

fn read(row: &Row) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: row.parsed("id")?,
        title: row.text("title")?,
        state: row.parsed("state")?,
        parts: row.json("parts")?,
        opened: Time(row.time("opened")?),
        closed: row.maybe_time("closed")?.map(Time),
        notes: Vec::new(),
    })
}
