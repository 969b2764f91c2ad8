//! What a leg is told by us, on our own clock: sounds, keys, and what is mixed for it.
//!
//! A leg that hears another one follows that one's packets, and needs no clock ([`Leg::give`]).
//! While a sound is played to it, or a room with many voices is heard, a frame is made for it every
//! 20 ms instead: whom it hears is decoded, sounds are added, and all is encoded for it. So a
//! warning within a conversation is heard over the conversation, however that is carried; and when
//! the sound is over the packets are passed on again.
//!
//! Knows no time but the one it is told; see [`crate::session::clock`]. Invariant: a leg has a
//! program only while it needs one, and its peer hears one continuous stream before, within and
//! after.

use std::time::{Duration, Instant};

use crate::codec::AudioCodec;
use crate::format::{Codec, Format};
use crate::guard::Outlet;
use crate::leg::{Inbound, Leg, Medium};
use crate::mixer::{Frame, RATE};
use crate::player::{Goes, Player, SoundKey};
use crate::pressing::{Full, Pressing};
use crate::quality::Reason;
use crate::rate::FRAME;
use crate::relay::Sink;
use crate::telephone_event::{Digit, KeyPacket};
use crate::voice::{Hearing, Speaking, Spoken};

#[derive(Debug)]
pub(crate) struct Program {
    speaking: Speaking,
    format: Format,
    /// Tells what is said here from what was said before under the same numbers.
    epoch: u32,
    player: Option<Player>,
    /// Keys that are pressed for its peer.
    pressing: Pressing,
    /// Whom the leg hears beneath the sound.
    beneath: Option<Beneath>,
    /// Nothing was said in the last frame.
    rests: bool,
}

/// Why a key cannot be pressed for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PressError {
    /// It has agreed on none, or has no codec that we can speak beside them.
    NoEvents,
    TooMany,
}

#[derive(Debug)]
struct Beneath {
    speaker: u8,
    hearing: Box<Hearing>,
}

impl Program {
    pub(crate) fn clock_rate(&self) -> u32 {
        self.format.clock_rate
    }

    pub(crate) fn speaking_mut(&mut self) -> &mut Speaking {
        &mut self.speaking
    }

    /// What is decoded beneath the sound.
    pub(crate) fn hearing(&self) -> Option<&Hearing> {
        self.beneath.as_ref().map(|beneath| &*beneath.hearing)
    }

    /// Time that passed with nothing made.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.speaking.pause(time);
        self.rests = true;
    }
}

impl Leg {
    /// Lets the leg hear a sound, in place of another one. `false`: it has no codec that we can
    /// speak.
    pub(crate) fn play(&mut self, player: Player) -> bool {
        if self.medium != Medium::Audio || !self.open_program() {
            return false;
        }
        if let Some(program) = &mut self.program {
            program.player = Some(player);
        }
        true
    }

    /// The sound fades; nothing happens if there is none.
    pub(crate) fn stop_sound(&mut self) {
        let program = self.program.as_mut();
        if let Some(player) = program.and_then(|program| program.player.as_mut()) {
            player.stop();
        }
    }

    /// Presses a key for the peer, by events.
    pub(crate) fn press(&mut self, digit: Digit, duration: Duration) -> Result<(), PressError> {
        let has_events = |leg: &Leg| {
            let voice = leg.formats.voice();
            voice.is_some_and(|(voice, _)| leg.formats.events(voice.clock_rate).is_some())
        };
        if self.medium != Medium::Audio || !has_events(self) || !self.open_program() {
            return Err(PressError::NoEvents);
        }
        match &mut self.program {
            Some(program) => {
                let pressed = program.pressing.press(digit, duration);
                pressed.map_err(|Full| PressError::TooMany)
            }
            None => Err(PressError::NoEvents),
        }
    }

    /// Makes sure that there is a program. `false`: there is no codec for it.
    pub(crate) fn open_program(&mut self) -> bool {
        if self.program.is_some() {
            return true;
        }
        let Some((format, codec)) = self.formats.voice() else {
            return false;
        };
        let Ok(speaking) = Speaking::new(codec, RATE) else {
            return false;
        };
        self.forget_voice();
        let epoch = self.next_epoch();
        self.program = Some(Box::new(Program {
            speaking,
            format,
            epoch,
            player: None,
            pressing: Pressing::default(),
            beneath: None,
            rests: false,
        }));
        self.set_volume(self.volume_db);
        true
    }

    /// The peer has other formats now: what is being said goes on in one of them.
    pub(crate) fn renew_program(&mut self) {
        let Some(before) = self.program.take_if(|program| {
            let voice = self.formats.voice();
            voice.is_none_or(|(format, _)| format != program.format)
        }) else {
            return;
        };
        if self.open_program()
            && let Some(program) = &mut self.program
        {
            program.player = before.player;
            program.pressing = before.pressing;
            program.beneath = before.beneath;
        }
    }

    /// Whom the leg hears from now on is somebody else.
    pub(crate) fn forget_beneath(&mut self) {
        let beneath = self.program.as_mut().and_then(|of| of.beneath.take());
        if let Some(beneath) = beneath {
            self.spend(beneath.hearing.decoding());
        }
    }

    /// A packet of whom the leg hears, while we speak to it ourselves.
    pub(crate) fn hear_beneath(
        &mut self,
        inbound: &Inbound,
        packet: &[u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<(), Reason> {
        let payload = inbound.header.payload(packet);
        if inbound.format.codec == Codec::TelephoneEvent {
            return self.press_beneath(inbound, payload, now, outlet);
        }
        let seed = u64::from(self.out.ssrc());
        let codec = AudioCodec::of(inbound.format.codec).ok_or(Reason::NoPayloadType)?;
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let speaker = inbound.origin.leg;
        let known = program
            .beneath
            .take_if(|beneath| (beneath.speaker, beneath.hearing.codec()) == (speaker, codec));
        let mut beneath = match known {
            Some(beneath) => beneath,
            None => {
                self.forget_beneath();
                let hearing = Hearing::new(codec, RATE, seed, now);
                Beneath {
                    speaker,
                    hearing: Box::new(hearing.map_err(|_| Reason::NoPayloadType)?),
                }
            }
        };
        let packet = inbound.packet(payload, beneath.hearing.ticks_in(payload));
        beneath.hearing.treat(inbound.treatment);
        beneath.hearing.overhear(inbound.told);
        if let Ok(packet) = &packet {
            beneath.hearing.hear(packet, now);
        }
        if let Some(program) = &mut self.program {
            program.beneath = Some(beneath);
        }
        packet.map(|_| ())
    }

    fn press_beneath(
        &mut self,
        inbound: &Inbound,
        payload: &[u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<(), Reason> {
        let Some(mut program) = self.program.take() else {
            return Ok(());
        };
        if program.pressing.is_busy() {
            // Many devices send a key in two forms; this one is being told already.
            program.pressing.wait();
            self.program = Some(program);
            return Ok(());
        }
        let events = self.formats.events(program.clock_rate());
        let mouth = self.mouth(program.epoch, program.clock_rate(), now, outlet);
        let outcome = match (events, mouth) {
            (None, _) => Err(Reason::NoPayloadType),
            (_, None) => Err(Reason::NowhereToSend),
            (Some(events), Some(mut mouth)) => {
                let packet = KeyPacket {
                    timestamp: inbound.header.timestamp,
                    clock_rate: inbound.format.clock_rate,
                    told_clock_rate: events.clock_rate,
                    payload,
                };
                program.speaking.press(packet, now, |spoken| {
                    mouth.say(&spoken, events.payload_type, inbound.header.marker);
                });
                Ok(())
            }
        };
        self.program = Some(program);
        outcome
    }

    /// Makes the next frame and sends it. `base` is what the leg hears of a room. Gives the sound
    /// that was over with this frame.
    pub(crate) fn beat(
        &mut self,
        base: Option<&Frame>,
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Option<SoundKey> {
        let mut program = self.program.take()?;
        let mut frame = base.copied().unwrap_or([0; RATE.frame()]);
        let mut says = base.is_some();
        if let Some(beneath) = &mut program.beneath {
            says |= beneath.hearing.next(&mut frame, now);
        }
        let mut over = None;
        if let Some(player) = &mut program.player {
            says = true;
            if player.mix(&mut frame) == Goes::Over {
                over = Some(player.key());
                program.player = None;
            }
        }
        self.tell_keys(&mut program, now, outlet);
        if says {
            if let Some(kept) = &mut self.kept {
                kept.tell(&frame, RATE, now);
            }
            let (payload_type, marker) = (program.format.payload_type, program.rests);
            let mut mouth = self.mouth(program.epoch, program.clock_rate(), now, outlet);
            program.speaking.say(&frame, now, |spoken: Spoken<'_>| {
                if let Some(mouth) = &mut mouth {
                    mouth.say(&spoken, payload_type, marker);
                }
            });
            program.rests = false;
        } else {
            program.pause(FRAME);
        }
        self.program = Some(program);
        over
    }

    /// The next packet about the key that is being pressed.
    fn tell_keys(
        &mut self,
        program: &mut Program,
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        let Some(events) = self.formats.events(program.clock_rate()) else {
            return program.pressing = Pressing::default();
        };
        let Some(update) = program.pressing.next(events.clock_rate) else {
            return;
        };
        let mut mouth = self.mouth(program.epoch, program.clock_rate(), now, outlet);
        let packet = KeyPacket {
            timestamp: update.number,
            clock_rate: events.clock_rate,
            told_clock_rate: events.clock_rate,
            payload: &update.payload,
        };
        program.speaking.press(packet, now, |spoken| {
            if let Some(mouth) = &mut mouth {
                mouth.say(&spoken, events.payload_type, update.begins);
            }
        });
    }

    /// Whether a sound is being played to it, or a key pressed for it.
    pub(crate) fn is_played_to(&self) -> bool {
        let program = self.program.as_ref();
        program.is_some_and(|program| program.player.is_some() || program.pressing.is_busy())
    }

    /// What it hears comes from others alone again.
    pub(crate) fn end_program(&mut self) {
        self.forget_beneath();
        self.program = None;
    }
}
