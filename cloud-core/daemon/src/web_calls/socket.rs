//! One page's connection: who it is, how much it says, and that it is still there.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use cloud_logic::ids::{CompanyId, UserId};
use cloud_logic::rights::Permission;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::messages::{LONGEST, Said, Told, Trouble, VERSION, read};
use super::said::Speaker;
use super::{PATIENCE, SocketError, WebCalls, secret_name};
use crate::api::{Code, Problem};
use crate::core::Core;
use crate::people::{Caller, account_of, rights_now};

/// A page that has not said hello by then has nothing to say.
const HELLO: Duration = Duration::from_secs(10);
/// How often it is asked whether it is there, and whether its user may still take calls.
const ASK: Duration = Duration::from_secs(15);
/// Silence after which it is gone.
const SILENCE: Duration = Duration::from_secs(40);
/// Messages in a second, and so many at once.
const PER_SECOND: u32 = 30;
const AT_ONCE: u32 = 120;
/// Messages that wait for a slow page.
const WAITING: usize = 128;

/// Takes a page that is signed in, and no other site's.
pub(super) async fn open(
    State(core): State<Core>,
    caller: Caller,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let user = caller.user()?;
    // A browser sends cookies with a WebSocket of any page, and says whose page it is (RFC 6455 10.2).
    let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    let ours = core.people.site().origin.as_bytes();
    if origin.map_or(!caller.shows_token(), |origin| origin != ours) {
        return Err(Problem::new(
            Code::ForeignOrigin,
            "Calls are taken by pages of this portal only. Programs use tokens instead of cookies.",
        ));
    }
    if caller.visible(Permission::WebClientUse).is_empty() {
        return Err(Problem::new(
            Code::NotAllowed,
            "This needs the permission web_client.use. Ask an administrator.",
        ));
    }
    let Some(calls) = core.web_calls.clone() else {
        return Err(Problem::new(
            Code::Unavailable,
            "This core takes no calls in browsers; listen.web_calls of its configuration is left out.",
        ));
    };
    let place = calls.inner.sockets.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Problem::new(Code::Unavailable, "Too many pages take calls.").retry_after(10)
    })?;
    let mut tx = core.store.read().await?;
    let account = account_of(&mut tx, user).await?;
    drop(tx);
    let (company, name) = account.ok_or_else(Problem::not_found)?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let page = Page {
            core,
            caller,
            calls,
            who: (company, user),
            name,
        };
        page.serve(socket).await;
        drop(place);
    }))
}

struct Page {
    core: Core,
    caller: Caller,
    calls: WebCalls,
    who: (CompanyId, UserId),
    name: String,
}

impl Page {
    async fn serve(self, mut socket: WebSocket) {
        let stop = self.calls.inner.stop.clone();
        let (tell, told) = mpsc::channel(WAITING);
        let entered = tokio::select! {
            () = stop.cancelled() => return,
            entered = tokio::time::timeout(HELLO, self.hello(&mut socket, tell)) => entered,
        };
        let Ok(Ok((speaker, number))) = entered else {
            return;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            ended = self.talk(&mut socket, &speaker, told) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "the socket of a page ends");
                }
            }
        }
        self.calls
            .hall()
            .leave(&speaker.tab, number, Instant::now());
        // A page that is gone does not hear it.
        let _ = socket.send(Message::Close(None)).await;
    }

    /// Until it has said who it is.
    async fn hello(
        &self,
        socket: &mut WebSocket,
        tell: mpsc::Sender<Told>,
    ) -> Result<(Speaker, u64), SocketError> {
        let mut purse = Purse::new();
        loop {
            let text = next(socket).await?;
            if !purse.spend(Instant::now()) {
                self.calls.figures().add(|figures| &figures.pages_cut_off);
                return Err(SocketError::Gone);
            }
            let Some(text) = text else { continue };
            let wanted = match read(&text) {
                Ok(Said::Hello { version: 1.., tab }) => tab,
                Ok(Said::Hello { .. }) => {
                    let detail = format!("This core speaks version {VERSION} and newer ones.");
                    self.trouble(socket, Trouble::new("version", "/version", detail))
                        .await?;
                    continue;
                }
                Ok(_) => {
                    let trouble = Trouble::new("say_hello", "/kind", "Say hello first.");
                    self.trouble(socket, trouble).await?;
                    continue;
                }
                Err(trouble) => {
                    self.trouble(socket, trouble).await?;
                    continue;
                }
            };
            let fresh = secret_name::<16>();
            let entered = self
                .calls
                .hall()
                .enter(self.who, wanted.as_deref(), fresh, tell.clone());
            let (tab, number, calls) = match entered {
                Ok(entered) => entered,
                Err(trouble) => {
                    self.trouble(socket, trouble).await?;
                    return Err(SocketError::Gone);
                }
            };
            if wanted.as_deref() == Some(tab.as_str()) {
                self.calls.figures().add(|figures| &figures.pages_back);
            }
            let welcome = Told::Welcome {
                version: VERSION,
                tab: tab.clone(),
                calls,
                patience: PATIENCE.as_secs(),
            };
            let (user, name) = (self.who.1, self.name.clone());
            send(socket, &welcome).await?;
            return Ok((Speaker { tab, user, name }, number));
        }
    }

    async fn talk(
        &self,
        socket: &mut WebSocket,
        speaker: &Speaker,
        mut told: mpsc::Receiver<Told>,
    ) -> Result<(), SocketError> {
        let mut purse = Purse::new();
        let mut heard = Instant::now();
        let mut ask = interval(ASK);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ask.tick().await;
        loop {
            tokio::select! {
                text = next(socket) => {
                    heard = Instant::now();
                    let text = text?;
                    if !purse.spend(heard) {
                        self.calls.figures().add(|figures| &figures.pages_cut_off);
                        let trouble = Trouble::new("too_fast", "", "Say less, then come back.");
                        return self.trouble(socket, trouble).await;
                    }
                    let Some(text) = text else { continue };
                    let done = match read(&text) {
                        Ok(said) => self.calls.said(speaker, said).await,
                        Err(trouble) => Err(trouble),
                    };
                    if let Err(trouble) = done {
                        self.trouble(socket, trouble).await?;
                    }
                }
                Some(one) = told.recv() => {
                    let over = matches!(&one, Told::Error(trouble) if trouble.code == "replaced");
                    send(socket, &one).await?;
                    if over {
                        return Ok(());
                    }
                }
                _ = ask.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Ok(());
                    }
                    if !self.may_stay().await? {
                        let trouble = Trouble::new("signed_out", "", "Sign in again.");
                        return self.trouble(socket, trouble).await;
                    }
                    let ping = Message::Ping(Vec::new().into());
                    socket.send(ping).await.map_err(|_| SocketError::Gone)?;
                }
            }
        }
    }

    /// A right that ends, ends here too.
    async fn may_stay(&self) -> Result<bool, SocketError> {
        let mut tx = self.core.store.read().await?;
        let now = self.core.now();
        match rights_now(&mut tx, &self.core, &self.caller).await {
            Ok(Some(rights)) => Ok(!rights.visible(Permission::WebClientUse, now).is_empty()),
            Ok(None) => Ok(false),
            // A store that does not answer for now ends no call.
            Err(_) => Ok(true),
        }
    }

    async fn trouble(&self, socket: &mut WebSocket, trouble: Trouble) -> Result<(), SocketError> {
        self.calls
            .figures()
            .add(|figures| &figures.messages_refused);
        send(socket, &Told::Error(trouble)).await
    }
}

/// The next text; nothing where it was a sign of life.
async fn next(socket: &mut WebSocket) -> Result<Option<String>, SocketError> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Ok(Some(String::new())),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(SocketError::Gone),
    }
}

async fn send(socket: &mut WebSocket, told: &Told) -> Result<(), SocketError> {
    let text = serde_json::to_string(told).unwrap_or_default();
    let sent = tokio::time::timeout(SILENCE, socket.send(Message::Text(text.into()))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(SocketError::Gone),
    }
}

/// How much a page may say.
struct Purse {
    left: f64,
    since: Instant,
}

impl Purse {
    fn new() -> Self {
        Self {
            left: f64::from(AT_ONCE),
            since: Instant::now(),
        }
    }

    fn spend(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.since).as_secs_f64() * f64::from(PER_SECOND);
        self.left = (self.left + earned).min(f64::from(AT_ONCE)) - 1.0;
        self.since = now;
        self.left >= 0.0
    }
}
