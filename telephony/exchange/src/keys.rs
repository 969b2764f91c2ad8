//! Keys pressed during a call: in whatever form they come, told once; and passed on in the form that
//! the other side understands.
//!
//! What a key means the call engine decides. Invariant: of a leg that tells its keys in two forms
//! at once, one is heard.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use calls::Input;
use model::{Digit, KeyWay, LegId};

use crate::state::Exchange;

/// How long a key is held that is passed on by events: ITU-T Q.24 knows receivers that need 90 ms.
const KEY_LASTS: Duration = Duration::from_millis(100);

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// An event in RTP (RFC 4733).
    Event,
    /// Two tones in the sound (ITU-T Q.23).
    Tones,
    Info,
}

/// What is known of the keys of each leg.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// How a leg tells its keys, once it has told one by other means than tones.
    forms: BTreeMap<LegId, KeyForm>,
    /// How the key came that the call engine hears of at the moment.
    passing: Option<KeyForm>,
}

impl Exchange {
    pub(crate) fn key_pressed(&mut self, leg: LegId, digit: Digit, form: KeyForm, now: Instant) {
        if !self.takes_key(leg, form) {
            self.counters.keys_ignored += 1;
            return;
        }
        self.keys.passing = Some(form);
        self.calls.handle(Input::Digit { leg, digit }, now);
    }

    /// Many devices send a key in two forms. Tones bind nobody: speech may sound like one.
    fn takes_key(&mut self, leg: LegId, form: KeyForm) -> bool {
        match (self.key_way(leg), form) {
            (KeyWay::Auto, KeyForm::Tones) => !self.keys.forms.contains_key(&leg),
            (KeyWay::Auto, KeyForm::Event | KeyForm::Info) => {
                *self.keys.forms.entry(leg).or_insert(form) == form
            }
            (KeyWay::Events, form) => form == KeyForm::Event,
            (KeyWay::Tones, form) => form == KeyForm::Tones,
            (KeyWay::Info, form) => form == KeyForm::Info,
        }
    }

    /// Keys of this leg are listened for in its sound, if that is where they may be.
    pub(crate) fn listen_for_keys(&mut self, leg: LegId) {
        let tones = match self.key_way(leg) {
            KeyWay::Tones => true,
            // To decode what is only relayed costs more than to relay it.
            KeyWay::Auto => !self.plan.has_events(leg) && self.calls.could_dial_a_code(leg),
            KeyWay::Events | KeyWay::Info => false,
        };
        self.plan.listen_for_keys(leg, tones);
    }

    /// The leg's sound is treated as its station is set.
    pub(crate) fn treat_sound(&mut self, leg: LegId) {
        let station = self.calls.station_of(leg);
        let station = station.and_then(|station| self.directory.station(station));
        let (noise, echo, loudness) = station
            .map(|station| (station.noise, station.echo, station.loudness))
            .unwrap_or_default();
        self.plan.treat(leg, noise, echo, loudness);
    }

    /// A key of the other side, for whoever is at this leg.
    pub(crate) fn send_digit(&mut self, leg: LegId, digit: Digit, now: Instant) {
        let relayed = match self.keys.passing {
            Some(KeyForm::Event) => self.plan.has_events(leg),
            Some(KeyForm::Tones) => self.key_way(leg) == KeyWay::Tones,
            Some(KeyForm::Info) | None => false,
        };
        if relayed {
            return;
        }
        let by_events = match self.key_way(leg) {
            KeyWay::Auto | KeyWay::Events | KeyWay::Tones => !self.lines.has_leg(leg),
            KeyWay::Info => false,
        };
        if !(by_events && self.plan.press(leg, digit, KEY_LASTS)) {
            self.press_key(leg, digit, now);
        }
    }

    pub(crate) fn forget_keys(&mut self, leg: LegId) {
        self.keys.forms.remove(&leg);
    }

    fn key_way(&self, leg: LegId) -> KeyWay {
        let station = self.calls.station_of(leg);
        let station = station.and_then(|station| self.directory.station(station));
        station.map_or(KeyWay::default(), |station| station.keys)
    }
}
