//! One media line of one call leg: its ports, its peer, its two streams.
//!
//! Takes a packet from its peer, or says why not; what it is given of other
//! legs is in [`ear`]. Does not know which leg hears which; see
//! [`crate::session`].
//!
//! Invariant: nothing leaves for an address that neither the owner named nor
//! the latch accepted.

mod ear;
mod setup;

use std::net::SocketAddr;
use std::time::Instant;

pub use self::setup::{
    Direction, LegKey, LegSetup, LegUpdate, Medium, PortKey, Remote, RtcpAddress, SessionId,
};
use crate::codec::{AudioCodec, DecodeError};
use crate::decoded::{Decoding, Past};
use crate::echo;
use crate::format::{Codec, Format, FormatError, FormatMap, FormatTable};
use crate::guard::Guard;
use crate::jitter;
use crate::latch::Latch;
use crate::limiter::Limiter;
use crate::measure::Told;
use crate::noise::Treatment;
use crate::program::Program;
use crate::quality::{Drops, Reason};
use crate::relay::{Arrival, Config};
use crate::reporting::{PeerClock, Reporting};
use crate::rtp::{Header, Kind};
use crate::seed::Seed;
use crate::source::{Position, Source, Verdict};
use crate::stream::{Origin, Outgoing};
use crate::tap::Tapping;
use crate::telephone_event::{Presses, Reader};
use crate::voice::{Hearing, Voice};

/// Which of the two ports of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Rtp,
    Rtcp,
}

/// One port of a leg and who may use it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) key: PortKey,
    pub(crate) latch: Latch,
    /// The owner was told that the source is settled.
    pub(crate) announced: bool,
}

/// A packet that was accepted, before anybody's header is on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inbound<'k> {
    pub(crate) origin: Origin,
    pub(crate) position: Position,
    pub(crate) header: Header,
    /// Its place in the speaker's table, and what stands there.
    pub(crate) index: u8,
    pub(crate) format: Format,
    pub(crate) treatment: Treatment,
    /// What its speaker was told, if an echo of that is to be taken away.
    pub(crate) told: Option<&'k echo::Told>,
}

impl Inbound<'_> {
    /// Sound of a muted leg that no codec of ours makes silent. Keys are not sound.
    fn is_kept_back(&self) -> bool {
        self.treatment.muted
            && self.format.codec != Codec::TelephoneEvent
            && AudioCodec::of(self.format.codec).is_none()
    }

    /// As a jitter buffer takes it, whose decoder has measured it.
    pub(crate) fn packet<'p>(
        &self,
        payload: &'p [u8],
        ticks: Result<u32, DecodeError>,
    ) -> Result<jitter::Packet<'p>, Reason> {
        Ok(jitter::Packet {
            epoch: self.position.epoch,
            sequence: self.position.extended,
            timestamp: self.header.timestamp,
            duration: ticks.map_err(|_| Reason::Malformed)?,
            payload,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) key: LegKey,
    slot: u8,
    pub(crate) medium: Medium,
    pub(crate) direction: Direction,
    pub(crate) rtp: Port,
    pub(crate) rtcp: Option<Port>,
    rtcp_shares: bool,
    pub(crate) guard: Guard,
    pub(crate) formats: FormatTable,
    /// The format that is spoken now.
    spoken: Option<Format>,
    pub(crate) source: Source,
    pub(crate) digits: Reader,
    pub(crate) out: Outgoing,
    /// Slot of the leg whose packets this one gets, and how they are numbered.
    pub(crate) hears: Option<u8>,
    pub(crate) map: FormatMap,
    /// Carries over what this leg hears in a codec that its peer has not.
    voice: Option<Box<Voice>>,
    /// Who else wants to have what this leg says.
    pub(crate) tapping: Tapping,
    /// Of what this leg says.
    pub(crate) treatment: Treatment,
    /// What this leg was told, while its echo is taken away.
    pub(crate) kept: Option<Box<echo::Told>>,
    /// How much louder this leg hears what it is told.
    pub(crate) volume_db: i8,
    /// What this leg is told on our own clock.
    pub(crate) program: Option<Box<Program>>,
    /// When we report to this leg ourselves.
    pub(crate) reporting: Option<Box<Reporting>>,
    pub(crate) clock: Option<PeerClock>,
    pub(crate) told: Option<Told>,
    /// What it said last was decoded for somebody.
    pub(crate) was_decoded: bool,
    /// What was decoded for this leg of the one that it hears.
    pub(crate) spent: Option<Decoding>,
    /// What was decoded of this leg for those who heard it.
    pub(crate) past: Past,
    /// Streams of our own that were said to this leg.
    epochs: u32,
    /// A room needs this leg's voice for a sum.
    pub(crate) is_mixed: bool,
    /// Bit n: the leg in slot n gets this one's packets.
    pub(crate) heard_by: u64,
    rate: Limiter,
    rtcp_rate: Limiter,
    pub(crate) drops: Drops,
    pub(crate) last: Option<Instant>,
    pub(crate) started: bool,
}

impl Leg {
    pub(crate) fn new(
        key: LegKey,
        slot: u8,
        setup: LegSetup,
        config: &Config,
        seed: &mut Seed,
        now: Instant,
    ) -> Result<Leg, FormatError> {
        let remote = setup.remote;
        let port = |key, expected| Port {
            key,
            latch: Latch::new(expected, remote.latch, config.latch_window),
            announced: false,
        };
        Ok(Leg {
            key,
            slot,
            medium: setup.medium,
            direction: setup.direction,
            rtp: port(setup.rtp, remote.rtp),
            rtcp: setup.rtcp.map(|key| port(key, remote.rtcp_address())),
            rtcp_shares: remote.rtcp == RtcpAddress::SharesRtp,
            guard: Guard::new(setup.protection),
            formats: FormatTable::new(setup.formats)?,
            spoken: None,
            source: Source::new(now),
            digits: Reader::default(),
            out: Outgoing::new(seed),
            hears: None,
            map: FormatMap::EMPTY,
            voice: None,
            tapping: Tapping::default(),
            treatment: Treatment::default(),
            kept: None,
            volume_db: 0,
            program: None,
            reporting: None,
            clock: None,
            told: None,
            was_decoded: false,
            spent: None,
            past: Past::default(),
            epochs: 0,
            is_mixed: false,
            heard_by: 0,
            rate: Limiter::new(config.packet_rate, now),
            rtcp_rate: Limiter::new(config.rtcp_rate, now),
            drops: Drops::default(),
            last: None,
            started: false,
        })
    }

    /// The leg has another place; whoever it hears there begins a new stream for its peer.
    pub(crate) fn move_to(&mut self, slot: u8) {
        self.slot = slot;
        self.out.cut();
    }

    pub(crate) fn set_remote(&mut self, remote: &Remote, config: &Config) {
        let window = config.latch_window;
        self.rtp.latch.update(remote.rtp, remote.latch, window);
        if let Some(rtcp) = &mut self.rtcp {
            rtcp.latch
                .update(remote.rtcp_address(), remote.latch, window);
        }
        self.rtcp_shares = remote.rtcp == RtcpAddress::SharesRtp;
        self.source.expect_change();
    }

    /// Whether somebody there should be heard: nothing is expected of a leg on
    /// hold or of one that is not connected.
    pub(crate) fn is_expected_to_speak(&self) -> bool {
        self.direction.receives() && (self.heard_by != 0 || self.is_mixed)
    }

    /// Whether a packet may come in at this port: by its address, its tag, and the rate; decrypted
    /// in place, its length. A packet that is not genuine leaves no trace, and does not use up the
    /// rate of those that are.
    pub(crate) fn admit(
        &mut self,
        component: Component,
        kind: Kind,
        arrival: &Arrival,
        packet: &mut [u8],
        config: &Config,
    ) -> Result<usize, Reason> {
        let port = match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => self.rtcp.as_mut().ok_or(Reason::Refused)?,
        };
        let window = config.latch_window;
        if !port.latch.permits(arrival.from, window, arrival.at) {
            return Err(Reason::Refused);
        }
        let inside = self.guard.open(kind, packet)?;
        port.latch.follow(arrival.from, window, arrival.at);
        let rate = match kind {
            Kind::Rtp => &mut self.rate,
            Kind::Rtcp => &mut self.rtcp_rate,
        };
        if !rate.admit(arrival.at) {
            return Err(Reason::Flood);
        }
        self.last = Some(arrival.at);
        Ok(inside)
    }

    /// What is done to what this leg says, from now on.
    pub(crate) fn treat(&mut self, treatment: Treatment) {
        self.treatment = treatment;
        match treatment.echo {
            None => self.kept = None,
            Some(_) => {
                self.kept.get_or_insert_default();
            }
        }
    }

    pub(crate) fn ports_mut(&mut self) -> impl Iterator<Item = &mut Port> {
        std::iter::once(&mut self.rtp).chain(&mut self.rtcp)
    }

    /// Judges an admitted packet of this leg's peer.
    pub(crate) fn take(
        &mut self,
        header: Header,
        packet: &[u8],
        now: Instant,
    ) -> Result<(Inbound<'static>, Option<Presses>), Reason> {
        if !self.direction.receives() {
            return Err(Reason::NotToSend);
        }
        let (index, format) = self
            .formats
            .find(header.payload_type)
            .ok_or(Reason::UnknownPayload)?;
        let before = self.source.epoch();
        let position = match self.source.receive(&header, packet.len(), now) {
            Verdict::Accepted(position) => position,
            Verdict::Duplicate => return Err(Reason::Duplicate),
            Verdict::OutOfPlace => return Err(Reason::OutOfPlace),
            Verdict::Foreign => return Err(Reason::ForeignSsrc),
        };
        let payload = header.payload(packet);
        let mut presses: Option<Presses> = None;
        if position.epoch != before {
            presses = self.digits.restart().map(|press| [Some(press), None]);
        }
        if format.codec == Codec::TelephoneEvent {
            let read = self
                .digits
                .read(payload, header.timestamp, format.clock_rate, now);
            // A restarted reader holds nothing, so `read` cannot finish a press twice.
            if read.is_some() {
                self.tapping.key_told();
            }
            presses = match (presses, read) {
                (Some([old, _]), Some([_, new])) => Some([old, new]),
                (old, read) => read.or(old),
            };
        } else {
            self.source.time(header.timestamp, format.clock_rate, now);
            self.spoken = Some(format);
        }
        let inbound = Inbound {
            origin: Origin {
                leg: self.slot,
                epoch: position.epoch,
            },
            position,
            header,
            index,
            format,
            treatment: self.treatment,
            told: None,
        };
        Ok((inbound, presses))
    }

    /// Where this leg's peer wants RTCP, and from which port of ours.
    pub(crate) fn rtcp_target(&self) -> Option<(PortKey, SocketAddr)> {
        let port = if self.rtcp_shares {
            &self.rtp
        } else {
            self.rtcp.as_ref()?
        };
        Some((port.key, port.latch.target()?))
    }

    /// What the peer spoke last.
    pub(crate) fn voice_heard(&self) -> Option<Format> {
        let sound = |format: &Format| format.codec != Codec::ComfortNoise;
        self.spoken.filter(sound)
    }

    /// What is being decoded for this leg.
    pub(crate) fn live_hearing(&self) -> Option<&Hearing> {
        let voice = self.voice.as_ref().map(|voice| voice.hearing());
        voice.or_else(|| self.program.as_ref()?.hearing())
    }

    /// What the peer speaks, or will.
    pub(crate) fn voice_format(&self) -> Option<Format> {
        self.voice_heard().or_else(|| self.formats.first())
    }
}
