//! A line with its task, as its owner sees it.

use std::time::Duration;

use bytes::Bytes;
use net::lines::{
    LineCounters, LineEnd, LineEvent, LineHandle, LineKey, Medium, Told, line, serve,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes; turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Line {
    pub(crate) handle: LineHandle,
    told: mpsc::Receiver<Told>,
    task: JoinHandle<std::io::Result<()>>,
    pub(crate) local: Option<std::net::SocketAddr>,
    /// Those who were not let in.
    pub(crate) refused: Vec<String>,
}

impl Line {
    pub(crate) fn over(medium: Medium) -> Self {
        let (events, told) = mpsc::channel(64);
        let (handle, orders) = line(LineKey(1), events);
        let bound = medium.bind().unwrap();
        let local = bound.local();
        let task = tokio::spawn(serve(bound, orders));
        Self {
            handle,
            told,
            task,
            local,
            refused: Vec::new(),
        }
    }

    pub(crate) async fn event(&mut self) -> LineEvent {
        loop {
            let told = timeout(PATIENCE, self.told.recv()).await;
            let told = told.expect("an event should come").expect("a task");
            let heard = self.handle.hears(&told);
            match told.event {
                LineEvent::Refused { peer, why } => self.refused.push(format!("{peer}: {why}")),
                event if heard => return event,
                _ => {}
            }
        }
    }

    pub(crate) async fn opened(&mut self) -> String {
        match self.event().await {
            LineEvent::Opened { peer } => peer,
            event => panic!("expected an opening, got {event:?}"),
        }
    }

    pub(crate) async fn closed(&mut self) -> LineEnd {
        loop {
            match self.event().await {
                LineEvent::Closed(end) => return end,
                LineEvent::Received(_) => {}
                event @ (LineEvent::Opened { .. } | LineEvent::Refused { .. }) => {
                    panic!("expected an end, got {event:?}")
                }
            }
        }
    }

    pub(crate) async fn closed_whatever_came_before(&mut self) {
        while !matches!(self.event().await, LineEvent::Closed(_)) {}
    }

    /// The stream's next `length` octets.
    pub(crate) async fn received(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.event().await {
                LineEvent::Received(octets) => all.extend(octets),
                event => panic!("expected octets, got {event:?} behind {all:02X?}"),
            }
        }
        assert_eq!(all.len(), length, "{all:02X?}");
        all
    }

    pub(crate) fn send(&self, octets: &[u8]) {
        self.handle.send(Bytes::copy_from_slice(octets)).unwrap();
    }

    pub(crate) fn counters(&self) -> LineCounters {
        self.handle.counters()
    }

    /// The task ends when its owner is gone.
    pub(crate) async fn finish(self) {
        let Self {
            handle, told, task, ..
        } = self;
        drop((handle, told));
        timeout(PATIENCE, task)
            .await
            .expect("the task should end with its owner")
            .unwrap()
            .unwrap();
    }
}
