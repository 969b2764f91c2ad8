//! The two doors of a leg: where its peer's packets become readable, and where ours leave.
//!
//! A [`Guard`] holds the keys of one leg. What arrives passes [`Guard::open`] before anybody
//! believes a word of it; what leaves passes [`Outlet::send`], the only way to a [`Sink`], so no
//! sender can forget to protect. Which packets pass is decided elsewhere.
//!
//! Invariant: a leg that has keys, or waits for them, neither sends nor takes a plain packet.

use std::net::SocketAddr;

use crate::leg::PortKey;
use crate::quality::Reason;
use crate::relay::Sink;
use crate::rtp::Kind;
use crate::srtp::{MAX_GROWTH, MasterKey, ProtectError, Receiver, Sender, Suite, UnprotectError};

/// A datagram of a network with jumbo frames; whoever gets longer ones gets them in pieces.
const LONGEST: usize = 9216;

/// What signalling agreed on about the packets of a leg.
#[derive(Debug, Clone)]
pub enum Protection {
    /// Keys are not agreed on yet: nothing passes, either way.
    Awaited,
    Plain,
    /// SRTP and SRTCP, each direction under its own key.
    Secure {
        ours: MasterKey,
        theirs: MasterKey,
    },
}

#[derive(Debug)]
pub(crate) struct Guard {
    mode: Mode,
    /// Stay when a leg turns plain: keys that come back must count on.
    keys: Option<Box<Keys>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Awaited,
    Plain,
    Secure,
}

#[derive(Debug)]
struct Keys {
    sender: Sender,
    receiver: Receiver,
}

impl Guard {
    pub(crate) fn new(protection: Protection) -> Guard {
        let mut guard = Guard {
            mode: Mode::Awaited,
            keys: None,
        };
        guard.set(protection);
        guard
    }

    /// New signalling. What is on its way under the old key of the peer still passes.
    pub(crate) fn set(&mut self, protection: Protection) {
        self.mode = match protection {
            Protection::Awaited => Mode::Awaited,
            Protection::Plain => Mode::Plain,
            Protection::Secure { ours, theirs } => {
                match &mut self.keys {
                    Some(keys) => {
                        keys.sender.rekey(ours);
                        keys.receiver.rekey(theirs);
                    }
                    None => {
                        let (sender, receiver) = (Sender::new(ours), Receiver::new(theirs));
                        self.keys = Some(Box::new(Keys { sender, receiver }));
                    }
                }
                Mode::Secure
            }
        };
    }

    pub(crate) fn suite(&self) -> Option<Suite> {
        let keys = self.keys.as_ref().filter(|_| self.mode == Mode::Secure);
        keys.map(|keys| keys.sender.suite())
    }

    /// Verifies what the peer sent and decrypts it in place; the length of what is inside. On an
    /// error the packet is as it came, and nothing is remembered of it.
    pub(crate) fn open(&mut self, kind: Kind, packet: &mut [u8]) -> Result<usize, Reason> {
        let keys = match (self.mode, &mut self.keys) {
            (Mode::Plain, _) => return Ok(packet.len()),
            (Mode::Secure, Some(keys)) => keys,
            (Mode::Awaited | Mode::Secure, _) => return Err(Reason::NoKeys),
        };
        let opened = match kind {
            Kind::Rtp => keys.receiver.unprotect_rtp(packet),
            Kind::Rtcp => keys.receiver.unprotect_rtcp(packet),
        };
        opened.map_err(|error| match error {
            UnprotectError::Malformed => Reason::Malformed,
            UnprotectError::Authentication => Reason::Forged,
            UnprotectError::Replay | UnprotectError::TooOld => Reason::Replayed,
            UnprotectError::KeyExhausted => Reason::KeyExhausted,
        })
    }
}

/// Where a packet is protected: the same one may go to several listeners, each with other keys.
#[derive(Debug)]
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(vec![0; LONGEST + MAX_GROWTH].into())
    }
}

/// The way out of a relay.
pub(crate) struct Outlet<'a, S> {
    pub(crate) sink: &'a mut S,
    pub(crate) scratch: &'a mut Scratch,
}

impl<S: Sink> Outlet<'_, S> {
    /// Sends a leg's packet, or says why it must not leave.
    pub(crate) fn send(
        &mut self,
        guard: &mut Guard,
        kind: Kind,
        (port, to): (PortKey, SocketAddr),
        packet: &[u8],
    ) -> Result<(), Reason> {
        let keys = match (guard.mode, &mut guard.keys) {
            (Mode::Plain, _) => {
                self.sink.send(port, to, packet);
                return Ok(());
            }
            (Mode::Secure, Some(keys)) => keys,
            (Mode::Awaited | Mode::Secure, _) => return Err(Reason::NoKeys),
        };
        // No more than may have to be cleared of it.
        let room = packet.len() + MAX_GROWTH;
        let buffer = self.scratch.0.get_mut(..room).ok_or(Reason::Malformed)?;
        buffer[..packet.len()].copy_from_slice(packet);
        let protected = match kind {
            Kind::Rtp => keys.sender.protect_rtp(buffer, packet.len()),
            Kind::Rtcp => keys.sender.protect_rtcp(buffer, packet.len()),
        };
        let len = protected.map_err(|error| match error {
            ProtectError::Malformed | ProtectError::NoRoom => Reason::Malformed,
            ProtectError::TooManySources | ProtectError::Reused => Reason::OutOfPlace,
            ProtectError::KeyExhausted => Reason::KeyExhausted,
        })?;
        self.sink.send(port, to, &buffer[..len]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Wire(Vec<Vec<u8>>);

    impl Sink for Wire {
        fn send(&mut self, _port: PortKey, _to: SocketAddr, packet: &[u8]) {
            self.0.push(packet.to_vec());
        }
    }

    const SUITE: Suite = Suite::AeadAes128Gcm;

    fn key(fill: u8) -> MasterKey {
        MasterKey::new(SUITE, &[fill; 28]).unwrap()
    }

    fn secure(ours: u8, theirs: u8) -> Protection {
        let (ours, theirs) = (key(ours), key(theirs));
        Protection::Secure { ours, theirs }
    }

    fn packet(sequence: u8) -> [u8; 20] {
        let mut packet = [0x80; 20];
        packet[1..4].copy_from_slice(&[8, 0, sequence]);
        packet
    }

    fn sent(guard: &mut Guard, packet: &[u8]) -> Result<Vec<u8>, Reason> {
        let (mut wire, mut scratch) = (Wire::default(), Scratch::new());
        let (sink, scratch) = (&mut wire, &mut scratch);
        let way = (PortKey(0), ([10, 0, 0, 1], 4000).into());
        let outcome = Outlet { sink, scratch }.send(guard, Kind::Rtp, way, packet);
        outcome.map(|()| wire.0.remove(0))
    }

    #[test]
    fn without_keys_nothing_passes_and_plain_packets_pass_as_they_are() {
        let mut guard = Guard::new(Protection::Awaited);
        assert_eq!(sent(&mut guard, &packet(1)), Err(Reason::NoKeys));
        assert_eq!(guard.open(Kind::Rtp, &mut packet(1)), Err(Reason::NoKeys));
        guard.set(Protection::Plain);
        assert_eq!(sent(&mut guard, &packet(1)), Ok(packet(1).to_vec()));
        assert_eq!(guard.open(Kind::Rtp, &mut packet(1)), Ok(20));
    }

    #[test]
    fn a_key_that_comes_back_after_plain_times_does_not_begin_anew() {
        let (mut ours, mut far) = (Guard::new(secure(1, 2)), Guard::new(secure(2, 1)));
        let mut first = sent(&mut ours, &packet(1)).unwrap();
        let mut copy = first.clone();
        assert_eq!(far.open(Kind::Rtp, &mut first), Ok(20));
        for guard in [&mut ours, &mut far] {
            guard.set(Protection::Plain);
        }
        ours.set(secure(1, 2));
        far.set(secure(2, 1));
        assert_eq!(sent(&mut ours, &packet(1)), Err(Reason::OutOfPlace));
        let replayed = far.open(Kind::Rtp, &mut copy);
        assert_eq!(replayed, Err(Reason::Replayed));
    }

    #[test]
    fn a_packet_that_fits_no_buffer_does_not_leave() {
        let mut guard = Guard::new(secure(1, 2));
        let refused = sent(&mut guard, &[0x80; LONGEST + 1]);
        assert_eq!(refused, Err(Reason::Malformed));
    }
}
