//! One stream of a leg on its plain side: RTP on loopback, as the far end sees it.
//!
//! A socket for each stream, with RTCP on the same port. Payload types are changed on the way, since
//! the two sides agree on them apart from each other; sequence numbers and times of the far end are
//! kept in one line for the browser, even when the far end begins anew.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use media::rtp::Header;
use sip::sdp::{Codec, Direction, Format, Kind, LocalStream, Stream, audio_in};
use str0m::media::Mid;

/// Payload types that we offer.
const OPUS: u8 = 111;
const EVENTS: u8 = 101;
const H264: u8 = 102;
const VP8: u8 = 96;

/// The codecs of a browser's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Opus,
    Events,
    H264,
    Vp8,
}

impl Carried {
    pub(crate) fn of(format: &Format) -> Option<Self> {
        match format.codec()? {
            Codec::Opus => Some(Self::Opus),
            // On the clock of Opus only: browsers send no other beside it (RFC 4733 2.1).
            Codec::TelephoneEvent if format.clock_rate == 48_000 => Some(Self::Events),
            Codec::H264 => Some(Self::H264),
            Codec::Vp8 => Some(Self::Vp8),
            Codec::G722
            | Codec::Pcma
            | Codec::Pcmu
            | Codec::TelephoneEvent
            | Codec::ComfortNoise => None,
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Opus => Codec::Opus.format(OPUS),
            Self::Events => Format {
                clock_rate: 48_000,
                ..Codec::TelephoneEvent.format(EVENTS)
            },
            Self::H264 => Format {
                fmtp: Some("profile-level-id=42e01f;packetization-mode=1".into()),
                feedback: vec!["nack pli".into()],
                ..Codec::H264.format(H264)
            },
            Self::Vp8 => Format {
                feedback: vec!["nack pli".into()],
                ..Codec::Vp8.format(VP8)
            },
        }
    }

    pub(crate) fn all_of(kind: &Kind) -> &'static [Self] {
        match kind {
            Kind::Audio => &[Self::Opus, Self::Events],
            Kind::Video => &[Self::H264, Self::Vp8],
            Kind::Other(_) => &[],
        }
    }
}

/// Where the far end of a stream is, and how it numbers its codecs.
#[derive(Debug)]
struct Far {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    formats: Vec<(u8, Carried)>,
}

/// One stream of a leg.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) mid: Mid,
    pub(crate) kind: Kind,
    pub(crate) socket: UdpSocket,
    /// The edge's thread waits at the socket.
    pub(crate) watched: bool,
    local: SocketAddr,
    far: Option<Far>,
    splice: Splice,
    packet: Vec<u8>,
}

impl Track {
    pub(crate) fn bind(mid: Mid, kind: Kind) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            mid,
            kind,
            local: socket.local_addr()?,
            socket,
            watched: false,
            far: None,
            splice: Splice::default(),
            packet: Vec::new(),
        })
    }

    /// What the far end said of this stream. `None`: it takes none of it.
    pub(crate) fn learn(&mut self, stream: Option<&Stream>) {
        self.far = stream.and_then(|stream| {
            let carried = stream.formats.iter();
            let formats = carried
                .filter_map(|format| Some((format.payload_type, Carried::of(format)?)))
                .collect();
            let rtp = stream.rtp?;
            Some(Far {
                rtp,
                rtcp: stream.rtcp.unwrap_or(rtp),
                formats,
            })
        });
    }

    /// This stream as we describe it to the far end: its own formats if it has said some.
    pub(crate) fn described(&self, theirs: Option<&Stream>, direction: Direction) -> Stream {
        let ours = Carried::all_of(&self.kind);
        let formats = match theirs {
            None => ours.iter().map(|codec| codec.format()).collect(),
            Some(theirs) => theirs
                .formats
                .iter()
                .filter(|format| Carried::of(format).is_some_and(|codec| ours.contains(&codec)))
                .cloned()
                .collect(),
        };
        let at = LocalStream {
            rtp: self.local,
            rtcp: self.local,
        };
        let mut stream = audio_in(at, formats).streams.remove(0);
        if self.kind == Kind::Video {
            stream.ptime = None;
        }
        stream.kind = self.kind.clone();
        stream.direction = direction;
        stream.rtcp_mux = true;
        stream
    }

    /// A packet of the browser's, for the far end. False: it does not take it.
    pub(crate) fn send(&mut self, codec: Carried, packet: Outgoing<'_>) -> io::Result<bool> {
        let Some(far) = &self.far else {
            return Ok(false);
        };
        let found = far.formats.iter().find(|(_, carried)| *carried == codec);
        let Some((payload_type, _)) = found else {
            return Ok(false);
        };
        let marker = u8::from(packet.marker) << 7;
        self.packet.clear();
        self.packet.extend([0x80, marker | payload_type]);
        self.packet.extend(packet.sequence.to_be_bytes());
        self.packet.extend(packet.timestamp.to_be_bytes());
        self.packet.extend(packet.ssrc.to_be_bytes());
        self.packet.extend_from_slice(packet.payload);
        self.socket.send_to(&self.packet, far.rtp)?;
        Ok(true)
    }

    /// Asks the far end for a whole picture (RFC 4585 6.3.1).
    pub(crate) fn ask_for_picture(&self) -> io::Result<()> {
        let (Some(far), Some(ssrc)) = (&self.far, self.splice.ssrc) else {
            return Ok(());
        };
        // An empty report first, since a compound begins with one (RFC 3550 6.1).
        let mut compound = [
            0x80, 201, 0, 1, 0, 0, 0, 0, 0x81, 206, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        compound[16..].copy_from_slice(&ssrc.to_be_bytes());
        self.socket.send_to(&compound, far.rtcp).map(|_| ())
    }

    /// Reads a packet of the far end's. `None`: it is none of an agreed codec.
    pub(crate) fn read<'d>(
        &mut self,
        datagram: &'d [u8],
        from: SocketAddr,
    ) -> Option<Incoming<'d>> {
        let far = self.far.as_ref()?;
        // Loopback is shared by all programs of the machine.
        if !from.ip().is_loopback() && from != far.rtp {
            return None;
        }
        let header = Header::parse(datagram).ok()?;
        let number = header.payload_type;
        let (_, codec) = far.formats.iter().find(|(known, _)| *known == number)?;
        let (sequence, timestamp) = self.splice.place(&header);
        Some(Incoming {
            codec: *codec,
            marker: header.marker,
            sequence,
            timestamp,
            payload: header.payload(datagram),
        })
    }
}

/// A packet on its way to the far end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'p> {
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'p [u8],
}

/// A packet on its way to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incoming<'d> {
    pub(crate) codec: Carried,
    pub(crate) marker: bool,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) payload: &'d [u8],
}

/// Keeps the numbers of one outgoing stream in a line over the streams it is made of.
#[derive(Debug, Default)]
struct Splice {
    ssrc: Option<u32>,
    /// The highest number given out, and the time with it.
    last: (u64, u32),
    /// The same packet's as the far end wrote it.
    theirs: (u16, u32),
}

/// Numbers begin above this, so that an early packet that comes late has one too.
const FIRST: u64 = 1 << 10;
/// Time that a new stream is set behind the old one, of 48 or 90 kHz: a packet's or a frame's.
const STEP: u32 = 960;

impl Splice {
    fn place(&mut self, header: &Header) -> (u64, u32) {
        if self.ssrc != Some(header.ssrc) {
            let (sequence, timestamp) = match self.ssrc {
                None => (FIRST, header.timestamp),
                Some(_) => (self.last.0 + 1, self.last.1.wrapping_add(STEP)),
            };
            self.ssrc = Some(header.ssrc);
            self.last = (sequence, timestamp);
            self.theirs = (header.sequence, header.timestamp);
            return self.last;
        }
        let step = header.sequence.wrapping_sub(self.theirs.0) as i16;
        let sequence = self.last.0.saturating_add_signed(i64::from(step));
        let passed = header.timestamp.wrapping_sub(self.theirs.1);
        let placed = (sequence, self.last.1.wrapping_add(passed));
        if step > 0 {
            self.last = placed;
            self.theirs = (header.sequence, header.timestamp);
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use media::rtp::FIXED_LEN;

    use super::*;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        let mut packet = [0; FIXED_LEN];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..].copy_from_slice(&ssrc.to_be_bytes());
        Header::parse(&packet).unwrap()
    }

    #[test]
    fn numbers_go_on_where_a_new_stream_begins_and_where_the_old_one_wraps() {
        let mut splice = Splice::default();
        let mut place = |ssrc, sequence, time| splice.place(&header(ssrc, sequence, time));
        assert_eq!(place(1, 65_534, 100), (FIRST, 100));
        assert_eq!(place(1, 0, 2020), (FIRST + 2, 2020));
        assert_eq!(place(1, 65_535, 1060), (FIRST + 1, 1060), "late");
        assert_eq!(place(1, 1, 2980), (FIRST + 3, 2980));
        assert_eq!(place(2, 7, 9), (FIRST + 4, 2980 + STEP));
        assert_eq!(place(2, 8, 969), (FIRST + 5, 2980 + 2 * STEP));
    }
}
