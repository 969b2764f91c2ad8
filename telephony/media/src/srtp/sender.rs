//! Protects what leaves.

use thiserror::Error;

use super::keys::{Keys, Place};
use super::packet::{RtpHead, rtcp_ssrc};
use super::suite::{MasterKey, Suite};
use super::window::{LAST_INDEX, Window};
use super::{MAX_SOURCES, RTCP_LIFETIME, RTP_LIFETIME};

/// Why a packet was not protected, and must not leave. We are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtectError {
    #[error("what should be protected is no whole packet")]
    Malformed,
    #[error("the buffer has no room for the tag; leave MAX_GROWTH octets behind the packet")]
    NoRoom,
    #[error("more streams than one direction may have; forgetting one could repeat its key stream")]
    TooManySources,
    #[error("this sequence number was sent already, or is too old to know")]
    Reused,
    #[error("the key has protected as many packets as it may; agree on a new one")]
    KeyExhausted,
}

/// Keys given up that are remembered: as many as there are suites to change to.
const RETIRED: usize = 5;

/// One direction of a leg, towards its peer.
#[derive(Debug)]
pub struct Sender {
    current: Generation,
    /// The oldest first. A key that comes back counts on, or its key stream would repeat.
    retired: Vec<Generation>,
}

/// One master key and what was sent under it.
#[derive(Debug)]
struct Generation {
    keys: Keys,
    sources: [Source; MAX_SOURCES],
    known: usize,
    rtp_left: u64,
    rtcp_sent: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    ssrc: u32,
    sent: Window,
}

impl Sender {
    pub fn new(key: MasterKey) -> Sender {
        Sender {
            current: Generation::new(key),
            retired: Vec::new(),
        }
    }

    pub fn suite(&self) -> Suite {
        self.current.keys.suite()
    }

    /// From now on packets are protected by `key`, with the roll-over counter at zero. The same
    /// key again changes nothing, and one of the last five counts on; an older one must not come
    /// back.
    pub fn rekey(&mut self, key: MasterKey) {
        if self.current.keys.is_of(&key) {
            return;
        }
        let known = self.retired.iter().position(|old| old.keys.is_of(&key));
        let next = match known {
            Some(at) => self.retired.remove(at),
            None => Generation::new(key),
        };
        if self.retired.len() == RETIRED {
            self.retired.remove(0);
        }
        self.retired
            .push(std::mem::replace(&mut self.current, next));
    }

    /// Protects the RTP packet in the first `len` octets of `buffer`; returns its new length. On
    /// an error the packet is as it was.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        self.current.protect_rtp(buffer, len)
    }

    /// The same for an RTCP compound.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        self.current.protect_rtcp(buffer, len)
    }
}

impl Generation {
    fn new(key: MasterKey) -> Generation {
        Generation {
            keys: Keys::new(key),
            sources: [Source::default(); MAX_SOURCES],
            known: 0,
            rtp_left: RTP_LIFETIME,
            rtcp_sent: 0,
        }
    }

    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let packet = buffer.get(..len).ok_or(ProtectError::Malformed)?;
        let head = RtpHead::read(packet).ok_or(ProtectError::Malformed)?;
        if buffer.len() - len < self.keys.rtp_trailer() {
            return Err(ProtectError::NoRoom);
        }
        let found = self.sources[..self.known]
            .iter()
            .position(|source| source.ssrc == head.ssrc);
        let at = found.unwrap_or(self.known);
        let sent = match found {
            Some(at) => self.sources[at].sent,
            None => Window::default(),
        };
        let index = sent.index_of(head.sequence);
        if self.rtp_left == 0 || index > LAST_INDEX {
            return Err(ProtectError::KeyExhausted);
        }
        sent.check(index).map_err(|_| ProtectError::Reused)?;
        let source = self.sources.get_mut(at);
        let source = source.ok_or(ProtectError::TooManySources)?;
        source.ssrc = head.ssrc;
        source.sent.mark(index);
        self.known = self.known.max(at + 1);
        self.rtp_left -= 1;
        let place = Place {
            ssrc: head.ssrc,
            index,
        };
        Ok(self.keys.seal_rtp(buffer, len, head.len, place))
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let packet = buffer.get(..len).ok_or(ProtectError::Malformed)?;
        let ssrc = rtcp_ssrc(packet).ok_or(ProtectError::Malformed)?;
        if buffer.len() - len < self.keys.rtcp_trailer() {
            return Err(ProtectError::NoRoom);
        }
        // One count for all streams repeats for none of them.
        let index = self.rtcp_sent;
        if index >= RTCP_LIFETIME {
            return Err(ProtectError::KeyExhausted);
        }
        self.rtcp_sent += 1;
        Ok(self.keys.seal_rtcp(buffer, len, Place { ssrc, index }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        let suite = Suite::AesCm128HmacSha1_80;
        Sender::new(MasterKey::new(suite, &[7; 30]).unwrap())
    }

    // RFC 3711 9.2
    #[test]
    fn a_key_ends_with_its_last_rtp_packet() {
        let mut sender = sender();
        let mut packet = [0x80; 64];
        packet[2..4].copy_from_slice(&[0xff, 0xfe]);
        assert!(sender.protect_rtp(&mut packet, 20).is_ok());
        sender.current.sources[0].sent.mark(LAST_INDEX - 1);
        packet[2..4].copy_from_slice(&[0xff, 0xff]);
        assert!(sender.protect_rtp(&mut packet, 20).is_ok());
        packet[2..4].copy_from_slice(&[0, 0]);
        let refused = sender.protect_rtp(&mut packet, 20);
        assert_eq!(refused, Err(ProtectError::KeyExhausted));
        sender.rekey(MasterKey::new(Suite::AeadAes128Gcm, &[7; 28]).unwrap());
        assert!(sender.protect_rtp(&mut packet, 20).is_ok());
    }

    #[test]
    fn all_streams_together_use_the_key_up() {
        let mut sender = sender();
        sender.current.rtp_left = 1;
        let mut packet = [0x80; 64];
        assert!(sender.protect_rtp(&mut packet, 20).is_ok());
        packet[8] = 1;
        let refused = sender.protect_rtp(&mut packet, 20);
        assert_eq!(refused, Err(ProtectError::KeyExhausted));
    }

    #[test]
    fn a_key_ends_with_its_last_rtcp_packet() {
        let mut sender = sender();
        sender.current.rtcp_sent = RTCP_LIFETIME - 1;
        let mut packet = [0x80; 64];
        assert!(sender.protect_rtcp(&mut packet, 8).is_ok());
        assert_eq!(packet[8..12], [0xff; 4], "encrypted, and the last index");
        let refused = sender.protect_rtcp(&mut packet, 8);
        assert_eq!(refused, Err(ProtectError::KeyExhausted));
    }
}
