//! Calls that no line carries now, kept until one does: a server of its time goes on asking for what
//! was pressed.
//!
//! Which are kept is set for the whole site. Invariant: a station keeps one call at most; it leaves
//! by being made, taken back, or with its station.

use std::time::{Duration, Instant};

use legacy_protocols::command::Cause;
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::text::Text;

use super::calls::{End, Phase, is_alarm};
use super::station::{Busy, CallId};
use super::{Site, Timer};

/// A line that has no room now may have some then.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
const SHOWN: &str = "waits for the line";

/// Which calls wait for a line that is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeps {
    Nothing,
    #[default]
    Alarms,
    Everything,
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialled {
    pub(super) to: Party,
    pub(super) priority: Priority,
    pub(super) text: Option<Text>,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    dialled: Dialled,
    not_before: Instant,
}

impl Site {
    pub const fn keeps(&self) -> Keeps {
        self.keeps
    }

    /// What is kept already stays.
    pub fn set_keeps(&mut self, keeps: Keeps) {
        self.keeps = keeps;
    }

    pub(super) fn would_keep(&self, priority: Priority) -> bool {
        match self.keeps {
            Keeps::Nothing => false,
            Keeps::Alarms => is_alarm(priority),
            Keeps::Everything => true,
        }
    }

    pub(super) fn keep(&mut self, station: Party, dialled: Dialled, now: Instant) {
        let title = self.title(station);
        self.note(format!("{title} waits for the line"));
        self.show(station, SHOWN);
        let not_before = now;
        let kept = Kept {
            dialled,
            not_before,
        };
        self.kept.insert(station, kept);
        self.alter(station, |station| station.waits_for_line = true);
    }

    /// False: it keeps none.
    pub(super) fn keep_no_longer(&mut self, station: Party) -> bool {
        let kept = self.kept.remove(&station).is_some();
        if kept {
            self.alter(station, |station| station.waits_for_line = false);
        }
        kept
    }

    /// The line of a call broke; one that nobody had answered is kept, if it is one to be kept.
    pub(super) fn line_of_call_lost(
        &mut self,
        id: CallId,
        cause: Cause,
        line: usize,
        now: Instant,
    ) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let caller = match (call.from, call.phase) {
            (End::Station(party), Phase::Ringing) => Some(party),
            _ => None,
        };
        let dialled = caller.and_then(|caller| Some((caller, self.dialled.remove(&caller)?)));
        self.end_call(id, cause, Some(line), now);
        if let Some((caller, dialled)) = dialled
            && self.would_keep(dialled.priority)
        {
            self.keep(caller, dialled, now);
        }
    }

    /// Makes those that can be made, the most urgent first.
    pub(super) fn make_kept(&mut self, now: Instant) {
        if self.kept.is_empty() {
            return;
        }
        let can_call = |station: &Party| {
            let known = self.stations.get(station);
            known.is_some_and(|known| known.busy == Busy::No && known.works())
        };
        let leads_there = |kept: &Kept| {
            let line = self.line_to(kept.dialled.to.node);
            line.is_some_and(|line| self.lines[line].is_up())
        };
        let due = self.kept.iter().filter(|(station, kept)| {
            kept.not_before <= now && leads_there(kept) && can_call(station)
        });
        let mut due: Vec<_> = due
            .map(|(station, kept)| (*station, kept.dialled.clone()))
            .collect();
        due.sort_by_key(|(_, dialled)| dialled.priority.value());
        for (station, dialled) in due {
            self.make_one(station, dialled, now);
        }
    }

    fn make_one(&mut self, station: Party, dialled: Dialled, now: Instant) {
        let Dialled { to, priority, text } = dialled.clone();
        if self.dial(station, to, priority, text, now).is_ok() {
            self.keep_no_longer(station);
            self.show(station, "");
            self.dialled.insert(station, dialled);
            return;
        }
        let again = now + AGAIN_AFTER;
        if let Some(kept) = self.kept.get_mut(&station) {
            kept.not_before = again;
        }
        self.timers.insert((again, Timer::Kept));
    }
}
