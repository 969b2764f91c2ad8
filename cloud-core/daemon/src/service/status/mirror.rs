//! The page on another host: asks a core how it is, and goes on showing when the core is dead.
//!
//! Keeps the last answer in memory and nothing else: started while the core is dead, it says so, and
//! that it knows nothing. Invariant: whatever the core answers, the page is at most as large as
//! `LARGEST`, and made of text that is escaped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use model::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::page::{self, Freshness};
use super::{Part, PartNow, State as PartState, Status};
use crate::api::{Json, Time};
use crate::clock::Clock;
use crate::listener::{self, Speaks};

const EVERY: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 512 * 1024;
/// Not each answer that is late is worth a word.
const SILENT_AFTER: Duration = Duration::from_secs(40);

/// Which core, and where the page is.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    /// `https://core.example.com`
    pub(crate) of: String,
    pub(crate) listen: SocketAddr,
    /// The certificate of the authority that the core's own is of, in PEM.
    pub(crate) authority: Option<PathBuf>,
}

/// What is known of the core.
#[derive(Debug)]
struct Known {
    clock: Clock,
    of: String,
    last: Mutex<Last>,
}

#[derive(Clone, Debug)]
struct Last {
    /// None until the core has answered once.
    status: Option<Status>,
    /// When it last answered; before the first answer, when the page began to ask.
    answered: Timestamp,
}

pub(crate) async fn run(mirror: Mirror) -> Result<()> {
    let client = client(&mirror)?;
    let listener = TcpListener::bind(mirror.listen).await;
    let listener = listener.with_context(|| format!("listening on {}", mirror.listen))?;
    tracing::info!(address = %listener.local_addr()?, of = mirror.of, "the status page is served");
    let clock = Clock::default();
    let known = Arc::new(Known {
        of: mirror.of.clone(),
        last: Mutex::new(Last {
            status: None,
            answered: clock.now(),
        }),
        clock,
    });
    let stop = CancellationToken::new();
    let app = app(Arc::clone(&known));
    let serving = listener::serve(listener, Speaks::Plain, app, Arc::default(), stop.clone());
    tokio::select! {
        () = serving => {}
        () = watch(&client, &mirror.of, &known) => {}
        () = crate::serve::told_to_stop() => {}
    }
    stop.cancel();
    Ok(())
}

fn client(mirror: &Mirror) -> Result<reqwest::Client> {
    // Whoever was first has set the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match &mirror.authority {
        None => builder,
        Some(file) => {
            let pem = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let authority = reqwest::Certificate::from_pem(&pem)
                .with_context(|| format!("{} holds no certificate", file.display()))?;
            builder.tls_certs_only([authority])
        }
    };
    builder.build().context("preparing to ask the core")
}

async fn watch(client: &reqwest::Client, of: &str, known: &Known) {
    loop {
        match ask(client, of).await {
            Ok(status) => known.heard(status),
            Err(error) => tracing::warn!("the core does not answer: {error:#}"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn ask(client: &reqwest::Client, of: &str) -> Result<Status> {
    let mut answer = client.get(format!("{of}/status.json")).send().await?;
    if !answer.status().is_success() {
        bail!("it answered with {}", answer.status());
    }
    let mut octets = Vec::new();
    while let Some(part) = answer.chunk().await? {
        octets.extend_from_slice(&part);
        if octets.len() > LARGEST {
            bail!("its answer is too large");
        }
    }
    serde_json::from_slice(&octets).context("its answer is no status")
}

fn app(known: Arc<Known>) -> Router {
    Router::new()
        .route("/", get(async || Redirect::temporary("status")))
        .route("/status", get(shown))
        .route("/status.json", get(data))
        .with_state(known)
}

async fn shown(State(known): State<Arc<Known>>, headers: HeaderMap) -> Response {
    let (status, freshness) = known.now();
    page::answer(&status, freshness, page::language(&headers))
}

async fn data(State(known): State<Arc<Known>>) -> Response {
    let (mut status, freshness) = known.now();
    if let Freshness::Silent { .. } = freshness {
        // What the core said of itself then is not so now.
        status
            .parts
            .iter_mut()
            .for_each(|one| one.state = PartState::Unknown);
    }
    Json(status).into_response()
}

impl Known {
    fn heard(&self, status: Status) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Last {
            status: Some(status),
            answered: self.clock.now(),
        };
    }

    fn now(&self) -> (Status, Freshness) {
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let late = last.answered.saturating_add(SILENT_AFTER) < self.clock.now();
        let freshness = match (&last.status, late) {
            (Some(_), false) => Freshness::Now,
            (Some(_), true) | (None, _) => Freshness::Silent {
                since: last.answered,
            },
        };
        let unknown = || Status {
            name: self.of.clone(),
            at: Time(last.answered),
            parts: Part::ALL
                .iter()
                .map(|&part| PartNow {
                    part,
                    state: PartState::Unknown,
                })
                .collect(),
            incidents: Vec::new(),
        };
        (last.status.unwrap_or_else(unknown), freshness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let clock = Clock::default();
        Known {
            of: "https://core.example.com".to_owned(),
            last: Mutex::new(Last {
                status: None,
                answered: clock.now(),
            }),
            clock,
        }
    }

    #[test]
    fn g5_a_core_that_is_dead_is_told_with_since_when_and_one_that_comes_back_too() {
        let known = known();
        assert!(
            matches!(known.now().1, Freshness::Silent { .. }),
            "never heard"
        );
        let status = Status {
            name: "Antiphon".to_owned(),
            at: Time(known.clock.now()),
            parts: vec![PartNow {
                part: Part::Api,
                state: PartState::Up,
            }],
            incidents: Vec::new(),
        };
        known.heard(status.clone());
        assert_eq!(known.now(), (status.clone(), Freshness::Now));
        let heard = known.clock.now();
        known.clock.advance(SILENT_AFTER * 2);
        let (shown, freshness) = known.now();
        assert_eq!(shown, status, "what was known is kept");
        let Freshness::Silent { since } = freshness else {
            panic!("silent");
        };
        assert!(since <= heard);
        known.heard(status);
        assert_eq!(known.now().1, Freshness::Now);
    }

    #[tokio::test]
    async fn g5_the_page_asks_a_core_and_shows_what_it_says_elsewhere() {
        crate::store::testing::on_both(async |store| {
            let world = crate::people::testing::World::new(store).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let app = crate::api::api(world.core.clone());
            let serving =
                listener::serve(listener, Speaks::Plain, app, Arc::default(), stop.clone());
            let serving = tokio::spawn(serving);
            let mirror = Mirror {
                of: format!("http://{address}"),
                listen: address,
                authority: None,
            };
            let client = client(&mirror).unwrap();
            let status = ask(&client, &mirror.of).await.unwrap();
            assert_eq!(status.parts.len(), Part::ALL.len() - 1, "no mail");
            stop.cancel();
            serving.await.unwrap();
            assert!(ask(&client, &mirror.of).await.is_err(), "it is dead");
        })
        .await;
    }
}
