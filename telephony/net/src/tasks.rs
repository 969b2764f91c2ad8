//! Named tasks under supervision: whoever ends or panics is reported by name, and all are stopped
//! together with a grace period.
//!
//! It does not restart anything: what an end means is for the owner to say.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use thiserror::Error;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A task that says why it ended.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Tasks of one owner. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<Outcome>,
    names: HashMap<task::Id, &'static str>,
    stop: CancellationToken,
}

/// A task is over.
#[derive(Debug)]
pub struct Ended {
    pub name: &'static str,
    pub why: Why,
}

#[derive(Debug, Error)]
pub enum Why {
    /// As was asked, or because its work was done.
    #[error("finished")]
    Finished,
    #[error("failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    #[error("panicked: {0}")]
    Panicked(String),
    /// It did not stop within the grace period.
    #[error("aborted")]
    Aborted,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the tasks are to stop; each task watches a clone or a child of it.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The next task that ends; `None` when there are no tasks. Cancel-safe.
    pub async fn ended(&mut self) -> Option<Ended> {
        let (id, why) = match self.running.join_next_with_id().await? {
            Ok((id, Ok(()))) => (id, Why::Finished),
            Ok((id, Err(error))) => (id, Why::Failed(error)),
            Err(error) => (error.id(), fault(error)),
        };
        let name = self
            .names
            .remove(&id)
            .expect("every task is spawned with a name");
        Some(Ended { name, why })
    }

    /// Asks all tasks to stop, waits for them, and aborts those that are left after `grace`.
    /// Returns how each of them ended.
    pub async fn shutdown(mut self, grace: Duration) -> Vec<Ended> {
        self.stop.cancel();
        let deadline = Instant::now() + grace;
        let mut ended = Vec::new();
        while let Ok(next) = timeout_at(deadline, self.ended()).await {
            match next {
                Some(task) => ended.push(task),
                None => return ended,
            }
        }
        self.running.abort_all();
        while let Some(task) = self.ended().await {
            ended.push(task);
        }
        ended
    }
}

fn fault(error: JoinError) -> Why {
    match error.try_into_panic() {
        Ok(panic) => Why::Panicked(message(panic.as_ref())),
        Err(_cancelled) => Why::Aborted,
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(3_600);

    async fn one_task(task: impl Future<Output = Outcome> + Send + 'static) -> String {
        let mut tasks = Tasks::new();
        tasks.spawn("worker", task);
        let ended = tasks.ended().await.unwrap();
        assert!(tasks.ended().await.is_none());
        format!("{} {}", ended.name, ended.why)
    }

    #[tokio::test]
    async fn an_end_is_reported_with_name_and_reason() {
        assert_eq!(one_task(async { Ok(()) }).await, "worker finished");
        assert_eq!(
            one_task(async { Err("disk full".into()) }).await,
            "worker failed"
        );
        let panicking = async { panic!("no {}", "luck") };
        assert_eq!(one_task(panicking).await, "worker panicked: no luck");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_those_who_stop_and_aborts_the_rest() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop().clone();
        tasks.spawn("polite", async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.spawn("stubborn", std::future::pending());
        let started = Instant::now();
        let grace = Duration::from_secs(5);
        let ended = tasks.shutdown(grace).await;
        let ends: Vec<_> = ended
            .iter()
            .map(|end| format!("{} {}", end.name, end.why))
            .collect();
        assert_eq!(ends, ["polite finished", "stubborn aborted"]);
        assert_eq!(started.elapsed(), grace);
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_takes_no_longer_than_the_tasks() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop().clone();
        tasks.spawn("polite", async move {
            stop.cancelled().await;
            Ok(())
        });
        let started = Instant::now();
        assert_eq!(tasks.shutdown(NEVER).await.len(), 1);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
