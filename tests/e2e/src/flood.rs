//! Many messages at once, from an address that means no good.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::raw;

/// The most a flood ever sends, should nobody end it.
const AT_MOST: u64 = 200_000;

/// A thread that sends datagrams until it is ended.
#[derive(Debug)]
pub struct Flood {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends `message(n, local)` for n = 0, 1, 2..., about `per_second` of them,
    /// from each of the addresses in turn.
    pub fn start(
        from: &[IpAddr],
        to: SocketAddr,
        per_second: u32,
        message: impl Fn(u64, SocketAddr) -> String + Send + 'static,
    ) -> Result<Self> {
        let sockets: Vec<UdpSocket> = from
            .iter()
            .map(|from| raw::socket_at(*from))
            .collect::<Result<_>>()?;
        let locals: Vec<SocketAddr> = sockets
            .iter()
            .map(UdpSocket::local_addr)
            .collect::<Result<_, _>>()?;
        let over = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (stop, count) = (Arc::clone(&over), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            for number in 0..AT_MOST {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let which = usize::try_from(number).unwrap_or(0) % sockets.len();
                // A full buffer on the way loses this one, as it would anywhere.
                let _ = sockets[which].send_to(message(number, locals[which]).as_bytes(), to);
                count.store(number + 1, Ordering::Relaxed);
                let due = Duration::from_secs_f64(number as f64 / f64::from(per_second));
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        });
        Ok(Self {
            over,
            sent,
            thread: Some(thread),
        })
    }

    /// How many went out so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub fn end(mut self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .context("ended once")?
            .join()
            .ok()
            .context("the flood's thread")?;
        Ok(self.sent())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
