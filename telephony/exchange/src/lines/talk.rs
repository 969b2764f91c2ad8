//! Within a call over a line: keys, the talk key, who hears whom, hold, transfer.

use std::time::Instant;

use calls::{Input, TransferStatus};
use legacy_protocols::command::{Answer, CallRef, Command, Key, Keys, Verdict};
use legacy_protocols::event::TalkMode;
use legacy_protocols::number::Party;
use legacy_protocols::text::Text;
use model::{Digit, LegId};

use super::legs::{LineLeg, Talk};
use super::{Errand, LineId, words};
use crate::keys::KeyForm;
use crate::state::Exchange;

impl Exchange {
    /// The leg of this line whose call a station takes part in: theirs, or ours at this side of it.
    pub(super) fn leg_with(&self, line: LineId, station: Party) -> Option<LegId> {
        let mut legs = self.lines.legs.of_line(line);
        let takes_part = |entry: &LineLeg| entry.station == station || entry.other == station;
        legs.find(|(_, entry)| takes_part(entry))
            .map(|(leg, _)| leg)
    }

    /// Keys that the other end has pressed, or presses for the one that ours talks with.
    pub(super) fn keys_from_line(
        &mut self,
        line: LineId,
        station: Party,
        keys: &Keys,
        now: Instant,
    ) -> Verdict {
        let Some(leg) = self.leg_with(line, station) else {
            return Verdict::NoSuchNumber;
        };
        for digit in keys.as_str().chars().filter_map(Digit::from_char) {
            self.key_pressed(leg, digit, KeyForm::Info, now);
        }
        Verdict::Done
    }

    /// A key for whoever is at the other end.
    pub(crate) fn key_by_line(&mut self, leg: LegId, digit: Digit, now: Instant) -> bool {
        let Some(entry) = self.lines.legs.get(leg) else {
            return false;
        };
        let (line, station) = (entry.line, entry.station);
        let mut text = [0; 4];
        let Some(keys) = Keys::new(digit.to_char().encode_utf8(&mut text)) else {
            return false;
        };
        let command = Command::Keys { station, keys };
        let can = self
            .lines
            .get(line)
            .is_some_and(|line| line.can_command(&command));
        if can {
            self.command_line(line, command, Errand::Nothing, now);
        }
        can
    }

    pub(super) fn talk_key_from_line(
        &mut self,
        line: LineId,
        station: Party,
        key: Key,
        now: Instant,
    ) -> Verdict {
        let Some(leg) = self.leg_with(line, station) else {
            return Verdict::NoSuchNumber;
        };
        let key = words::key(key);
        self.calls.handle(Input::TalkKey { leg, key }, now);
        Verdict::Done
    }

    /// Who hears whom has changed between two legs.
    pub(crate) fn talk_mode_by_line(
        &mut self,
        (a, b): (LegId, LegId),
        mode: model::TalkMode,
        now: Instant,
    ) {
        for (leg, side) in [(a, model::Talker::A), (b, model::Talker::B)] {
            let Some(entry) = self.lines.legs.get_mut(leg) else {
                continue;
            };
            let theirs = words::talk_mode(mode, side, entry.way);
            let before = std::mem::replace(&mut entry.mode, theirs);
            let (line, call) = (entry.line, entry.call);
            let command = Command::SetTalkMode { call, mode: theirs };
            let answered = entry.talk != Talk::Not;
            let can = self
                .lines
                .get(line)
                .is_some_and(|line| line.can_command(&command));
            if answered && before != theirs && can {
                self.command_line(line, command, Errand::Nothing, now);
            }
        }
    }

    /// The other end says who hears whom.
    pub(super) fn talk_mode_asked(
        &mut self,
        line: LineId,
        call: CallRef,
        mode: TalkMode,
        now: Instant,
    ) -> Answer {
        let leg = self.lines.legs.by_call(line, call);
        let entry = leg.and_then(|leg| self.lines.legs.get_mut(leg));
        let (Some(leg), Some(entry)) = (leg, entry) else {
            return Verdict::NoSuchNumber.into();
        };
        let ours = words::talk_mode_of_leg(mode, entry.way);
        if !self.calls.may_talk_so(leg, ours) {
            let why = "not in a conversation, or its station talks by its key only";
            return Answer {
                text: Some(Text::clip(why)),
                ..Verdict::NotAllowed.into()
            };
        }
        // It knows what it has asked for.
        entry.mode = mode;
        self.calls
            .handle(Input::SetTalkMode { leg, mode: ours }, now);
        Verdict::Done.into()
    }

    pub(super) fn hold_from_line(&mut self, line: LineId, call: CallRef, now: Instant) -> Verdict {
        self.held_from_line(line, call, Talk::Held, now)
    }

    pub(super) fn retrieve_from_line(
        &mut self,
        line: LineId,
        call: CallRef,
        now: Instant,
    ) -> Verdict {
        self.held_from_line(line, call, Talk::Answered, now)
    }

    fn held_from_line(
        &mut self,
        line: LineId,
        call: CallRef,
        wanted: Talk,
        now: Instant,
    ) -> Verdict {
        let Some(leg) = self.lines.legs.by_call(line, call) else {
            return Verdict::NoSuchNumber;
        };
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return Verdict::NoSuchNumber;
        };
        if entry.talk == Talk::Not {
            return Verdict::NotAllowed;
        }
        let before = std::mem::replace(&mut entry.talk, wanted);
        let input = match wanted {
            Talk::Held => Input::LegHeld { leg },
            Talk::Not | Talk::Answered => Input::LegResumed { leg },
        };
        if before != wanted {
            self.calls.handle(input, now);
        }
        Verdict::Done
    }

    pub(super) fn transfer_from_line(
        &mut self,
        line: LineId,
        call: CallRef,
        to: Party,
        now: Instant,
    ) -> Answer {
        let Some(leg) = self.lines.legs.by_call(line, call) else {
            return Verdict::NoSuchNumber.into();
        };
        // They may hand the call on to a station of their own as well.
        let to = match self.address_behind(line, to) {
            Some(address) => Ok(address),
            None => self.dialled_by_line(line, to),
        };
        match to {
            Ok(to) => {
                self.calls.handle(Input::Transfer { leg, to }, now);
                Verdict::Accepted.into()
            }
            Err(refused) => Answer {
                cause: Some(refused.cause),
                ..refused.verdict.into()
            },
        }
    }

    /// How a transfer stands that the other end asked for: it was told that it is under way, and of
    /// the end of its call it hears.
    pub(crate) fn transfer_status_by_line(&mut self, leg: LegId, status: TransferStatus) -> bool {
        let Some(line) = self.lines.legs.get(leg).map(|entry| entry.line) else {
            return false;
        };
        if let (TransferStatus::Failed(_), Some(line)) = (status, self.lines.get_mut(line)) {
            line.totals.transfers_failed += 1;
        }
        true
    }
}
