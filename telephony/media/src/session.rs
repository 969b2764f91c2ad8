//! Legs that hear each other, as the owner says.
//!
//! Keeps who hears whom: two that talk, a ringing caller that hears one of up
//! to 32 called legs, one talker whom a whole group hears, one that hears
//! itself. The packets that
//! pass along these lines are in [`crate::traffic`], what is made for a leg on our own clock in
//! [`clock`] and [`room`]. Decides nothing by itself.
//!
//! Invariant: a leg hears at most one leg, and `heard_by` of that one says so.

mod clock;
pub(crate) mod room;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::format::{FormatError, FormatTable};
use crate::guard::Outlet;
use crate::leg::{Direction, Leg, LegKey, LegSetup, LegUpdate, SessionId};
use crate::noise::Treatment;
use crate::player::Player;
use crate::program::PressError;
use crate::relay::{Config, Event, KeyForm, OpenError, Output, Sink};
use crate::seed::Seed;
use crate::telephone_event::{Digit, Press};
use room::Room;

/// Legs of one session: the bits of `heard_by`.
pub const MAX_LEGS: usize = 64;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    legs: Vec<Option<Leg>>,
    cname: [u8; 16],
    seed: Seed,
    /// Silence counts from here at the earliest.
    watched_since: Instant,
    /// When the next frame is made for those who need our own clock.
    beat_at: Option<Instant>,
    rooms: Vec<Room>,
    /// When the relay will call [`Session::handle_timeout`].
    pub(crate) scheduled: Option<Instant>,
}

impl Session {
    pub(crate) fn new(id: SessionId, mut seed: Seed, now: Instant) -> Session {
        Session {
            id,
            legs: Vec::new(),
            cname: cname(&mut seed),
            seed,
            watched_since: now,
            beat_at: None,
            rooms: Vec::new(),
            scheduled: None,
        }
    }

    pub(crate) fn open(
        &mut self,
        key: LegKey,
        setup: LegSetup,
        config: &Config,
        now: Instant,
    ) -> Result<u8, OpenError> {
        if self.slot_of(key).is_some() {
            return Err(OpenError::LegExists(key));
        }
        let free = self.legs.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.legs.len());
        if slot >= MAX_LEGS {
            return Err(OpenError::TooManyLegs);
        }
        let leg = Leg::new(key, slot as u8, setup, config, &mut self.seed, now)?;
        match self.legs.get_mut(slot) {
            Some(place) => *place = Some(leg),
            None => self.legs.push(Some(leg)),
        }
        Ok(slot as u8)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.legs.iter().all(Option::is_none)
    }

    pub(crate) fn slots(&self) -> std::ops::Range<u8> {
        0..self.legs.len() as u8
    }

    pub(crate) fn slot_of(&self, key: LegKey) -> Option<u8> {
        let found = |leg: &Option<Leg>| leg.as_ref().is_some_and(|leg| leg.key == key);
        self.legs.iter().position(found).map(|slot| slot as u8)
    }

    pub(crate) fn leg(&self, slot: u8) -> Option<&Leg> {
        self.legs.get(usize::from(slot))?.as_ref()
    }

    pub(crate) fn leg_mut(&mut self, slot: u8) -> Option<&mut Leg> {
        self.legs.get_mut(usize::from(slot))?.as_mut()
    }

    /// Two different legs at once.
    pub(crate) fn pair_mut(&mut self, a: u8, b: u8) -> Option<(&mut Leg, &mut Leg)> {
        let places = [usize::from(a), usize::from(b)];
        match self.legs.get_disjoint_mut(places) {
            Ok([Some(a), Some(b)]) => Some((a, b)),
            Ok(_) | Err(_) => None,
        }
    }

    pub(crate) fn cname(&self) -> [u8; 16] {
        self.cname
    }

    /// From now on `listener` gets what `source` sends, and nothing else.
    pub(crate) fn listen(&mut self, listener: u8, source: u8, now: Instant) {
        self.leave(listener);
        self.link(listener, source);
        self.watched_since = now;
    }

    fn link(&mut self, listener: u8, source: u8) {
        self.deafen(listener);
        self.translate(listener, source);
        if let Some(ear) = self.leg_mut(listener) {
            ear.hears = Some(source);
        }
        if let Some(mouth) = self.leg_mut(source) {
            mouth.heard_by |= 1 << listener;
        }
    }

    /// The numbers of what one says, in those of who hears it.
    fn translate(&mut self, listener: u8, source: u8) {
        let mouth = self.leg(source).map(|mouth| &mouth.formats);
        let ear = self.leg(listener).map(|ear| &ear.formats);
        let map = mouth.zip(ear).map(|(mouth, ear)| mouth.map_to(ear));
        if let (Some(map), Some(ear)) = (map, self.leg_mut(listener)) {
            ear.map = map;
        }
    }

    /// `listener` does not hear `source` any more. Whom it hears in a room, the room says.
    pub(crate) fn unlisten(&mut self, listener: u8, source: u8) {
        let hears = self.leg(listener).and_then(|leg| leg.hears);
        if hears == Some(source) && !self.is_in_room(listener) {
            self.watched_since = self.heard_last().unwrap_or(self.watched_since);
            self.deafen(listener);
        }
    }

    /// `slot` hears nobody.
    pub(crate) fn deafen(&mut self, slot: u8) {
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        leg.out.cut();
        leg.forget_voice();
        leg.forget_beneath();
        self.settle(slot);
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        if let Some(source) = leg.hears.take().and_then(|source| self.leg_mut(source)) {
            source.heard_by &= !(1 << slot);
        }
    }

    /// `slot` hears nobody and nobody hears it.
    pub(crate) fn isolate(&mut self, slot: u8) {
        // Silence goes on counting from the last sign of life, whoever gave it: those who stay may
        // have been silent for longer, and were not expected to be heard alone.
        self.watched_since = self.heard_last().unwrap_or(self.watched_since);
        self.leave(slot);
        self.deafen(slot);
        let listeners = self.leg(slot).map_or(0, |leg| leg.heard_by);
        for listener in slots(listeners) {
            self.deafen(listener);
        }
    }

    pub(crate) fn update(
        &mut self,
        slot: u8,
        update: LegUpdate,
        config: &Config,
        now: Instant,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), FormatError> {
        let formats = update.formats.map(FormatTable::new).transpose()?;
        let Some(leg) = self.leg_mut(slot) else {
            return Ok(());
        };
        if let Some(remote) = update.remote {
            leg.set_remote(&remote, config);
            for port in leg.ports_mut() {
                if std::mem::take(&mut port.announced) {
                    outputs.push_back(Output::Peer {
                        port: port.key,
                        remote: None,
                    });
                }
            }
        }
        if let Some(protection) = update.protection {
            leg.guard.set(protection);
        }
        if let Some(formats) = formats {
            leg.formats = formats;
            leg.renew_program();
            self.renumber();
            self.rearrange(slot);
            self.wind_clock(now);
        }
        if let Some(direction) = update.direction {
            self.turn(slot, direction);
        }
        self.watched_since = now;
        Ok(())
    }

    fn renumber(&mut self) {
        for listener in self.slots() {
            let Some(source) = self.leg(listener).and_then(|leg| leg.hears) else {
                continue;
            };
            self.translate(listener, source);
            if let Some(ear) = self.leg_mut(listener) {
                ear.forget_voice();
            }
        }
    }

    /// What was held back leaves no gap: the next packet begins anew.
    fn turn(&mut self, slot: u8, direction: Direction) {
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        leg.direction = direction;
        leg.out.cut();
        for listener in slots(leg.heard_by) {
            if let Some(ear) = self.leg_mut(listener) {
                ear.out.cut();
            }
        }
    }

    /// Lets a leg hear a sound. `false`: it has no codec that we can speak.
    pub(crate) fn play(&mut self, slot: u8, player: Player, now: Instant) -> bool {
        let played = self.leg_mut(slot).is_some_and(|leg| leg.play(player));
        self.wind_clock(now);
        played
    }

    /// Presses a key for a leg's peer, unless whom it hears is telling it that key already: many
    /// devices send one in two forms.
    pub(crate) fn press(
        &mut self,
        slot: u8,
        digit: Digit,
        duration: Duration,
        now: Instant,
    ) -> Result<(), PressError> {
        let source = self.leg(slot).and_then(|leg| leg.hears);
        let source = source.and_then(|source| self.leg(source));
        if source.is_some_and(|source| source.digits.hears(digit, now)) {
            return Ok(());
        }
        let leg = self.leg_mut(slot);
        let pressed = leg.map_or(Ok(()), |leg| leg.press(digit, duration));
        self.wind_clock(now);
        pressed
    }

    /// What is done to what a leg says.
    pub(crate) fn treat(&mut self, slot: u8, treatment: Treatment, now: Instant) {
        if let Some(leg) = self.leg_mut(slot) {
            leg.treat(treatment);
        }
        self.rearrange(slot);
        self.wind_clock(now);
    }

    /// How much louder a leg hears what it is told.
    pub(crate) fn set_volume(&mut self, slot: u8, db: i8, now: Instant) {
        if let Some(leg) = self.leg_mut(slot) {
            leg.set_volume(db);
        }
        self.rearrange(slot);
        self.wind_clock(now);
    }

    /// Lets a leg go to another session; here it hears nobody any more.
    pub(crate) fn release(&mut self, slot: u8) -> Option<Leg> {
        self.isolate(slot);
        self.legs.get_mut(usize::from(slot))?.take()
    }

    /// Takes in a leg of another session, if there is a place for it.
    pub(crate) fn adopt(&mut self, mut leg: Leg, now: Instant) -> Result<u8, Box<Leg>> {
        let free = self.legs.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.legs.len());
        if slot >= MAX_LEGS || self.slot_of(leg.key).is_some() {
            return Err(Box::new(leg));
        }
        leg.move_to(slot as u8);
        match self.legs.get_mut(slot) {
            Some(place) => *place = Some(leg),
            None => self.legs.push(Some(leg)),
        }
        self.watched_since = now;
        self.wind_clock(now);
        Ok(slot as u8)
    }

    /// Ends a leg: last digits, last figures, its ports.
    pub(crate) fn close(
        &mut self,
        slot: u8,
        now: Instant,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        let quality = self.quality(slot, now);
        self.say_goodbye(slot, outlet);
        self.isolate(slot);
        let place = self.legs.get_mut(usize::from(slot));
        let (Some(mut leg), Some(quality)) = (place.and_then(Option::take), quality) else {
            return;
        };
        if let Some(press) = leg.digits.finish() {
            self.tell_digit(leg.key, press, KeyForm::Event, outputs);
        }
        outputs.push_back(Output::Event {
            session: self.id,
            event: Event::LegClosed {
                leg: leg.key,
                quality: Box::new(quality),
            },
        });
        for port in leg.ports_mut() {
            outputs.push_back(Output::Release { port: port.key });
        }
    }

    pub(crate) fn tell_digit(
        &self,
        leg: LegKey,
        press: Press,
        form: KeyForm,
        outputs: &mut VecDeque<Output>,
    ) {
        outputs.push_back(Output::Event {
            session: self.id,
            event: Event::Digit { leg, press, form },
        });
    }

    /// Gives away what the tap of a leg has heard by now.
    pub(crate) fn tell_tapped(
        &mut self,
        slot: u8,
        now: Instant,
        outputs: &mut VecDeque<Output>,
        sink: &mut impl Sink,
    ) {
        let session = self.id;
        let Some(leg) = self.leg_mut(slot) else {
            return;
        };
        let key = leg.key;
        leg.tapping.tell((session, key), now, sink, |press| {
            outputs.push_back(Output::Event {
                session,
                event: Event::Digit {
                    leg: key,
                    press,
                    form: KeyForm::Tones,
                },
            });
        });
    }

    /// When something has to happen without a packet.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        let legs = self.slots().filter_map(|slot| self.leg(slot));
        let own = legs.flat_map(|leg| {
            [
                leg.digits.deadline(),
                leg.voice_deadline(),
                leg.tapping.deadline(),
                leg.reporting.as_ref().and_then(|own| own.deadline()),
            ]
        });
        let silence = self
            .heard_last()
            .and_then(|last| last.checked_add(config.silence));
        own.flatten().chain(silence).chain(self.beat_at).min()
    }

    pub(crate) fn handle_timeout(
        &mut self,
        config: &Config,
        now: Instant,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        self.beats_due(now, outputs, outlet);
        for slot in self.slots() {
            if let Some(leg) = self.leg_mut(slot) {
                leg.speak(now, outlet);
            }
            self.report_if_due(slot, now, outlet);
            self.tell_tapped(slot, now, outputs, outlet.sink);
            let press = self.leg_mut(slot).and_then(|leg| {
                let press = leg.digits.expire(now)?;
                Some((leg.key, press))
            });
            if let Some((leg, press)) = press {
                self.tell_digit(leg, press, KeyForm::Event, outputs);
            }
        }
        let Some(last) = self.heard_last() else {
            return;
        };
        if now.saturating_duration_since(last) >= config.silence {
            outputs.push_back(Output::Event {
                session: self.id,
                event: Event::Silent {
                    lasting: config.silence,
                },
            });
            // Told again if it goes on, in case nobody could listen.
            self.watched_since = now;
        }
    }

    /// The last sign of life of those who are expected to speak; `None`: nobody is.
    fn heard_last(&self) -> Option<Instant> {
        let legs = self.slots().filter_map(|slot| self.leg(slot));
        let expected = legs.filter(|leg| leg.is_expected_to_speak());
        let last = expected.map(|leg| leg.last.unwrap_or(self.watched_since));
        last.max().map(|last| last.max(self.watched_since))
    }
}

/// The slots of a `heard_by`.
pub(crate) fn slots(mut mask: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let slot = (mask != 0).then(|| mask.trailing_zeros() as u8)?;
        mask &= mask - 1;
        Some(slot)
    })
}

/// RFC 7022 4.2: a name that says nothing, 96 bits told as text.
fn cname(seed: &mut Seed) -> [u8; 16] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u128::from(seed.next_u64()) << 64 | u128::from(seed.next_u64());
    std::array::from_fn(|n| LETTERS[(bits >> (6 * n)) as usize & 63])
}
