//! Which sound each of the call engine's tones is here: a tone of the country, or an announcement
//! of the site.
//!
//! When and to whom is the call engine's to say; how long a sound lasts follows from what it means.

use std::collections::BTreeMap;

use calls::Tone;
use media::tones::{Region, Signal};
use media::{Recording, Repeat, Sound};

/// What legs hear of the gateway itself.
#[derive(Clone, Debug)]
pub struct Sounds {
    pub region: Region,
    pub announcements: Announcements,
}

/// In place of tones, where there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// To a station that opens by itself.
    pub auto_answer: Option<Recording>,
    /// To both, before the longest duration of a conversation is over.
    pub time_limit: Option<Recording>,
    /// To who waits, over and over.
    pub hold: Option<Recording>,
    /// To who opened a door by its code.
    pub door_sent: Option<Recording>,
    pub door_refused: Option<Recording>,
    /// To a caller, before it is refused: the one it called is busy or wants no call.
    pub busy: Option<Recording>,
    /// Nobody answered, or nobody could be reached.
    pub unavailable: Option<Recording>,
    pub unknown_number: Option<Recording>,
    /// Before somebody hears themselves.
    pub echo_test: Option<Recording>,
    /// What a station is played in a call of its own, by its number.
    pub messages: BTreeMap<u8, Recording>,
    /// What stations hear while they have no call, over and over.
    pub programmes: BTreeMap<u8, Recording>,
}

/// Until when a sound is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Until there is somebody to hear.
    UntilJoined,
    /// To its own end, over whoever is heard.
    ToItsEnd,
}

impl Sounds {
    pub(crate) fn of(&self, tone: Tone) -> (Sound, Lasting) {
        let own = &self.announcements;
        let (signal, recording) = match tone {
            Tone::Ringback => (Signal::RingBack, &None),
            Tone::Hold => (Signal::Hold, &own.hold),
            Tone::LimitWarning => (Signal::LimitNear, &own.time_limit),
            Tone::Announce => (Signal::AutoAnswer, &own.auto_answer),
            Tone::DoorSent => (Signal::Confirmed, &own.door_sent),
            Tone::DoorRefused => (Signal::Refused, &own.door_refused),
            Tone::EchoTest => (Signal::EchoTest, &own.echo_test),
        };
        let (lasting, repeat) = match tone {
            Tone::Ringback | Tone::Hold => (Lasting::UntilJoined, Repeat::UntilStopped),
            Tone::LimitWarning
            | Tone::Announce
            | Tone::DoorSent
            | Tone::DoorRefused
            | Tone::EchoTest => (Lasting::ToItsEnd, Repeat::ONCE),
        };
        let sound = match recording {
            Some(recording) => Sound::Recording {
                recording: recording.clone(),
                repeat,
            },
            None => Sound::Tone(signal.tone(self.region)),
        };
        (sound, lasting)
    }
}
