//! What a leg is given of another one: its packets as they are, or its voice in a codec of its own.
//!
//! Invariant: whoever is heard, and however that is carried, the peer gets one continuous stream.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Inbound, Leg, Medium, PortKey};
use crate::codec::AudioCodec;
use crate::format::Codec;
use crate::guard::{Guard, Outlet};
use crate::measure::{Teller, Told};
use crate::quality::{Drops, Reason};
use crate::relay::Sink;
use crate::rtp::{FIXED_LEN, Header, Kind};
use crate::source::Position;
use crate::stream::{Origin, Outgoing};
use crate::telephone_event::KeyPacket;
use crate::voice::{Bridge, MAX_ENCODED, Saying, Speaking, Spoken, Voice};

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

impl Leg {
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
        if inbound.is_kept_back() {
            // What cannot be decoded cannot be made silent otherwise.
            self.out.cut();
            return Ok(());
        }
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

    /// How much louder than it comes this leg hears all that it is told.
    pub(crate) fn set_volume(&mut self, db: i8) {
        self.volume_db = db;
        if let Some(speaking) = self.speaking_mut() {
            speaking.set_volume(db);
        }
    }

    /// Whether what it hears cannot be what others hear, or has to be known.
    pub(crate) fn hears_by_itself(&self) -> bool {
        self.volume_db != 0 || self.treatment.echo.is_some()
    }

    /// Whether a packet that the peer understands may go to it as it is.
    fn passes_on(&self, inbound: &Inbound) -> bool {
        let is_voice = AudioCodec::of(inbound.format.codec).is_some();
        let is_key = inbound.format.codec == Codec::TelephoneEvent;
        let changed = inbound.treatment.is_any() || self.hears_by_itself();
        let decoded = is_voice && changed && self.formats.voice().is_some();
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
            self.set_volume(self.volume_db);
        }
        let voice = self.voice.as_mut().ok_or(Reason::NoPayloadType)?;
        voice.treat(inbound.treatment, inbound.told);
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
        let mut kept = self.kept.take();
        let mut mouth = self.mouth(voice.epoch(), voice.clock_rate(), now, outlet);
        let payload_type = voice.payload_type();
        voice.speak(now, kept.as_deref_mut(), |spoken| {
            if let Some(mouth) = &mut mouth {
                mouth.say(&spoken, payload_type, false);
            }
        });
        self.kept = kept;
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
}
