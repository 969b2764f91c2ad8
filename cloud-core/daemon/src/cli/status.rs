//! `status`: how a core is, for people and for monitors. Reads the store; the core may run or not.

use anyhow::Result;

use super::args::Status;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::Settings;
use crate::service::state;
use crate::store::Store;

/// What is told, and whether anything needs attention.
pub(super) async fn run(settings: &Settings, asked: &Status) -> Result<(String, bool)> {
    let store = Store::open(&settings.store).await?;
    let gathered = state::gather(&store, settings, Clock::default().now()).await;
    store.close().await;
    let state = gathered?;
    let told = match asked.json {
        true => format!("{:#}\n", serde_json::to_value(&state)?),
        false => state.to_string(),
    };
    Ok((told, !state.attention.is_empty()))
}

/// A monitor sees by the exit code that somebody should look.
pub(super) fn needs_attention() -> Failure {
    Failure {
        exit: Exit::Attention,
        error: anyhow::anyhow!("something needs attention"),
    }
}
