//! One end on the network: RTP in and out, for one call at a time.

use std::net::SocketAddr;
use std::time::Instant;

use legacy_protocols::sound::SoundCodec;
use media::codec::AudioCodec;
use media::jitter::Packet;
use media::rtp::Header;
use media::voice::{Hearing, Speaking};
use tokio::net::UdpSocket;

use super::{FRAME, Frame, RATE};
use crate::site::Stream;

/// RFC 3550 5.1: version 2, no padding, extension or contributing sources.
const FIRST_OCTET: u8 = 0x80;
const HEADER: usize = 12;
/// 20 ms of G.711 and of G.722 are 160 octets; others may send longer packets.
const LONGEST: usize = 2048;
/// Datagrams that are read at once; a flood waits in the system's own queue, or is lost there.
const MOST_AT_ONCE: usize = 50;

pub(super) struct End {
    socket: UdpSocket,
    seed: u64,
    call: Option<Talk>,
}

struct Talk {
    to: SocketAddr,
    payload_type: u8,
    hearing: Hearing,
    speaking: Speaking,
    ssrc: u32,
    theirs: Option<Theirs>,
}

/// The stream that comes.
#[derive(Clone, Copy)]
struct Theirs {
    ssrc: u32,
    epoch: u32,
    last: i64,
}

impl End {
    pub(super) const fn new(socket: UdpSocket, seed: u64) -> Self {
        Self {
            socket,
            seed,
            call: None,
        }
    }

    pub(super) fn stream(&mut self, to: Option<Stream>, now: Instant) {
        let Some(stream) = to else {
            self.call = None;
            return;
        };
        let payload_type = stream.codec.payload_type();
        if let Some(call) = &mut self.call
            && call.payload_type == payload_type
        {
            call.to = stream.to;
            return;
        }
        let codec = match stream.codec {
            SoundCodec::G722 => AudioCodec::G722,
            SoundCodec::Pcma => AudioCodec::Pcma,
            SoundCodec::Pcmu => AudioCodec::Pcmu,
        };
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        let hearing = Hearing::new(codec, RATE, self.seed, now);
        let speaking = Speaking::new(codec, RATE);
        self.call = match (hearing, speaking) {
            (Ok(hearing), Ok(speaking)) => Some(Talk {
                to: stream.to,
                payload_type,
                hearing,
                speaking,
                ssrc: (self.seed >> 32) as u32,
                theirs: None,
            }),
            // Only Opus can fail to open, and it is not among them.
            _ => None,
        };
    }

    /// What has come, as the next 20 ms.
    pub(super) fn hear(&mut self, now: Instant) -> Option<Frame> {
        let mut octets = [0; LONGEST];
        for _ in 0..MOST_AT_ONCE {
            let Ok((length, from)) = self.socket.try_recv_from(&mut octets) else {
                break;
            };
            if let Some(call) = &mut self.call
                && from == call.to
            {
                call.packet(&octets[..length], now);
            }
        }
        let call = self.call.as_mut()?;
        let mut frame = [0; FRAME];
        call.hearing.next(&mut frame, now).then_some(frame)
    }

    pub(super) fn say(&mut self, frame: &Frame, now: Instant) {
        let Some(call) = &mut self.call else {
            return;
        };
        let (ssrc, payload_type, to) = (call.ssrc, call.payload_type, call.to);
        let socket = &self.socket;
        call.speaking.say(frame, now, |spoken| {
            let mut packet = vec![FIRST_OCTET, payload_type];
            packet.extend_from_slice(&(spoken.number as u16).to_be_bytes());
            packet.extend_from_slice(&spoken.timestamp.to_be_bytes());
            packet.extend_from_slice(&ssrc.to_be_bytes());
            packet.extend_from_slice(spoken.payload);
            debug_assert!(packet.len() > HEADER);
            // What cannot be sent now is lost, as on any network.
            let _ = socket.try_send_to(&packet, to);
        });
    }
}

impl Talk {
    fn packet(&mut self, octets: &[u8], now: Instant) {
        let Ok(header) = Header::parse(octets) else {
            return;
        };
        if header.payload_type != self.payload_type {
            return;
        }
        let theirs = match self.theirs {
            Some(known) if known.ssrc == header.ssrc => Theirs {
                last: near(known.last, header.sequence),
                ..known
            },
            other => Theirs {
                ssrc: header.ssrc,
                epoch: other.map_or(0, |known| known.epoch + 1),
                last: i64::from(header.sequence),
            },
        };
        self.theirs = Some(theirs);
        let packet = Packet {
            epoch: theirs.epoch,
            sequence: theirs.last,
            timestamp: header.timestamp,
            duration: 0,
            payload: header.payload(octets),
        };
        self.hearing.hear(&packet, now);
    }
}

/// The number with these low 16 bits that is nearest to the last one (RFC 3550 A.1).
fn near(last: i64, sequence: u16) -> i64 {
    let step = sequence.wrapping_sub(last as u16) as i16;
    last + i64::from(step)
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn numbers_go_on_over_their_end_and_back() {
        assert_eq!(near(65_535, 0), 65_536);
        assert_eq!(near(65_536, 65_535), 65_535);
        assert_eq!(near(10, 12), 12);
    }
}
