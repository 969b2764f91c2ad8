//! The session's own clock: a frame every 20 ms for those who hear more than one leg's packets.
//!
//! It runs while somebody needs it. After a late wake-up a few frames are made up for; what is
//! older than these is left out, as time in which nothing was said, because nobody wants it in a
//! burst.
//!
//! Invariant: beats are 20 ms apart, whenever the relay is woken.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::guard::Outlet;
use crate::rate::FRAME;
use crate::relay::{Event, Output, Sink};
use crate::session::Session;

/// Frames that a late wake-up makes up for.
const CAUGHT_UP: u32 = 3;

impl Session {
    /// Starts the clock if somebody needs it, and stops it if nobody does.
    pub(super) fn wind_clock(&mut self, now: Instant) {
        let mut legs = self.legs.iter().flatten();
        let needed = legs.any(|leg| leg.program.is_some() || leg.is_mixed);
        self.beat_at = match self.beat_at {
            _ if !needed => None,
            Some(at) => Some(at),
            None => Some(now + FRAME),
        };
    }

    pub(super) fn beats_due(
        &mut self,
        now: Instant,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        let Some(at) = self.beat_at.filter(|at| *at <= now) else {
            return;
        };
        let due = now.saturating_duration_since(at).as_nanos() / FRAME.as_nanos();
        let left_out = u32::try_from(due).unwrap_or(u32::MAX);
        let left_out = left_out.saturating_sub(CAUGHT_UP - 1);
        let mut at = at + FRAME * left_out;
        self.pass_over(FRAME * left_out);
        while at <= now && self.beat_at.is_some() {
            self.beat(at, outputs, outlet);
            at += FRAME;
            self.beat_at = self.beat_at.map(|_| at);
        }
    }

    fn pass_over(&mut self, time: Duration) {
        if time.is_zero() {
            return;
        }
        for leg in self.legs.iter_mut().flatten() {
            if let Some(program) = &mut leg.program {
                program.pause(time);
            }
        }
        for room in &mut self.rooms {
            room.pass_over(time);
        }
    }

    fn beat(
        &mut self,
        at: Instant,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        for room in &mut self.rooms {
            room.gather(at);
        }
        for (slot, leg) in (0..).zip(&mut self.legs) {
            let Some(leg) = leg.as_mut().filter(|leg| leg.program.is_some()) else {
                continue;
            };
            let rooms = self.rooms.iter_mut();
            let base = rooms.filter_map(|room| room.heard_alone(slot)).next();
            if let Some(sound) = leg.beat(base.as_ref(), at, outlet) {
                outputs.push_back(Output::Event {
                    session: self.id,
                    event: Event::SoundOver {
                        leg: leg.key,
                        sound,
                    },
                });
            }
            let is_alone = self.rooms.iter().any(|room| room.is_alone(slot));
            if !is_alone && !leg.is_played_to() {
                leg.end_program();
            }
        }
        for room in &mut self.rooms {
            room.tell_crowds(&mut self.legs, at, outlet);
        }
        self.wind_clock(at);
    }
}
