//! The stream of what changed (server-sent events).
//!
//! The wake-up of a commit, or a second, makes a stream look; all streams look together. What its caller
//! may see is asked anew every second, and before that with every change that is more than devices at
//! work, so a right that ends, ends here too.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use cloud_logic::rights::Rights;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::Refused;
use crate::api::{Code, Finding, Problem, Time};
use crate::core::Core;
use crate::devices::scope_of;
use crate::people::{Caller, rights_now};
use crate::store::changes::{Position, Seen, What};

/// So many changes are read at once.
const PORTION: u32 = 200;
/// Other nodes write too, and their commits wake nobody here.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Changes that change nobody's rights, of which there are thousands a second.
const AT_WORK: [&str; 5] = ["device_event", "twin", "command", "presence", "connection"];
/// So many events may wait for a slow page; then its stream waits.
const WAITING: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// One thing that changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ChangeEvent {
    at: Time,
    /// `site`, `device`, `command` ...
    kind: String,
    id: String,
    #[schema(value_type = String, example = "updated")]
    what: What,
    company: Option<String>,
    project: Option<String>,
    site: Option<String>,
}

/// What changes, as it changes
///
/// A stream of server-sent events named `change`, each with the JSON of a ChangeEvent. It begins now,
/// or after the header last-event-id. The event `begin_anew` says that changes of before are no longer
/// kept: read everything again.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(("last-event-id" = Option<String>, Header, description = "Where it ended.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 200, description = "The stream.", body = ChangeEvent, content_type = "text/event-stream"),
        (status = 503, description = "Too many streams are open.", body = crate::api::problem::ProblemBody),
        Refused
    )
)]
async fn stream(
    State(core): State<Core>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = core.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(Code::Unavailable, "Too many pages are listening.").retry_after(10)
    })?;
    let mut tx = core.store.read().await?;
    let (position, lost) = match headers.get("last-event-id") {
        None => (tx.newest_position().await?, false),
        Some(header) => {
            let position: Position = header
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(no_such_event)?;
            let newest = tx.newest_position().await?;
            let lost = match tx.oldest_position().await? {
                Some(oldest) => position.misses_some_before(oldest) || position > newest,
                None => position > newest,
            };
            (if lost { newest } else { position }, lost)
        }
    };
    drop(tx);
    let (events, receiver) = mpsc::channel(WAITING);
    if lost {
        let event = Event::default()
            .event("begin_anew")
            .id(position.to_string())
            .data("{}");
        events.try_send(Ok::<_, Infallible>(event)).ok();
    }
    tokio::spawn(follow(core, caller, position, events, place));
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response())
}

fn no_such_event() -> Problem {
    Problem::invalid(vec![Finding::new(
        "last-event-id",
        "no_event",
        "Use the id of an event that came, or leave it out.",
    )])
}

/// Until the page goes away, its caller may see nothing any more, or the store fails.
async fn follow(
    core: Core,
    caller: Caller,
    mut position: Position,
    events: mpsc::Sender<Result<Event, Infallible>>,
    _place: OwnedSemaphorePermit,
) {
    let mut rights = None;
    loop {
        // Made before looking, so that what commits in between wakes it.
        let changed = core.store.changed().notified();
        let news = match look(&core, &caller, position, &mut rights).await {
            Ok(Some(news)) => news,
            Ok(None) => return,
            Err(problem) => {
                tracing::warn!(code = problem.code.as_str(), "a stream of events ends");
                return;
            }
        };
        if let Some(last) = news.last() {
            position = last.position;
            for change in news.iter().filter(|it| sees(rights.as_ref(), it, &core)) {
                if events.send(Ok(event(change))).await.is_err() {
                    return;
                }
            }
            continue;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = events.closed() => return,
        }
    }
}

/// What a caller may see, and when it was asked.
type Asked = (Rights, Instant);

/// What came since; nothing when she is signed out. `rights` are what she may see of it.
async fn look(
    core: &Core,
    caller: &Caller,
    position: Position,
    rights: &mut Option<Asked>,
) -> Result<Option<Vec<Arc<Seen>>>, Problem> {
    let news = core.store.news(position, PORTION).await?;
    let known = rights
        .as_ref()
        .is_some_and(|(_, at)| at.elapsed() < LOOK_AGAIN);
    if known
        && news
            .iter()
            .all(|change| AT_WORK.contains(&change.kind.as_str()))
    {
        return Ok(Some(news));
    }
    let mut tx = core.store.read().await?;
    let now = rights_now(&mut tx, core, caller).await?;
    *rights = now.map(|rights| (rights, Instant::now()));
    Ok(rights.is_some().then_some(news))
}

fn sees(rights: Option<&Asked>, change: &Seen, core: &Core) -> bool {
    let scope = scope_of(change.whose);
    scope
        .zip(rights)
        .is_some_and(|(scope, (rights, _))| rights.knows(&scope, core.now()))
}

fn event(change: &Seen) -> Event {
    let told = ChangeEvent {
        at: Time(change.at),
        kind: change.kind.clone(),
        id: change.id.clone(),
        what: change.what,
        company: change.whose.company.map(|id| id.to_string()),
        project: change.whose.project.map(|id| id.to_string()),
        site: change.whose.site.map(|id| id.to_string()),
    };
    let event = Event::default()
        .event("change")
        .id(change.position.to_string());
    event.json_data(told).unwrap_or_default()
}
