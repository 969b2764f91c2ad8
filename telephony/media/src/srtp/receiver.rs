//! Unprotects what arrives.

use thiserror::Error;

use super::keys::{Keys, Place, RTCP_HEAD};
use super::packet::{RtpHead, rtcp_ssrc};
use super::suite::{MasterKey, Suite};
use super::window::{LAST_INDEX, Seen, Window};
use super::{MAX_SOURCES, RTCP_LIFETIME, RTP_LIFETIME};

/// Why a packet was not let in. The peer is at fault, or whoever pretends to be the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnprotectError {
    #[error("too short for a protected packet, or with lengths that run over its end")]
    Malformed,
    #[error("the tag is not that of our key: forged, damaged, or protected by another key")]
    Authentication,
    #[error("the packet came already")]
    Replay,
    #[error("the packet is too old to know whether it came already")]
    TooOld,
    #[error("the key has protected as many packets as it may; the peer has to offer a new one")]
    KeyExhausted,
}

impl From<Seen> for UnprotectError {
    fn from(seen: Seen) -> UnprotectError {
        match seen {
            Seen::Twice => UnprotectError::Replay,
            Seen::TooOld => UnprotectError::TooOld,
        }
    }
}

/// So many packets of a new key are awaited before those of the old one are refused; what the
/// network holds back arrives within them.
const GRACE: u32 = 128;

/// One direction of a leg, from its peer.
#[derive(Debug)]
pub struct Receiver {
    current: Generation,
    previous: Option<Box<Generation>>,
    grace: u32,
}

impl Receiver {
    pub fn new(key: MasterKey) -> Receiver {
        Receiver {
            current: Generation::new(key),
            previous: None,
            grace: 0,
        }
    }

    pub fn suite(&self) -> Suite {
        self.current.keys.suite()
    }

    /// Packets are expected under `key` from now on. Those under the old one pass until the peer
    /// has changed over. The same key again changes nothing.
    pub fn rekey(&mut self, key: MasterKey) {
        if self.current.keys.is_of(&key) {
            return;
        }
        let old = self.previous.take();
        // A key that comes back remembers what came under it.
        let new = match old.filter(|old| old.keys.is_of(&key)) {
            Some(old) => *old,
            None => Generation::new(key),
        };
        self.previous = Some(Box::new(std::mem::replace(&mut self.current, new)));
        self.grace = GRACE;
    }

    /// Verifies and decrypts an RTP packet in place; returns the length of what is inside. On an
    /// error the packet is as it was.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let head = RtpHead::read(packet).ok_or(UnprotectError::Malformed)?;
        let hint = self.previous.as_ref().and_then(|old| {
            let source = old.sources.find(head.ssrc)?;
            Some(source.rtp.index_of(head.sequence))
        });
        let opened = self.current.open_rtp(packet, head, hint);
        self.or_by_old_key(opened, |old| old.open_rtp(packet, head, None))
    }

    /// The same for an RTCP compound.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let ssrc = rtcp_ssrc(packet).ok_or(UnprotectError::Malformed)?;
        let opened = self.current.open_rtcp(packet, ssrc);
        self.or_by_old_key(opened, |old| old.open_rtcp(packet, ssrc))
    }

    fn or_by_old_key(
        &mut self,
        opened: Result<usize, UnprotectError>,
        open: impl FnOnce(&mut Generation) -> Result<usize, UnprotectError>,
    ) -> Result<usize, UnprotectError> {
        let Some(old) = &mut self.previous else {
            return opened;
        };
        match opened {
            Ok(_) => {
                self.grace -= 1;
                if self.grace == 0 {
                    self.previous = None;
                }
                opened
            }
            Err(UnprotectError::Authentication) => open(old),
            // The trailers of two keys may differ in length.
            Err(UnprotectError::Malformed) => open(old),
            Err(UnprotectError::Replay | UnprotectError::TooOld | UnprotectError::KeyExhausted) => {
                open(old).or(opened)
            }
        }
    }
}

/// One master key and what came under it.
#[derive(Debug)]
struct Generation {
    keys: Keys,
    sources: Sources,
    rtp_left: u64,
    rtcp_left: u64,
}

impl Generation {
    fn new(key: MasterKey) -> Generation {
        Generation {
            keys: Keys::new(key),
            sources: Sources::default(),
            rtp_left: RTP_LIFETIME,
            rtcp_left: RTCP_LIFETIME,
        }
    }

    /// `hint`: the index if the peer kept its roll-over counter when it changed the key; some
    /// begin again at zero, some go on.
    fn open_rtp(
        &mut self,
        packet: &mut [u8],
        head: RtpHead,
        hint: Option<u64>,
    ) -> Result<usize, UnprotectError> {
        if packet.len() < head.len + self.keys.rtp_trailer() {
            return Err(UnprotectError::Malformed);
        }
        let known = self.sources.find(head.ssrc);
        let window = known.map_or_else(Window::default, |source| source.rtp);
        let index = window.index_of(head.sequence);
        let hint = hint.filter(|hint| window.is_empty() && *hint != index);
        let mut opened = self.try_rtp(packet, head, &window, index);
        if let (Err(UnprotectError::Authentication), Some(hint)) = (opened, hint) {
            opened = self.try_rtp(packet, head, &window, hint);
        }
        let (inside, index) = opened?;
        self.rtp_left -= 1;
        self.sources.entry(head.ssrc).rtp.mark(index);
        Ok(inside)
    }

    fn try_rtp(
        &self,
        packet: &mut [u8],
        head: RtpHead,
        window: &Window,
        index: u64,
    ) -> Result<(usize, u64), UnprotectError> {
        if self.rtp_left == 0 || index > LAST_INDEX {
            return Err(UnprotectError::KeyExhausted);
        }
        window.check(index)?;
        let place = Place {
            ssrc: head.ssrc,
            index,
        };
        match self.keys.open_rtp(packet, head.len, place) {
            Ok(inside) => Ok((inside, index)),
            Err(_) => Err(UnprotectError::Authentication),
        }
    }

    fn open_rtcp(&mut self, packet: &mut [u8], ssrc: u32) -> Result<usize, UnprotectError> {
        if packet.len() < RTCP_HEAD + self.keys.rtcp_trailer() {
            return Err(UnprotectError::Malformed);
        }
        if self.rtcp_left == 0 {
            return Err(UnprotectError::KeyExhausted);
        }
        let index = self.keys.rtcp_index(packet);
        if let Some(source) = self.sources.find(ssrc) {
            source.rtcp.check(index)?;
        }
        let opened = self.keys.open_rtcp(packet, Place { ssrc, index });
        let inside = opened.map_err(|_| UnprotectError::Authentication)?;
        self.rtcp_left -= 1;
        self.sources.entry(ssrc).rtcp.mark(index);
        Ok(inside)
    }
}

/// The streams whose packets were genuine; the one that was silent longest gives way to a new one.
#[derive(Debug, Default)]
struct Sources {
    list: [Source; MAX_SOURCES],
    known: usize,
    packets: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// Counted in packets of all.
    last: u64,
}

impl Sources {
    fn find(&self, ssrc: u32) -> Option<&Source> {
        let known = self.list[..self.known].iter();
        known.into_iter().find(|source| source.ssrc == ssrc)
    }

    /// Only for a packet that was verified.
    fn entry(&mut self, ssrc: u32) -> &mut Source {
        let known = &self.list[..self.known];
        let at = match known.iter().position(|source| source.ssrc == ssrc) {
            Some(at) => at,
            None => {
                let at = self.free();
                self.list[at] = Source {
                    ssrc,
                    ..Source::default()
                };
                at
            }
        };
        self.packets += 1;
        self.list[at].last = self.packets;
        &mut self.list[at]
    }

    fn free(&mut self) -> usize {
        if self.known < MAX_SOURCES {
            self.known += 1;
            return self.known - 1;
        }
        let oldest = (0..MAX_SOURCES).min_by_key(|at| self.list[*at].last);
        oldest.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sender;
    use super::*;

    fn key() -> MasterKey {
        MasterKey::new(Suite::AeadAes256Gcm, &[7; 44]).unwrap()
    }

    #[test]
    fn a_key_that_has_served_its_time_lets_nothing_in() {
        let (mut sender, mut receiver) = (Sender::new(key()), Receiver::new(key()));
        receiver.current.rtp_left = 1;
        receiver.current.rtcp_left = 1;
        for expected in [Ok(20), Err(UnprotectError::KeyExhausted)] {
            let mut packet = [0x80; 64];
            packet[3] = u8::from(expected.is_ok());
            let len = sender.protect_rtp(&mut packet, 20).unwrap();
            assert_eq!(receiver.unprotect_rtp(&mut packet[..len]), expected);
            let len = sender.protect_rtcp(&mut packet, 20).unwrap();
            assert_eq!(receiver.unprotect_rtcp(&mut packet[..len]), expected);
        }
    }

    #[test]
    fn the_count_does_not_turn_over() {
        let mut receiver = Receiver::new(key());
        receiver
            .current
            .sources
            .entry(0x8080_8080)
            .rtp
            .mark(LAST_INDEX);
        let mut packet = [0x80; 64];
        packet[2..4].fill(0);
        let refused = receiver.unprotect_rtp(&mut packet);
        assert_eq!(refused, Err(UnprotectError::KeyExhausted));
    }
}
