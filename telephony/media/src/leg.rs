//! One media line of one call leg: its ports, its peer, its two streams.
//!
//! Takes a packet from its peer, or says why not; gives a packet of another
//! leg to its peer under a continuous header. Does not know which leg hears
//! which; see [`crate::session`].
//!
//! Invariant: nothing leaves for an address that neither the owner named nor
//! the latch accepted.

use std::net::SocketAddr;
use std::time::Instant;

use crate::codec::{AudioCodec, DecodeError};
use crate::decoded::{Decoding, Past};
use crate::format::{Codec, Format, FormatError, FormatMap, FormatTable};
use crate::guard::{Guard, Outlet, Protection};
use crate::jitter;
use crate::latch::{Latch, LatchPolicy};
use crate::limiter::Limiter;
use crate::measure::{Teller, Told};
use crate::noise::Treatment;
use crate::program::Program;
use crate::quality::{Drops, Reason};
use crate::relay::{Arrival, Config, Sink};
use crate::reporting::{PeerClock, Reporting};
use crate::rtp::{FIXED_LEN, Header, Kind};
use crate::seed::Seed;
use crate::source::{Position, Source, Verdict};
use crate::stream::{Origin, Outgoing};
use crate::tap::Tapping;
use crate::telephone_event::{KeyPacket, Presses, Reader};
use crate::voice::{Bridge, Hearing, MAX_ENCODED, Saying, Speaking, Spoken, Voice};

/// The owner's name for a session; one per media line of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The owner's name for a leg, unique in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub u64);

/// The owner's small, dense number for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(pub u32);

/// Whether a talk spurt or a frame is what the marker bit marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Audio,
    Video,
}

/// Seen from us (RFC 3264 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    SendReceive,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

impl Direction {
    pub(crate) fn sends(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::SendOnly)
    }

    pub(crate) fn receives(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::ReceiveOnly)
    }
}

/// Where the peer's RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpAddress {
    /// The peer wants none.
    None,
    /// RFC 5761: on the RTP port.
    SharesRtp,
    /// RFC 3550 11: the port after RTP's.
    NextPort,
    /// RFC 3605: as the SDP says.
    At(SocketAddr),
}

/// What signalling says about the peer. For link-local addresses the owner
/// fills in the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// `None`: not told yet; only a packet from the signalling peer's network
    /// can tell.
    pub rtp: Option<SocketAddr>,
    pub rtcp: RtcpAddress,
    pub latch: LatchPolicy,
}

impl Remote {
    fn rtcp_address(&self) -> Option<SocketAddr> {
        match self.rtcp {
            RtcpAddress::None | RtcpAddress::SharesRtp => None,
            RtcpAddress::NextPort => self.rtp.and_then(|rtp| {
                let mut next = rtp;
                next.set_port(rtp.port().checked_add(1)?);
                Some(next)
            }),
            RtcpAddress::At(address) => Some(address),
        }
    }
}

/// All that a leg needs to begin.
#[derive(Debug, Clone)]
pub struct LegSetup {
    pub rtp: PortKey,
    pub rtcp: Option<PortKey>,
    pub medium: Medium,
    pub remote: Remote,
    pub formats: Vec<Format>,
    pub direction: Direction,
    pub protection: Protection,
}

/// What new signalling changes; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct LegUpdate {
    /// Opens the latch's window again, even if it is what it was.
    pub remote: Option<Remote>,
    pub formats: Option<Vec<Format>>,
    pub direction: Option<Direction>,
    /// Packets under the keys of before still come in for a while.
    pub protection: Option<Protection>,
}

/// Which of the two ports of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Rtp,
    Rtcp,
}

/// Numbers of an origin of our own lie beyond all slots.
const CARRIED_OVER: u8 = 0x80;

/// The way of what we encode to a peer.
pub(crate) struct Mouth<'a, 'o, S> {
    origin: Origin,
    clock_rate: u32,
    out: &'a mut Outgoing,
    guard: &'a mut Guard,
    drops: &'a mut Drops,
    port: PortKey,
    target: SocketAddr,
    now: Instant,
    outlet: &'a mut Outlet<'o, S>,
}

impl<S: Sink> Mouth<'_, '_, S> {
    pub(crate) fn say(&mut self, spoken: &Spoken<'_>, payload_type: u8, marker: bool) {
        let origin = self.origin;
        let position = Position {
            epoch: origin.epoch,
            extended: spoken.number,
        };
        let header = Header::of(payload_type, spoken.number as u16, spoken.timestamp, marker);
        let rate = self.clock_rate;
        let carried = self.out.carry(origin, position, &header, rate, self.now);
        let Some(carried) = carried else { return };
        let mut packet = [0; FIXED_LEN + MAX_ENCODED];
        let Some(packet) = packet.get_mut(..FIXED_LEN + spoken.payload.len()) else {
            return;
        };
        let mut header = carried.header;
        // RFC 3551 4.1: a new speaker begins a talk spurt.
        header.marker |= carried.joined;
        header.begin(packet);
        packet[FIXED_LEN..].copy_from_slice(spoken.payload);
        let way = (self.port, self.target);
        match self.outlet.send(self.guard, Kind::Rtp, way, packet) {
            Ok(()) => self.out.count(spoken.payload.len()),
            Err(reason) => self.drops.count(reason),
        }
    }
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
pub(crate) struct Inbound {
    pub(crate) origin: Origin,
    pub(crate) position: Position,
    pub(crate) header: Header,
    /// Its place in the speaker's table, and what stands there.
    pub(crate) index: u8,
    pub(crate) format: Format,
    pub(crate) treatment: Treatment,
}

impl Inbound {
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

    pub(crate) fn ports_mut(&mut self) -> impl Iterator<Item = &mut Port> {
        std::iter::once(&mut self.rtp).chain(&mut self.rtcp)
    }

    /// Judges an admitted packet of this leg's peer.
    pub(crate) fn take(
        &mut self,
        header: Header,
        packet: &[u8],
        now: Instant,
    ) -> Result<(Inbound, Option<Presses>), Reason> {
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
        };
        Ok((inbound, presses))
    }

    /// Sends another leg's packet to this one's peer.
    pub(crate) fn give(
        &mut self,
        inbound: &Inbound,
        packet: &mut [u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<(), Reason> {
        let target = self.target().ok_or(Reason::NowhereToSend)?;
        if self.program.is_some() {
            return self.hear_beneath(inbound, packet, now, outlet);
        }
        let is_key = inbound.format.codec == Codec::TelephoneEvent;
        let payload_type = match self.map.payload_type(inbound.index) {
            Some(payload_type) if self.passes_on(inbound) => payload_type,
            Some(_) | None => return self.carry_over(inbound, packet, now, outlet),
        };
        if AudioCodec::of(inbound.format.codec).is_some() {
            self.forget_voice();
        }
        if !is_key && inbound.format.codec != Codec::ComfortNoise {
            self.told = Some(Told {
                codec: inbound.format.codec,
                by: Teller::Peer,
            });
        }
        let carried = self.out.carry(
            inbound.origin,
            inbound.position,
            &inbound.header,
            inbound.format.clock_rate,
            now,
        );
        let carried = carried.ok_or(Reason::OutOfPlace)?;
        let mut header = carried.header;
        header.payload_type = payload_type;
        // RFC 3551 4.1: a new speaker begins a talk spurt. In video the marker
        // ends a frame and is the sender's alone.
        header.marker |= carried.joined && self.medium == Medium::Audio;
        header.write(packet);
        outlet.send(&mut self.guard, Kind::Rtp, (self.rtp.key, target), packet)?;
        self.out.count(inbound.header.payload(packet).len());
        Ok(())
    }

    /// Where the peer is, if it may be sent to.
    fn target(&self) -> Option<SocketAddr> {
        self.rtp.latch.target().filter(|_| self.direction.sends())
    }

    /// Whether a packet that the peer understands may go to it as it is.
    fn passes_on(&self, inbound: &Inbound) -> bool {
        let is_voice = AudioCodec::of(inbound.format.codec).is_some();
        let is_key = inbound.format.codec == Codec::TelephoneEvent;
        let decoded = is_voice && inbound.treatment.is_any() && self.formats.voice().is_some();
        !decoded && (self.voice.is_none() || !is_key)
    }

    /// Sends another leg's packet to this one's peer in a codec that the peer has.
    fn carry_over(
        &mut self,
        inbound: &Inbound,
        packet: &[u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<(), Reason> {
        let payload = inbound.header.payload(packet);
        if inbound.format.codec == Codec::TelephoneEvent {
            return self.carry_key(inbound, payload, now, outlet);
        }
        let (Some(from), Some((format, to))) =
            (AudioCodec::of(inbound.format.codec), self.formats.voice())
        else {
            // The receiver could not tell these from lost ones.
            self.out.cut();
            return Err(Reason::NoPayloadType);
        };
        let bridge = Bridge { from, to };
        if self
            .voice
            .as_ref()
            .is_none_or(|voice| !voice.is(bridge, inbound.origin.leg))
        {
            let spoken = Saying {
                epoch: self.next_epoch(),
                payload_type: format.payload_type,
            };
            let seed = u64::from(self.out.ssrc());
            let voice = Voice::new(bridge, inbound.origin.leg, spoken, seed, now);
            self.forget_voice();
            self.voice = voice.ok().map(Box::new);
        }
        let voice = self.voice.as_mut().ok_or(Reason::NoPayloadType)?;
        voice.treat(inbound.treatment);
        voice.hear(&inbound.packet(payload, voice.ticks_in(payload))?, now);
        self.speak(now, outlet);
        Ok(())
    }

    fn carry_key(
        &mut self,
        inbound: &Inbound,
        payload: &[u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<(), Reason> {
        let Some(mut voice) = self.voice.take() else {
            self.out.cut();
            return Err(Reason::NoPayloadType);
        };
        let events = self.formats.events(voice.clock_rate());
        let mouth = self.mouth(voice.epoch(), voice.clock_rate(), now, outlet);
        let outcome = match (events, mouth) {
            (None, _) => Err(Reason::NoPayloadType),
            (Some(_), None) => Err(Reason::NowhereToSend),
            (Some(events), Some(mut mouth)) => {
                let packet = KeyPacket {
                    timestamp: inbound.header.timestamp,
                    clock_rate: inbound.format.clock_rate,
                    told_clock_rate: events.clock_rate,
                    payload,
                };
                voice.press(packet, now, |spoken| {
                    mouth.say(&spoken, events.payload_type, inbound.header.marker);
                });
                Ok(())
            }
        };
        self.voice = Some(voice);
        outcome
    }

    /// Sends what the voice that is carried over has to say by now.
    pub(crate) fn speak(&mut self, now: Instant, outlet: &mut Outlet<'_, impl Sink>) {
        let Some(mut voice) = self.voice.take() else {
            return;
        };
        let mut mouth = self.mouth(voice.epoch(), voice.clock_rate(), now, outlet);
        let payload_type = voice.payload_type();
        voice.speak(now, |spoken| {
            if let Some(mouth) = &mut mouth {
                mouth.say(&spoken, payload_type, false);
            }
        });
        self.voice = Some(voice);
    }

    /// The way of what we say to the peer, if it may be sent to. What is numbered from zero has an
    /// epoch of its own.
    pub(crate) fn mouth<'a, 'o, S: Sink>(
        &'a mut self,
        epoch: u32,
        clock_rate: u32,
        now: Instant,
        outlet: &'a mut Outlet<'o, S>,
    ) -> Option<Mouth<'a, 'o, S>> {
        let target = self.target()?;
        self.begin_to_report(now);
        if let Some((format, _)) = self.formats.voice() {
            self.told = Some(Told {
                codec: format.codec,
                by: Teller::Us,
            });
        }
        Some(Mouth {
            origin: Origin {
                leg: CARRIED_OVER | self.slot,
                epoch,
            },
            clock_rate,
            out: &mut self.out,
            guard: &mut self.guard,
            drops: &mut self.drops,
            port: self.rtp.key,
            target,
            now,
            outlet,
        })
    }

    pub(crate) fn next_epoch(&mut self) -> u32 {
        self.epochs = self.epochs.wrapping_add(1);
        self.epochs
    }

    /// Who encodes for the leg's peer, if somebody does.
    pub(crate) fn speaking_mut(&mut self) -> Option<&mut Speaking> {
        match (&mut self.program, &mut self.voice) {
            (Some(program), _) => Some(program.speaking_mut()),
            (None, Some(voice)) => Some(voice.speaking_mut()),
            (None, None) => None,
        }
    }

    pub(crate) fn voice_deadline(&self) -> Option<Instant> {
        self.voice.as_ref()?.deadline()
    }

    /// What this leg hears is encoded here.
    pub(crate) fn hears_our_words(&self) -> bool {
        self.voice.is_some() || self.program.is_some()
    }

    /// Whoever this leg hears from now on begins anew.
    pub(crate) fn forget_voice(&mut self) {
        if let Some(voice) = self.voice.take() {
            self.spend(voice.hearing().decoding());
        }
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
