//! The running core: opens the store, binds the listeners, starts the tasks, and ends them again.
//!
//! The composition root. Invariant: nothing is bound before the configuration is valid, the store is
//! open and the keys are there; when it ends, every task has ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use cloud_logic::ids::NodeId;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::blobs::Blobs;
use crate::calls;
use crate::claims;
use crate::clock::Clock;
use crate::config::Settings;
use crate::core::{Core, NewId};
use crate::devices;
use crate::devices::commands::{Orders, take_orders};
use crate::front_door;
use crate::keys::{Addresses, Keys, Sealer, revocation_lists};
use crate::listener::{self, Figures, Manner, Speaks};
use crate::mail::{self, Mail};
use crate::notices;
use crate::people::{self, People, Site};
use crate::retention::{self, ForgottenSoFar};
use crate::service::metrics::{self, Sources};
use crate::store::{Store, exchange_hints};
use crate::web_calls::WebCalls;

/// Devices at once on one node.
const DEVICES: usize = 50_000;

pub(crate) async fn run(settings: Settings) -> Result<()> {
    let store = Store::open(&settings.store).await?;
    let mut core = open(&settings, store.clone()).await?;
    let stop = CancellationToken::new();
    let attendant = match settings.listen.web_calls.clone() {
        None => None,
        Some(config) => {
            let (calls, attendant) = WebCalls::open(config, stop.clone())?;
            tracing::info!(addresses = ?calls.edge().told(), "browsers take calls");
            core.web_calls = Some(calls);
            Some(attendant)
        }
    };
    let api = bind(settings.listen.api).await?;
    let revocation = bind(settings.listen.revocation).await?;
    let metrics = match settings.listen.metrics {
        None => None,
        Some(address) => Some(bind(address).await?),
    };

    let door = front_door::Settings {
        listen: settings.listen.devices,
        plain: settings.listen.devices_plain,
        sockets: DEVICES,
        broker: settings.broker.clone(),
    };
    let door = front_door::open(core.clone(), door).await?;
    tracing::info!(address = %door.address(), plain = ?door.plain_address(), "devices come in");

    let calls = match settings.calls.clone() {
        None => None,
        Some(settings) => {
            let pages = core.web_calls.as_ref().map(WebCalls::commands);
            let calls = calls::open(core.clone(), settings, pages).await?;
            if let Some(pages) = &core.web_calls {
                pages.join(calls.pages());
            }
            Some(calls)
        }
    };

    let proxies = Arc::new(settings.listen.proxies.clone());
    let mut tasks = JoinSet::new();
    let web = match settings.listen.api_speaks_tls {
        true => Speaks::Tls(core.keys.web_tls()),
        false => Speaks::Plain,
    };
    tracing::info!(address = %api.local_addr()?, url = %settings.url, "the core serves");
    let sources = Sources {
        started: core.now(),
        door: door.figures(),
        api: Arc::default(),
        revocation: Arc::default(),
        core: core.clone(),
        calls: calls
            .as_ref()
            .map(calls::Calls::figures)
            .unwrap_or_default(),
    };
    let mut listen = |listener, speaks, app, figures: &Arc<Figures>| {
        let manner = Manner {
            proxies: Arc::clone(&proxies),
            ..Speaks::into(speaks)
        };
        let (figures, stop) = (Arc::clone(figures), stop.clone());
        tasks.spawn(listener::serve(listener, manner, app, figures, stop));
    };
    listen(api, web, api::api(core.clone()), &sources.api);
    let lists = revocation_lists(core.clone());
    listen(revocation, Speaks::Plain, lists, &sources.revocation);
    if let Some(metrics) = metrics {
        tracing::info!(address = %metrics.local_addr()?, "figures are served");
        listen(
            metrics,
            Speaks::Plain,
            metrics::app(sources),
            &Arc::default(),
        );
    }
    let tended = (core.keys.clone(), core.clone(), stop.clone());
    tasks.spawn(async move { tended.0.tend(&tended.1, tended.2).await });
    tasks.spawn(claims::tend(core.clone(), stop.clone()));
    tasks.spawn(people::tend(core.clone(), stop.clone()));
    tasks.spawn(take_orders(core.clone(), stop.clone()));
    tasks.spawn(devices::edits::tend(core.clone(), stop.clone()));
    tasks.spawn(mail::run(core.clone(), stop.clone()));
    let node = NodeId::new_at(core.now()).to_string();
    tasks.spawn(exchange_hints(core.store.clone(), node, stop.clone()));
    tasks.spawn(retention::tend(core.clone(), stop.clone()));
    tasks.spawn(people::tend_exports(core.clone(), stop.clone()));
    tasks.spawn(notices::run(core.clone(), stop.clone()));
    if let Some(calls) = calls {
        tracing::info!(address = %calls.address(), "gateways come in for calls");
        tasks.spawn(calls.run(stop.clone()));
    }
    if let Some(attendant) = attendant {
        tasks.spawn(attendant.run(stop.clone()));
    }

    notify(&[NotifyState::Ready]);
    tokio::select! {
        () = told_to_stop() => {}
        ended = tasks.join_next() => tracing::error!(?ended, "a task ended before its time"),
    }
    notify(&[NotifyState::Stopping]);
    stop.cancel();
    door.close().await;
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task of the core")?;
    }
    store.close().await;
    Ok(())
}

/// The parts that the settings name, put together.
pub(crate) async fn open(settings: &Settings, store: Store) -> Result<Core> {
    let clock = Clock::default();
    let sealer = Sealer::open(&key_file(settings))?;
    let addresses = Addresses {
        lists: format!("http://{}", settings.host),
        mqtt: format!("{}:8883", settings.host),
        https: settings.url.clone(),
        calls: settings.calls.as_ref().map(|calls| {
            let port = calls.listen.port();
            format!("{}:{port}", settings.host)
        }),
        names: vec![settings.host.clone()],
    };
    let keys = Keys::open(&store, &clock, sealer, addresses).await?;
    let people = People::new(Site {
        origin: settings.url.clone(),
        name: settings.name.clone(),
    });
    Ok(Core {
        store,
        clock,
        keys,
        people,
        blobs: Blobs::open(&settings.blobs.place, settings.blobs.room)?,
        mail: Mail::new(settings.mail.clone()),
        orders: Orders::default(),
        tally: api::Tally::new(settings.limits),
        forgotten: ForgottenSoFar::default(),
        subscriptions: settings.subscriptions,
        streams: crate::core::streams(),
        web_calls: None,
    })
}

/// Where the key that seals all secrets is kept.
pub(crate) fn key_file(settings: &Settings) -> PathBuf {
    settings.folder.join("keys")
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}; is another program there?"))
}

pub(crate) async fn told_to_stop() {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        // Without signals the service manager kills the process, which loses nothing.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Tells systemd what the service is doing; outside systemd it does nothing.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told about the state of the service");
    }
}
