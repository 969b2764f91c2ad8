//! A voice between its packets and its sound.
//!
//! Two halves, each of use without the other:
//!
//! - [`Hearing`]: the packets of one leg become frames of 20 ms at the rate you want. Give it each
//!   packet with [`Hearing::hear`]. Then take frames in one of two ways, and never in both: with
//!   [`Hearing::next_due`], after each packet and at [`Hearing::deadline`], if whatever you make of
//!   them follows the speaker's clock (a voice that is sent on); or with [`Hearing::next`], once
//!   every 20 ms of your own clock (a room with others, a recording, a level meter). A leg may have
//!   as many hearing halves as there are who need its sound; they know nothing of each other.
//! - [`Speaking`]: frames of 20 ms become payloads with a number and a time, for an encoder that
//!   hears a tone, a room or a voice. Give it a frame with [`Speaking::say`] every 20 ms.
//!
//! [`Voice`] couples one of each, between a leg that speaks and one that hears it when they share
//! no codec: while packets come evenly each is carried over in the moment it comes, and the buffer's
//! clock only says when a missing one is given up. None of them knows a header: payloads are
//! numbered from zero, and [`crate::stream`] gives them their place in what the peer gets.
//!
//! Invariant: what leaves is gapless in number and in time, whatever came in.

mod hearing;
mod speaking;

use std::time::Instant;

pub use hearing::Hearing;
pub(crate) use speaking::{Losses, MAX_ENCODED};
pub use speaking::{Speaking, Spoken};

use crate::codec::opus::OpenError;
use crate::codec::{AudioCodec, DecodeError};
use crate::echo::Told;
use crate::jitter::Packet;
use crate::noise::Treatment;
use crate::rate::{MAX_FRAME, SampleRate};
use crate::telephone_event::KeyPacket;

/// From what into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) from: AudioCodec,
    pub(crate) to: AudioCodec,
}

impl Bridge {
    /// Opus is opened at the rate of the other side, so that only G.711 and G.722 among themselves
    /// need a resampler.
    fn rate(self) -> SampleRate {
        let native = self.to.native_rate().or(self.from.native_rate());
        native.unwrap_or(SampleRate::Hz48000)
    }
}

/// Under which number of the listener's a voice is said, and which of our streams to it that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saying {
    pub(crate) payload_type: u8,
    pub(crate) epoch: u32,
}

/// One voice carried into another codec.
#[derive(Debug)]
pub(crate) struct Voice {
    bridge: Bridge,
    /// Slot of the leg that speaks.
    speaker: u8,
    saying: Saying,
    hearing: Hearing,
    speaking: Speaking,
}

impl Voice {
    pub(crate) fn new(
        bridge: Bridge,
        speaker: u8,
        saying: Saying,
        seed: u64,
        now: Instant,
    ) -> Result<Voice, OpenError> {
        let rate = bridge.rate();
        Ok(Voice {
            bridge,
            speaker,
            saying,
            hearing: Hearing::new(bridge.from, rate, seed, now)?,
            speaking: Speaking::new(bridge.to, rate)?,
        })
    }

    pub(crate) fn is(&self, bridge: Bridge, speaker: u8) -> bool {
        (self.bridge, self.speaker) == (bridge, speaker)
    }

    pub(crate) fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    pub(crate) fn speaking_mut(&mut self) -> &mut Speaking {
        &mut self.speaking
    }

    pub(crate) fn payload_type(&self) -> u8 {
        self.saying.payload_type
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.saying.epoch
    }

    /// The clock of what is spoken.
    pub(crate) fn clock_rate(&self) -> u32 {
        self.bridge.to.clock_rate()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.hearing.deadline()
    }

    /// How long the payload lasts on the clock of the speaker.
    pub(crate) fn ticks_in(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.hearing.ticks_in(payload)
    }

    /// A packet of the speaker has come.
    pub(crate) fn hear(&mut self, packet: &Packet<'_>, now: Instant) {
        let slept = self.hearing.hear(packet, now);
        self.speaking.pause(slept);
    }

    /// A packet of RFC 4733 has come: it goes out at once, in the time of what goes out.
    pub(crate) fn press(
        &mut self,
        packet: KeyPacket<'_>,
        now: Instant,
        send: impl FnOnce(Spoken<'_>),
    ) {
        self.speaking.press(packet, now, send);
    }

    /// What is done to the voice from now on, and what its speaker was told.
    pub(crate) fn treat(&mut self, treatment: Treatment, told: Option<&Told>) {
        self.hearing.treat(treatment);
        self.hearing.overhear(told);
    }

    /// Carries over what is due; `told` keeps it.
    pub(crate) fn speak(
        &mut self,
        now: Instant,
        mut told: Option<&mut Told>,
        mut send: impl FnMut(Spoken<'_>),
    ) {
        let rate = self.hearing.rate();
        let mut frame = [0; MAX_FRAME];
        let frame = &mut frame[..rate.frame()];
        while self.hearing.next_due(frame, now) {
            if let Some(told) = &mut told {
                told.tell(frame, rate, now);
            }
            self.speaking.say(frame, now, &mut send);
        }
    }
}
