//! The thread on which the tasks of all lines run.
//!
//! Certificates are proved and B channels are carried here, so that neither holds up a call.

use std::io;
use std::thread::JoinHandle;

use net::lines::{Bound, LineOrders, serve};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::isdn::IsdnLine;

/// What the task of a line serves.
#[derive(Debug)]
pub(super) enum Served {
    Stream(Bound),
    Isdn(Box<IsdnLine>),
}

#[derive(Debug)]
pub(super) struct Thread {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Thread {
    pub(super) fn start(lines: Vec<(Served, LineOrders)>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || runtime.block_on(run(lines, stopped)))?;
        Ok(Self { stop, thread })
    }

    pub(super) fn finish(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the thread of the lines panicked");
        }
    }
}

async fn run(lines: Vec<(Served, LineOrders)>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for (line, orders) in lines {
        match line {
            Served::Stream(bound) => tasks.spawn(serve(bound, orders)),
            Served::Isdn(line) => tasks.spawn(line.serve(orders)),
        };
    }
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = tasks.join_next() => ended,
        };
        match ended {
            // The main loop has let go of its end.
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => tracing::error!(%error, "a line is served no longer"),
            Some(Err(error)) => tracing::error!(%error, "the task of a line has failed"),
            None => return stop.cancelled().await,
        }
    }
}
