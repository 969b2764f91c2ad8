//! Sound that somebody beside the media threads takes: 20 ms of a leg at a time.
//!
//! A thread with packets never waits for whoever records or measures. What does not fit into the
//! queue is counted, nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use media::SampleRate;
use model::LegId;

/// 20 ms of a leg.
#[derive(Debug)]
pub struct Frame {
    pub leg: LegId,
    pub samples: Box<[i16]>,
    pub rate: SampleRate,
    pub at: Instant,
}

/// The end that a media thread holds.
#[derive(Clone, Debug)]
pub struct FrameSender {
    to: SyncSender<Frame>,
    lost: Arc<AtomicU64>,
}

impl FrameSender {
    /// A queue of at most so many frames, which counts in `lost` those that found no room.
    pub fn bounded(most: usize, lost: Arc<AtomicU64>) -> (Self, Receiver<Frame>) {
        let (to, frames) = sync_channel(most);
        (Self { to, lost }, frames)
    }

    pub(crate) fn send(&self, frame: Frame) {
        if self.to.try_send(frame).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
