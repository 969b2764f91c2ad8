//! Pairs of UDP ports, bound before anybody asks.
//!
//! A thread of its own binds pairs, so that a port in an SDP is always open and
//! nobody waits for a bind. The owner is told of each free pair, takes the ones
//! it names in an SDP, and each that it takes is replaced. A pair that is
//! dropped, here or in a worker, goes back by itself.
//!
//! Invariants: at most `ready` pairs per address wait bound; a pair is out at
//! most once; ports that other programs hold are passed over.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::sync::mpsc;

use super::range::{PortRange, Walk};

/// How soon a pool that failed tries again.
const RETRY: Duration = Duration::from_secs(1);

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
    back: Sender<Request>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Lease { address, pair, .. } = *self;
        // Without a pool there is nothing to give back to.
        let _ = self.back.send(Request::GiveBack { address, pair });
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
    Replace { address: usize },
    GiveBack { address: usize, pair: u16 },
    End,
}

/// The owner's end of the pool.
#[derive(Debug)]
pub struct Ports {
    stock: HashMap<SocketAddr, PortPair>,
    bound: mpsc::Receiver<Bound>,
    requests: Sender<Request>,
}

type Bound = Result<PortPair, (SocketAddr, PortsTrouble)>;

impl Ports {
    pub fn start(config: PortsConfig) -> io::Result<Ports> {
        let (requests, inbox) = channel();
        // Room for all that may wait: the thread blocks only on an owner that sleeps.
        let room = (config.addresses.len() * (config.ready + 1)).max(1);
        let (tell, bound) = mpsc::channel(room);
        let binder = Binder::new(config, requests.clone(), tell);
        std::thread::Builder::new()
            .name("media-ports".to_owned())
            .spawn(move || binder.run(&inbox))?;
        Ok(Ports {
            stock: HashMap::new(),
            bound,
            requests,
        })
    }

    /// The next event; `None` only when the pool's thread is gone. May be
    /// cancelled.
    pub async fn next(&mut self) -> Option<PortsEvent> {
        loop {
            match self.bound.recv().await? {
                Ok(pair) => {
                    let Ok(rtp) = pair.rtp.local_addr() else {
                        continue;
                    };
                    self.stock.insert(rtp, pair);
                    return Some(PortsEvent::Free { rtp });
                }
                Err((address, trouble)) => {
                    return Some(PortsEvent::Trouble { address, trouble });
                }
            }
        }
    }

    /// Takes a free pair that was told. It is replaced by another.
    pub fn take(&mut self, rtp: SocketAddr) -> Option<PortPair> {
        let pair = self.stock.remove(&rtp)?;
        let address = pair.lease.address;
        let _ = self.requests.send(Request::Replace { address });
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
    requests: Sender<Request>,
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
            requests,
            tell,
        }
    }

    fn run(mut self, inbox: &Receiver<Request>) {
        while self.fill().is_ok() {
            let waiting = self.addresses.iter().any(|address| address.wanted > 0);
            let request = match waiting {
                true => inbox.recv_timeout(RETRY),
                false => inbox.recv().map_err(RecvTimeoutError::from),
            };
            match request {
                Ok(Request::Replace { address }) => self.addresses[address].wanted += 1,
                Ok(Request::GiveBack { address, pair }) => {
                    self.addresses[address].walk.give_back(pair);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Request::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn fill(&mut self) -> Result<(), Gone> {
        for index in 0..self.addresses.len() {
            while self.addresses[index].wanted > 0 {
                let bound = self.bind_next(index);
                let address = &mut self.addresses[index];
                let told = match bound {
                    Ok(pair) => {
                        address.wanted -= 1;
                        address.trouble = None;
                        Ok(pair)
                    }
                    Err(trouble) if address.trouble.as_ref() == Some(&trouble) => break,
                    Err(trouble) => {
                        address.trouble = Some(trouble.clone());
                        Err((address.local, trouble))
                    }
                };
                let failed = told.is_err();
                self.tell.blocking_send(told).map_err(|_| Gone)?;
                if failed {
                    break;
                }
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
                back: self.requests.clone(),
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
