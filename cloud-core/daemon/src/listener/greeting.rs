//! A connection has to begin: with so many octets as show which HTTP it speaks, in time.
//!
//! The library that tells HTTP/1 from HTTP/2 waits for them without end. Afterwards it has times of
//! its own, and this is out of the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Of the preface of HTTP/2 (RFC 9113 3.4); no request of HTTP/1.1 is shorter.
const GREETING: usize = 24;

#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    missing: usize,
    /// None once it has begun.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Greeted<S> {
    pub(super) fn within(time: Duration, stream: S) -> Self {
        Self {
            stream,
            missing: GREETING,
            end: Some(Box::pin(tokio::time::sleep(time))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        self.missing = self.missing.saturating_sub(came);
        if self.missing == 0 {
            self.end = None;
        }
        let late = match &mut self.end {
            Some(end) if read.is_pending() => end.as_mut().poll(context).is_ready(),
            Some(_) | None => false,
        };
        match late {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
