//! The owner's end of the edge.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use ring::rand::SystemRandom;
use rustix::event::{EventfdFlags, eventfd};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::crypto::{self, CertificateError};
use crate::figures::Figures;
use crate::leg::{LegError, Making};
use crate::order::{LegId, LegNews, Order, Reply, Ringing, Taken};
use crate::places::{Place, bind_udp};
use crate::thread::Thread;

/// Orders that may wait.
const ORDERS: usize = 1024;
/// News that may wait.
const NEWS: usize = 4096;

/// How an edge is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where browsers reach it; at least one.
    pub places: Vec<Place>,
    /// Where people are told their address, beside the places themselves.
    pub stun: Vec<SocketAddr>,
    pub most_legs: usize,
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error("calls of browsers cannot listen on {0}: {1}; is another program there?")]
    Bind(SocketAddr, #[source] io::Error),
    #[error("{0} cannot be told to browsers: {1}; name an address that they reach")]
    Told(SocketAddr, #[source] str0m::error::IceError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the thread for calls of browsers cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The running edge. Dropping it ends all legs.
#[derive(Debug)]
pub struct Edge {
    orders: Option<SyncSender<Order>>,
    wake: Arc<OwnedFd>,
    figures: Arc<Figures>,
    thread: Option<JoinHandle<()>>,
    /// As browsers know its places.
    told: Vec<SocketAddr>,
    stun: Vec<SocketAddr>,
}

impl Edge {
    /// Binds, and starts the thread. What becomes of legs is told by the receiver.
    pub fn start(config: Config) -> Result<(Self, mpsc::Receiver<LegNews>), StartError> {
        let mut places = Vec::with_capacity(config.places.len());
        let mut candidates = Vec::with_capacity(2 * config.places.len());
        for place in config.places {
            let open = place
                .open()
                .map_err(|error| StartError::Bind(place.bind, error))?;
            let told = open.candidates();
            candidates.extend(told.map_err(|error| StartError::Told(open.told, error))?);
            places.push(open);
        }
        let mut stun = Vec::with_capacity(config.stun.len());
        for address in config.stun {
            stun.push(bind_udp(address).map_err(|error| StartError::Bind(address, error))?);
        }
        let told = places.iter().map(|place| place.told).collect();
        let stun_at = stun.iter().filter_map(|socket| socket.local_addr().ok());
        let stun_at = stun_at.collect();
        let making = Making {
            crypto: crypto::provider(),
            certificate: crypto::certificate()?,
            candidates,
            random: SystemRandom::new(),
        };
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags).map_err(io::Error::from)?);
        let figures = Arc::new(Figures::default());
        let (orders, inbox) = sync_channel(ORDERS);
        let (tell, news) = mpsc::channel(NEWS);
        let thread = Thread::new(
            (places, stun),
            making,
            config.most_legs,
            (inbox, Arc::clone(&wake)),
            (tell, Arc::clone(&figures)),
        )?;
        let thread = std::thread::Builder::new()
            .name("web-edge".to_owned())
            .spawn(move || thread.run())?;
        let edge = Self {
            orders: Some(orders),
            wake,
            figures,
            thread: Some(thread),
            told,
            stun: stun_at,
        };
        Ok((edge, news))
    }

    /// Makes a leg for what a far end offers, to ring a browser with.
    pub async fn ring(&self, plain: Bytes) -> Result<Ringing, LegError> {
        self.ask(|reply| Order::Ring(plain, reply)).await
    }

    /// Makes a leg for what a browser offers.
    pub async fn call(&self, offer: String) -> Result<Taken, LegError> {
        self.ask(|reply| Order::Call(offer, reply)).await
    }

    /// The browser's answer to the offer it was rung with.
    pub async fn answered(&self, leg: LegId, answer: String) -> Result<(), LegError> {
        self.ask(|reply| Order::Answered(leg, answer, reply)).await
    }

    /// Another offer of a browser: it opens its microphone, or comes from another network.
    pub async fn renew(&self, leg: LegId, offer: String) -> Result<Taken, LegError> {
        self.ask(|reply| Order::Renew(leg, offer, reply)).await
    }

    /// An address that the browser may be reached by, as a line of SDP.
    pub async fn candidate(&self, leg: LegId, line: String) -> Result<(), LegError> {
        self.ask(|reply| Order::Candidate(leg, line, reply)).await
    }

    /// What the far end answered to `plain`.
    pub async fn connect(&self, leg: LegId, answer: Bytes) -> Result<(), LegError> {
        self.ask(|reply| Order::Connect(leg, answer, reply)).await
    }

    /// The far end offers anew; gives our answer.
    pub async fn reoffer(&self, leg: LegId, offer: Bytes) -> Result<Bytes, LegError> {
        self.ask(|reply| Order::Reoffer(leg, offer, reply)).await
    }

    /// Ends a leg. One that has ended already stays so.
    pub fn end(&self, leg: LegId) -> Result<(), LegError> {
        self.order(Order::End(leg))
    }

    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// As browsers know its places.
    pub fn told(&self) -> &[SocketAddr] {
        &self.told
    }

    /// Where people are told their address.
    pub fn stun(&self) -> &[SocketAddr] {
        &self.stun
    }

    async fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, LegError> {
        let (reply, answer) = oneshot::channel();
        self.order(order(reply))?;
        answer.await.map_err(|_| LegError::Unknown)?
    }

    fn order(&self, order: Order) -> Result<(), LegError> {
        let orders = self.orders.as_ref().ok_or(LegError::Unknown)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => LegError::Busy,
            TrySendError::Disconnected(_) => LegError::Unknown,
        })?;
        wake(&self.wake);
        Ok(())
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.orders = None;
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}

fn wake(eventfd: &OwnedFd) {
    // Only a counter at its limit refuses, and then the thread is awake.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}
