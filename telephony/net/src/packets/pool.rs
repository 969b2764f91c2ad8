//! Pairs of UDP ports, bound before anybody asks.
//!
//! A thread of its own binds pairs, so that a port in an SDP is always open and
//! nobody waits for a bind. The owner is told of each free pair, takes the ones
//! it names in an SDP, and those that it takes are replaced, several at a time:
//! waking the thread costs more than binding. A pair that is dropped, here or
//! in a worker, goes back by itself.
//!
//! Invariants: at most `ready` pairs per address wait bound; a pair is out at
//! most once; ports that other programs hold are passed over.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::sync::mpsc;

use super::range::{PortRange, Walk};

/// How soon a pool that failed tries again.
const RETRY: Duration = Duration::from_secs(1);

/// Pairs are replaced once this part of `ready` is gone.
const REPLACED_AT: usize = 6;

/// What is bound, and how.
#[derive(Debug, Clone)]
pub struct PortsConfig {
    /// Local addresses; link-local ones with their scope. The port is ignored.
    pub addresses: Vec<SocketAddr>,
    pub range: PortRange,
    /// Pairs per address that wait bound.
    pub ready: usize,
    /// Type of service and traffic class; 0xb8 is expedited forwarding.
    pub traffic_class: u32,
}

impl Default for PortsConfig {
    fn default() -> PortsConfig {
        PortsConfig {
            addresses: Vec::new(),
            range: PortRange::default(),
            ready: 64,
            traffic_class: 0xb8,
        }
    }
}

/// Two bound sockets: RTP on the even port, RTCP on the next.
#[derive(Debug)]
pub struct PortPair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) lease: Lease,
}

/// Gives its pair of ports back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    address: usize,
    pair: u16,
    back: Back,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.back.give(self.address, self.pair);
    }
}

/// Where pairs go back to. The thread looks here when it needs one, and is
/// woken only while it lacks some.
#[derive(Debug, Clone)]
struct Back {
    given: Arc<Mutex<Given>>,
    requests: Sender<Request>,
}

#[derive(Debug, Default)]
struct Given {
    pairs: Vec<(usize, u16)>,
    is_awaited: bool,
}

impl Back {
    fn give(&self, address: usize, pair: u16) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.pairs.push((address, pair));
        if std::mem::take(&mut given.is_awaited) {
            // Without a pool there is nothing to give back to.
            let _ = self.requests.send(Request::Look);
        }
    }

    fn take(&self) -> Vec<(usize, u16)> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut given.pairs)
    }

    /// The next pair wakes the thread; false if there is one already.
    fn wait_for_one(&self) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.is_awaited = given.pairs.is_empty();
        given.is_awaited
    }
}

/// What the owner is told.
#[derive(Debug)]
pub enum PortsEvent {
    /// A pair waits bound at this address: RTP here, RTCP on the next port.
    Free { rtp: SocketAddr },
    /// No pair can be bound at this address for now; told once per cause, and
    /// tried again.
    Trouble {
        address: SocketAddr,
        trouble: PortsTrouble,
    },
}

/// Why no pair can be bound.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PortsTrouble {
    #[error("every port of the range is in use; widen the range or allow fewer calls")]
    RangeInUse,
    #[error("too many open files; raise the service's limit (LimitNOFILE)")]
    TooManyFiles,
    #[error("the host does not have this address; is the interface up?")]
    NoSuchAddress,
    #[error("sockets cannot be bound: {0}")]
    Other(String),
}

/// Only what is sent per pair, so that the queue is bounded by the range.
#[derive(Debug)]
enum Request {
    Replace {
        address: usize,
        pairs: usize,
    },
    /// A pair has been given back.
    Look,
    End,
}

/// The owner's end of the pool.
#[derive(Debug)]
pub struct Ports {
    stock: HashMap<SocketAddr, PortPair>,
    bound: mpsc::Receiver<Bound>,
    /// Bound pairs that the owner has not been told of yet.
    untold: VecDeque<PortPair>,
    /// Pairs taken of each address and not yet asked to be replaced.
    taken: Vec<usize>,
    replaced_at: usize,
    requests: Sender<Request>,
}

type Bound = Result<Vec<PortPair>, (SocketAddr, PortsTrouble)>;

impl Ports {
    pub fn start(config: PortsConfig) -> io::Result<Ports> {
        let (requests, inbox) = channel();
        // Room for all that may wait: the thread blocks only on an owner that sleeps.
        let room = (config.addresses.len() * (config.ready + 1)).max(1);
        let (tell, bound) = mpsc::channel(room);
        let taken = vec![0; config.addresses.len()];
        let replaced_at = (config.ready / REPLACED_AT).max(1);
        let binder = Binder::new(config, requests.clone(), tell);
        std::thread::Builder::new()
            .name("media-ports".to_owned())
            .spawn(move || binder.run(&inbox))?;
        Ok(Ports {
            stock: HashMap::new(),
            bound,
            untold: VecDeque::new(),
            taken,
            replaced_at,
            requests,
        })
    }

    /// The next event; `None` only when the pool's thread is gone. May be
    /// cancelled.
    pub async fn next(&mut self) -> Option<PortsEvent> {
        loop {
            if let Some(rtp) = self.next_free() {
                return Some(PortsEvent::Free { rtp });
            }
            match self.bound.recv().await? {
                Ok(pairs) => self.untold.extend(pairs),
                Err((address, trouble)) => {
                    return Some(PortsEvent::Trouble { address, trouble });
                }
            }
        }
    }

    /// Another free pair, if one came together with the last.
    pub fn next_free(&mut self) -> Option<SocketAddr> {
        loop {
            let pair = self.untold.pop_front()?;
            if let Ok(rtp) = pair.rtp.local_addr() {
                self.stock.insert(rtp, pair);
                return Some(rtp);
            }
        }
    }

    /// Takes a free pair that was told. It will be replaced by another.
    pub fn take(&mut self, rtp: SocketAddr) -> Option<PortPair> {
        let pair = self.stock.remove(&rtp)?;
        let address = pair.lease.address;
        self.taken[address] += 1;
        if self.taken[address] >= self.replaced_at {
            let pairs = std::mem::take(&mut self.taken[address]);
            let _ = self.requests.send(Request::Replace { address, pairs });
        }
        Some(pair)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::End);
    }
}

struct Address {
    local: SocketAddr,
    walk: Walk,
    wanted: usize,
    trouble: Option<PortsTrouble>,
}

struct Binder {
    addresses: Vec<Address>,
    traffic_class: u32,
    back: Back,
    tell: mpsc::Sender<Bound>,
}

/// The owner is gone.
struct Gone;

impl Binder {
    fn new(config: PortsConfig, requests: Sender<Request>, tell: mpsc::Sender<Bound>) -> Binder {
        let random = RandomState::new();
        let addresses = config.addresses.iter().map(|local| Address {
            local: *local,
            walk: Walk::new(config.range, random.hash_one(local)),
            wanted: config.ready,
            trouble: None,
        });
        Binder {
            addresses: addresses.collect(),
            traffic_class: config.traffic_class,
            back: Back {
                given: Arc::default(),
                requests,
            },
            tell,
        }
    }

    fn run(mut self, inbox: &Receiver<Request>) {
        loop {
            for (address, pair) in self.back.take() {
                self.addresses[address].walk.give_back(pair);
            }
            if self.fill().is_err() {
                return;
            }
            let is_short = self.addresses.iter().any(|address| address.wanted > 0);
            let request = match is_short {
                true if !self.back.wait_for_one() => continue,
                true => inbox.recv_timeout(RETRY),
                false => inbox.recv().map_err(RecvTimeoutError::from),
            };
            match request {
                Ok(Request::Replace { address, pairs }) => self.addresses[address].wanted += pairs,
                Ok(Request::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Request::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn fill(&mut self) -> Result<(), Gone> {
        for index in 0..self.addresses.len() {
            let mut pairs = Vec::with_capacity(self.addresses[index].wanted);
            let mut news = None;
            while self.addresses[index].wanted > 0 {
                let bound = self.bind_next(index);
                let address = &mut self.addresses[index];
                match bound {
                    Ok(pair) => {
                        address.wanted -= 1;
                        address.trouble = None;
                        pairs.push(pair);
                    }
                    Err(trouble) => {
                        if address.trouble.as_ref() != Some(&trouble) {
                            address.trouble = Some(trouble.clone());
                            news = Some((address.local, trouble));
                        }
                        break;
                    }
                }
            }
            if !pairs.is_empty() {
                self.tell.blocking_send(Ok(pairs)).map_err(|_| Gone)?;
            }
            if let Some(news) = news {
                self.tell.blocking_send(Err(news)).map_err(|_| Gone)?;
            }
        }
        Ok(())
    }

    fn bind_next(&mut self, index: usize) -> Result<PortPair, PortsTrouble> {
        let address = &mut self.addresses[index];
        let mut found = None;
        for (pair, port) in address.walk.candidates() {
            match bind_pair(address.local, port, self.traffic_class) {
                Ok(sockets) => {
                    found = Some((pair, sockets));
                    break;
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(trouble(&error)),
            }
        }
        let (pair, (rtp, rtcp)) = found.ok_or(PortsTrouble::RangeInUse)?;
        address.walk.take(pair);
        Ok(PortPair {
            rtp,
            rtcp,
            lease: Lease {
                address: index,
                pair,
                back: self.back.clone(),
            },
        })
    }
}

fn trouble(error: &io::Error) -> PortsTrouble {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => PortsTrouble::TooManyFiles,
        Some(Errno::ADDRNOTAVAIL | Errno::NODEV) => PortsTrouble::NoSuchAddress,
        Some(_) | None => PortsTrouble::Other(error.to_string()),
    }
}

fn bind_pair(
    local: SocketAddr,
    port: u16,
    traffic_class: u32,
) -> io::Result<(UdpSocket, UdpSocket)> {
    let rtp = bind(local, port, traffic_class)?;
    // A range never begins its last pair at 65535.
    let rtcp = bind(local, port + 1, traffic_class)?;
    Ok((rtp, rtcp))
}

fn bind(mut local: SocketAddr, port: u16, traffic_class: u32) -> io::Result<UdpSocket> {
    local.set_port(port);
    let domain = Domain::for_address(local);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    match local.ip() {
        IpAddr::V4(_) => socket.set_tos_v4(traffic_class)?,
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_tclass_v6(traffic_class)?;
        }
    }
    socket.bind(&local.into())?;
    Ok(socket.into())
}
