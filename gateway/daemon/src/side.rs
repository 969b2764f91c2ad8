//! The small thread beside the main one: metrics, control socket, reading the configuration again,
//! opening doors by URL.
//!
//! Nothing here is needed for a call that runs. Invariant: what it tells the main loop goes through
//! bounded channels; the main loop never waits for it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use exchange::UrlRequest;
use net::tasks::{Ended, Tasks, Why};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::control::server::{self, ControlSocket, ToMainLoop};
use crate::metrics::{Figures, http};
use crate::reload::{self, ReloadAsked, Reloaded, Reloader};
use crate::urls::{self, RemoteOrder, UrlAnswered};

/// How long the tasks may take to stop.
const GRACE: Duration = Duration::from_secs(1);

/// What the thread is to do.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) metrics: TcpListener,
    pub(crate) figures: Arc<Figures>,
    pub(crate) control: ControlSocket,
    pub(crate) to_main: ToMainLoop,
    pub(crate) reloader: Reloader,
    pub(crate) reload_asked: mpsc::Receiver<ReloadAsked>,
    pub(crate) reloaded: mpsc::Sender<Box<Reloaded>>,
    pub(crate) urls: mpsc::Receiver<UrlRequest>,
    pub(crate) remotes: mpsc::Receiver<RemoteOrder>,
    pub(crate) url_answers: mpsc::Sender<UrlAnswered>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Side {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Side {
    pub(crate) fn start(work: Work) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("side-blocking")
            .max_blocking_threads(2)
            .build()?;
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("side".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(run(work, stopped)) {
                    tracing::error!(%error, "metrics and control socket could not be served");
                }
            })?;
        Ok(Self { stop, thread })
    }

    /// Stops all tasks and waits for the thread.
    pub(crate) fn finish(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the side thread panicked");
        }
    }
}

async fn run(work: Work, stop: CancellationToken) -> io::Result<()> {
    work.metrics.set_nonblocking(true)?;
    let metrics = tokio::net::TcpListener::from_std(work.metrics)?;
    let control = work.control.listen()?;
    let mut tasks = Tasks::new();
    let token = || tasks.stop().clone();
    let serve_metrics = http::serve(metrics, work.figures, token());
    let serve_control = server::serve(control, work.to_main, token());
    let reloading = reload::serve(work.reloader, work.reload_asked, work.reloaded, token());
    let opening = urls::serve(work.urls, work.remotes, work.url_answers, token());
    tasks.spawn("metrics", async move {
        serve_metrics.await;
        Ok(())
    });
    tasks.spawn("control", async move {
        serve_control.await;
        Ok(())
    });
    tasks.spawn("reload", async move {
        reloading.await;
        Ok(())
    });
    tasks.spawn("urls", async move {
        opening.await;
        Ok(())
    });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            ended = tasks.ended() => match ended {
                // The main loop has let go of its end: the gateway is stopping.
                Some(Ended { why: Why::Finished, .. }) => {}
                Some(Ended { name, why }) => tracing::error!(
                    task = name,
                    %why,
                    "a task has ended; calls go on without it until the gateway is restarted"
                ),
                None => {
                    stop.cancelled().await;
                    break;
                }
            },
        }
    }
    tasks.shutdown(GRACE).await;
    Ok(())
}
