//! Bodies of requests have to come at a pace.
//!
//! A body may take a while, and longer the larger it is; one that trickles in is broken off, so that
//! it holds nothing of the core for long. Invariant: a body of n octets is over after
//! `grace + n / per_second`, whole or not.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// How slow a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) grace: Duration,
    /// Octets.
    pub(crate) per_second: u32,
}

impl Pace {
    /// So long a body may take that has come so far.
    fn allows(self, octets: u64) -> Duration {
        let earned = Duration::from_secs(octets) / self.per_second.max(1);
        self.grace.saturating_add(earned)
    }
}

/// A body that came too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the body came too slowly")]
pub(crate) struct TooSlow;

/// A body that is broken off when it falls behind.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    pace: Pace,
    began: Instant,
    octets: u64,
    end: Pin<Box<Sleep>>,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, pace: Pace) -> Self {
        let began = Instant::now();
        Self {
            body,
            pace,
            began,
            octets: 0,
            end: Box::pin(tokio::time::sleep_until(began + pace.grace)),
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Poll::Ready(came) = Pin::new(&mut this.body).poll_frame(context) else {
            let late = this.end.as_mut().poll(context);
            return late.map(|()| Some(Err(TooSlow.into())));
        };
        if let Some(Ok(frame)) = &came
            && let Some(octets) = frame.data_ref()
        {
            this.octets = this.octets.saturating_add(octets.len() as u64);
            let end = this.began.checked_add(this.pace.allows(this.octets));
            if let Some(end) = end {
                this.end.as_mut().reset(end);
            }
        }
        Poll::Ready(came.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_the_more_has_come_the_longer_it_may_take() {
        let pace = Pace {
            grace: Duration::from_secs(15),
            per_second: 1024,
        };
        for (octets, seconds) in [(0, 15), (1023, 15), (1024, 16), (1 << 30, 15 + (1 << 20))] {
            assert_eq!(pace.allows(octets).as_secs(), seconds, "{octets}");
        }
        pace.allows(u64::MAX);
    }
}
