//! The running core: opens the store, binds the listeners, starts the tasks, and ends them again.
//!
//! The composition root. Invariant: nothing is bound before the configuration is valid and the store
//! is open; when it ends, every task has ended.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::clock::Clock;
use crate::config::Settings;
use crate::core::Core;
use crate::store::Store;

pub(crate) async fn run(settings: Settings) -> Result<()> {
    std::fs::create_dir_all(&settings.folder)
        .with_context(|| format!("making the folder {}", settings.folder.display()))?;
    let store = Store::open(&settings.store).await?;
    let core = Core {
        store: store.clone(),
        clock: Clock::default(),
    };
    let listener = bind(settings.listen.api).await?;
    tracing::info!(address = %listener.local_addr()?, url = %settings.url, "the core serves");
    notify(&[NotifyState::Ready]);
    axum::serve(listener, api::api(core))
        .with_graceful_shutdown(told_to_stop())
        .await
        .context("serving")?;
    notify(&[NotifyState::Stopping]);
    store.close().await;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}; is another program there?"))
}

async fn told_to_stop() {
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
