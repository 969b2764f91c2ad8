//! What is wanted of the sound of a leg beside passing it on: keys heard in it, and its treatment.
//!
//! How a leg is treated its station says; an operator may say otherwise, and that holds until the
//! leg ends.

use model::{Echo, Gain, LegId, Loudness, Mute, NoiseAround};
use sip::sdp::{self, Codec};

use super::{LegPlan, MediaCommand, MediaPlan};

impl MediaPlan {
    /// Whether events of keys (RFC 4733) were agreed on with the leg.
    pub(crate) fn has_events(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(LegPlan::has_events)
    }

    /// Keys are listened for in the sound of the leg, or are not any more.
    pub(crate) fn listen_for_keys(&mut self, leg: LegId, listen: bool) {
        let Some(plan) = self.legs.get_mut(&leg) else {
            return;
        };
        let is_news = std::mem::replace(&mut plan.key_tones, listen) != listen;
        // A call without sound has none to listen to. If it gets ports, it is said then: a caller
        // without an offer is connected before it has any.
        if is_news && plan.is_open() {
            let command = MediaCommand::KeyTones { leg, listen };
            self.commands.push_back(command);
        }
    }

    /// What the leg's station is set to.
    pub(crate) fn treat(&mut self, leg: LegId, noise: NoiseAround, echo: Echo, loudness: Loudness) {
        self.change_treatment(leg, |set| {
            set.noise = noise;
            set.echo = echo;
            set.loudness = loudness;
        });
    }

    /// What an operator wants of the leg.
    pub(crate) fn wish(&mut self, leg: LegId, wish: SoundWish) {
        self.change_treatment(leg, |set| match wish {
            SoundWish::Microphone(gain) => set.microphone = Some(gain),
            SoundWish::Loudspeaker(gain) => set.loudspeaker = Some(gain),
            SoundWish::Mute(mute) => set.mute = mute,
        });
    }

    fn change_treatment(&mut self, leg: LegId, change: impl FnOnce(&mut Settings)) {
        let heard = self.legs.get_mut(&leg).filter(|plan| plan.is_open());
        let Some(plan) = heard else {
            return;
        };
        let before = plan.settings.treatment();
        change(&mut plan.settings);
        let treatment = plan.settings.treatment();
        if treatment != before {
            self.commands
                .push_back(MediaCommand::Treat { leg, treatment });
        }
    }
}

/// What is done to the sound of a leg, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// Of what it says.
    pub noise: NoiseAround,
    /// Of what it says, of what it hears.
    pub echo: Echo,
    pub loudness: Loudness,
    /// Of what it says.
    pub mute: Mute,
}

/// What an operator wants of the sound of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundWish {
    /// How much louder others hear it.
    Microphone(Gain),
    /// How much louder it hears others.
    Loudspeaker(Gain),
    Mute(Mute),
}

/// What a leg is set to: by its station, and by an operator.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    noise: NoiseAround,
    echo: Echo,
    loudness: Loudness,
    microphone: Option<Gain>,
    loudspeaker: Option<Gain>,
    mute: Mute,
}

impl Settings {
    fn treatment(self) -> Treatment {
        Treatment {
            noise: self.noise,
            echo: self.echo,
            loudness: Loudness {
                microphone: self.microphone.unwrap_or(self.loudness.microphone),
                loudspeaker: self.loudspeaker.unwrap_or(self.loudness.loudspeaker),
            },
            mute: self.mute,
        }
    }
}

impl LegPlan {
    pub(super) fn is_open(&self) -> bool {
        self.ports.iter().any(Option::is_some)
    }

    fn has_events(&self) -> bool {
        let (Some(ours), Some(theirs)) = (&self.ours, &self.theirs) else {
            return false;
        };
        let mut streams = ours.streams.iter().zip(&theirs.streams);
        streams.any(|(ours, theirs)| {
            let agreed = sdp::agreed_formats(&theirs.formats, &ours.formats);
            let event = |format: &sdp::Format| format.codec() == Some(Codec::TelephoneEvent);
            agreed.iter().any(event)
        })
    }
}
