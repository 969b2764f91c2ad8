//! The page: the site in a browser, worked by the same orders as everywhere.
//!
//! Three files without a build step, a socket for orders and the picture, and one for the sound of
//! each station. It asks nobody for anything: everything comes from here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use legacy_protocols::number::Party;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::control;
use super::run::Ask;
use super::sound::{self, FRAME, Frame};

/// Nothing from elsewhere, no code in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const LONGEST_MESSAGE: usize = 8192;
/// Frames that wait for a browser: 200 ms.
const HEARD: usize = 10;

#[derive(Clone)]
pub(super) struct Shared {
    tell: mpsc::Sender<Ask>,
    sound: sound::Handle,
    drawing: watch::Receiver<Arc<str>>,
    stations: Arc<BTreeMap<String, Party>>,
}

impl Shared {
    pub(super) fn new(
        tell: mpsc::Sender<Ask>,
        sound: sound::Handle,
        drawing: watch::Receiver<Arc<str>>,
        stations: BTreeMap<String, Party>,
    ) -> Self {
        Self {
            tell,
            sound,
            drawing,
            stations: Arc::new(stations),
        }
    }
}

pub(super) async fn listen(at: SocketAddr, shared: Shared) -> Result<SocketAddr> {
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("the page cannot be at {at}; is it in use?"))?;
    let place = listener.local_addr()?;
    let html = "text/html; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    let router = Router::new()
        .route(
            "/",
            get(move || file(html, include_str!("page/index.html"))),
        )
        .route(
            "/site.css",
            get(|| file("text/css; charset=utf-8", include_str!("page/site.css"))),
        )
        .route(
            "/site.js",
            get(move || file(script, include_str!("page/site.js"))),
        )
        .route(
            "/sound.js",
            get(move || file(script, include_str!("page/sound.js"))),
        )
        .route(
            "/speaker.js",
            get(move || file(script, include_str!("page/speaker.js"))),
        )
        .route(
            "/icon.svg",
            get(|| file("image/svg+xml", include_str!("page/icon.svg"))),
        )
        .route("/orders", get(orders))
        .route("/sound/{station}", get(sound_of))
        .with_state(shared);
    tokio::spawn(async move {
        // It ends with the program.
        let _ = axum::serve(listener, router).await;
    });
    Ok(place)
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// A page from elsewhere, open in the same browser, may not work the site.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.strip_prefix("http://") == Some(host),
        // No browser: a program on this machine.
        (None, _) => true,
        (Some(_), None) => false,
    }
}

async fn orders(
    State(shared): State<Shared>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_page(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .on_upgrade(|socket| async move {
            // A browser that goes away is not told why.
            let _ = work(socket, shared).await;
        })
}

/// The picture whenever it changes; each order that comes is answered.
async fn work(mut socket: WebSocket, shared: Shared) -> Result<()> {
    let mut drawing = shared.drawing.clone();
    drawing.mark_changed();
    let (answer, mut answers) = mpsc::channel::<String>(16);
    loop {
        tokio::select! {
            changed = drawing.changed() => {
                changed?;
                let view = drawing.borrow_and_update().to_string();
                if !view.is_empty() {
                    socket.send(Message::text(view)).await?;
                }
            }
            Some(text) = answers.recv() => socket.send(Message::text(text)).await?,
            message = socket.recv() => match message {
                Some(Ok(Message::Text(order))) => {
                    let (tell, answer) = (shared.tell.clone(), answer.clone());
                    let order = order.as_str().to_owned();
                    tokio::spawn(async move {
                        let said = control::ask(&tell, order.clone()).await;
                        if let Ok(Err(error)) = said {
                            let text = serde_json::json!({ "order": order, "error": error });
                            let _ = answer.send(text.to_string()).await;
                        }
                    });
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
            },
        }
    }
}

async fn sound_of(
    State(shared): State<Shared>,
    Path(station): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_page(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(station) = shared.stations.get(&station).copied() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let _ = speak(socket, station, shared.sound).await;
        })
}

/// Frames of 20 ms, 16 kHz, 16 bits, little endian, each way.
async fn speak(mut socket: WebSocket, station: Party, sound: sound::Handle) -> Result<()> {
    let (to, mut heard) = mpsc::channel(HEARD);
    sound.order(sound::Order::Listen { station, to });
    loop {
        tokio::select! {
            frame = heard.recv() => {
                let frame: Frame = frame.context("there is no sound any more")?;
                let octets: Vec<u8> = frame.iter().flat_map(|s| s.to_le_bytes()).collect();
                socket.send(Message::binary(octets)).await?;
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(octets))) => {
                    for chunk in octets.chunks_exact(FRAME * 2) {
                        let frame = Box::new(read(chunk));
                        sound.order(sound::Order::Say { station, frame });
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
            },
        }
    }
}

fn read(octets: &[u8]) -> Frame {
    let mut frame = [0; FRAME];
    for (sample, pair) in frame.iter_mut().zip(octets.chunks_exact(2)) {
        *sample = i16::from_le_bytes([pair[0], pair[1]]);
    }
    frame
}
