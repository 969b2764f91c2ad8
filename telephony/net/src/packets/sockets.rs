//! The sockets of one worker, and what its handler may do with them.
//!
//! Invariant: a [`SocketKey`] of a detached socket never means another one.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use thiserror::Error;
use tokio::sync::mpsc;

use super::counters::{Shared, add};
use super::pool::{Lease, PortPair};

/// A socket of one worker: a small dense number, and which use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketKey {
    index: u32,
    generation: u32,
}

impl SocketKey {
    /// Small and dense: fit for an index. Used again after the socket is detached.
    pub fn index(self) -> u32 {
        self.index
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> SocketKey {
        SocketKey {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// Why sockets were not attached.
#[derive(Debug, Error)]
pub enum AttachError {
    #[error("the worker has as many sockets as allowed ({0}); spread calls over more workers")]
    Full(usize),
    #[error("the kernel does not watch the socket")]
    Watch(#[source] io::Error),
}

#[derive(Debug)]
struct Attached {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    /// Keeps the pair's ports from being bound anew.
    _lease: Arc<Lease>,
}

/// A socket between two workers: what comes meanwhile waits in it.
#[derive(Debug)]
pub struct Loose(Attached);

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    attached: Option<Attached>,
}

/// The sockets and the way out, lent to the handler.
#[derive(Debug)]
pub struct Io<E> {
    epoll: OwnedFd,
    slots: Vec<Slot>,
    free: Vec<u32>,
    max: usize,
    events: mpsc::Sender<E>,
    counters: Arc<Shared>,
}

impl<E> Io<E> {
    pub(crate) fn new(
        epoll: OwnedFd,
        max: usize,
        events: mpsc::Sender<E>,
        counters: Arc<Shared>,
    ) -> Io<E> {
        Io {
            epoll,
            slots: Vec::new(),
            free: Vec::new(),
            max,
            events,
            counters,
        }
    }

    /// Receives from both sockets of a pair from now on. The ports go back to
    /// their pool when both are detached.
    pub fn attach(&mut self, pair: PortPair) -> Result<(SocketKey, SocketKey), AttachError> {
        let PortPair { rtp, rtcp, lease } = pair;
        let lease = Arc::new(lease);
        let attached = |socket, lease| Attached {
            socket,
            peer: None,
            _lease: lease,
        };
        let rtp = self.attach_one(attached(rtp, lease.clone()))?;
        match self.attach_one(attached(rtcp, lease)) {
            Ok(rtcp) => Ok((rtp, rtcp)),
            Err(error) => {
                self.detach(rtp);
                Err(error)
            }
        }
    }

    /// Receives from a socket that another worker has let go.
    pub fn adopt(&mut self, loose: Loose) -> Result<SocketKey, AttachError> {
        self.attach_one(loose.0)
    }

    fn attach_one(&mut self, attached: Attached) -> Result<SocketKey, AttachError> {
        let index = match self.free.last() {
            Some(index) => *index,
            None if self.slots.len() >= self.max => return Err(AttachError::Full(self.max)),
            None => self.slots.len() as u32,
        };
        let slot = self.slots.get(index as usize);
        let key = SocketKey {
            index,
            generation: slot.map_or(0, |slot| slot.generation),
        };
        let data = EventData::new_u64(key.to_bits());
        epoll::add(&self.epoll, &attached.socket, data, EventFlags::IN)
            .map_err(|errno| AttachError::Watch(errno.into()))?;
        let attached = Some(attached);
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                slot.attached = attached;
                self.free.pop();
            }
            None => self.slots.push(Slot {
                generation: 0,
                attached,
            }),
        }
        self.counters.sockets.fetch_add(1, Relaxed);
        Ok(key)
    }

    /// Closes the socket.
    pub fn detach(&mut self, key: SocketKey) {
        self.let_go(key);
    }

    /// Gives the socket away, open as it is, for [`Io::adopt`] of another worker.
    pub fn let_go(&mut self, key: SocketKey) -> Option<Loose> {
        let slot = self.slots.get_mut(key.index as usize);
        let slot = slot.filter(|slot| slot.generation == key.generation)?;
        let attached = slot.attached.take()?;
        // Closing alone would do, unless somebody duplicated the socket.
        let _ = epoll::delete(&self.epoll, &attached.socket);
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        self.counters.sockets.fetch_sub(1, Relaxed);
        Some(Loose(attached))
    }

    /// From now on the kernel drops what comes from elsewhere, and sending to
    /// `peer` looks up no route.
    pub fn connect(&mut self, key: SocketKey, peer: SocketAddr) -> io::Result<()> {
        let attached = self.attached_mut(key)?;
        attached.socket.connect(peer)?;
        attached.peer = Some(peer);
        Ok(())
    }

    /// Receives from anybody again.
    pub fn disconnect(&mut self, key: SocketKey) -> io::Result<()> {
        let attached = self.attached_mut(key)?;
        rustix::net::connect_unspec(&attached.socket)?;
        attached.peer = None;
        Ok(())
    }

    /// Sends now or never; failures are counted.
    pub fn send(&mut self, key: SocketKey, to: SocketAddr, datagram: &[u8]) {
        let Some(attached) = self.attached(key) else {
            return;
        };
        let socket = &attached.socket;
        let once = || match attached.peer == Some(to) {
            true => rustix::net::send(socket, datagram, SendFlags::empty()),
            false => rustix::net::sendto(socket, datagram, SendFlags::empty(), &to),
        };
        let sent = once().or_else(|error| match error {
            // The answer to an earlier datagram; this one has not been tried.
            Errno::CONNREFUSED => {
                add(&self.counters.unreachable);
                once()
            }
            _ => Err(error),
        });
        let counter = match sent {
            Ok(_) => &self.counters.sent,
            Err(Errno::AGAIN | Errno::NOBUFS) => &self.counters.send_full,
            Err(Errno::CONNREFUSED) => &self.counters.unreachable,
            Err(_) => &self.counters.send_failed,
        };
        add(counter);
    }

    /// Tells the owner; counted and lost if it is too slow.
    pub fn event(&mut self, event: E) {
        if self.events.try_send(event).is_err() {
            add(&self.counters.events_dropped);
        }
    }

    pub(crate) fn receive(&self, key: SocketKey, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        // The source is asked for on connected sockets too: what was queued
        // before the connection may be anybody's.
        let socket = &self.attached(key)?.socket;
        let room = buffer.len();
        // Truncation is seen by the length that the datagram had.
        match rustix::net::recvfrom(socket, buffer, RecvFlags::TRUNC) {
            Ok((_, len, _)) if len > room => {
                add(&self.counters.oversized);
                None
            }
            Ok((_, len, from)) => {
                add(&self.counters.received);
                Some((len, SocketAddr::try_from(from?).ok()?))
            }
            Err(error) => {
                match error {
                    Errno::AGAIN | Errno::INTR => {}
                    Errno::CONNREFUSED => add(&self.counters.unreachable),
                    _ => add(&self.counters.receive_failed),
                }
                None
            }
        }
    }

    pub(crate) fn is_attached(&self, key: SocketKey) -> bool {
        self.attached(key).is_some()
    }

    fn attached(&self, key: SocketKey) -> Option<&Attached> {
        let slot = self.slots.get(key.index as usize)?;
        let current = slot.generation == key.generation;
        slot.attached.as_ref().filter(|_| current)
    }

    fn attached_mut(&mut self, key: SocketKey) -> io::Result<&mut Attached> {
        let slot = self.slots.get_mut(key.index as usize);
        slot.filter(|slot| slot.generation == key.generation)
            .and_then(|slot| slot.attached.as_mut())
            .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the socket is detached"))
    }

    pub(crate) fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }
}
