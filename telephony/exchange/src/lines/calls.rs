//! Calls over a line: what its other end says of them, and what the call engine wants of it.
//!
//! A call is one leg of the engine. Invariants: an arrived call's question is answered once; a call
//! that the engine was told of is told over once; when the line is lost, its calls are over on this
//! side at once.

use std::time::Instant;

use calls::{Arrival, CallerProgress, Input, Progress, Prospect, StartLeg, Target, Video};
use legacy_protocols::command::{Answer, CallRef, CallSetup, Cause, Command, Verdict};
use legacy_protocols::event::{self, CallConnected, CallProgress, Event, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::port::AskId;
use legacy_protocols::text::Text;
use model::{Address, EndCause, LegId, Reach};

use super::legs::{LineLeg, Talk, Way};
use super::parties::{Refused, UNKNOWN_SYSTEM};
use super::{Driver, Errand, LineId, LineSound, words};
use crate::causes::{self, Quote};
use crate::plan::Taker;
use crate::state::Exchange;

impl Exchange {
    // ---- calls that arrive -----------------------------------------------------------

    pub(super) fn call_asked(
        &mut self,
        line: LineId,
        ask: Option<AskId>,
        setup: &CallSetup,
        now: Instant,
    ) {
        if let Err(refused) = self.call_arrives_by_line(line, ask, setup, now) {
            self.counters.calls_refused_at_the_edge += 1;
            let answer = Answer {
                cause: Some(refused.cause),
                text: Some(Text::clip(refused.why)),
                ..refused.verdict.into()
            };
            self.answer_line(line, ask, answer, now);
        }
    }

    fn call_arrives_by_line(
        &mut self,
        line: LineId,
        ask: Option<AskId>,
        setup: &CallSetup,
        now: Instant,
    ) -> Result<(), Refused> {
        if self.lines.legs.by_call(line, setup.call).is_some() {
            return Err(Refused {
                verdict: Verdict::Busy,
                cause: Cause(81),
                why: "a call of this number is there already",
            });
        }
        let from = self.caller_by_line(line, setup).ok_or(UNKNOWN_SYSTEM)?;
        let dialled = self.dialled_by_line(line, setup.to)?;
        let driver = self.lines.get(line).map(|line| &line.config.driver);
        let priority = match driver {
            // Basic ISDN has no word for it: as the station is set.
            Some(Driver::Isdn(_)) | None => None,
            Some(Driver::Versicle(_) | Driver::Acdp(_) | Driver::Table(_)) => {
                Some(words::priority(setup.priority))
            }
            Some(Driver::Missing { .. }) => None,
        };
        let leg = self.calls.next_leg();
        let entry = LineLeg {
            line,
            call: setup.call,
            way: Way::Arrived(ask),
            station: setup.from,
            other: setup.to,
            talk: Talk::Not,
            mode: TalkMode::OpenDuplex,
            channel: None,
        };
        let taker = match self.calls.prospect(&from, priority) {
            Prospect::Usual => Some(Taker::Usual),
            Prospect::Alarm => Some(Taker::Alarm),
            // It is refused with a record like any other, but costs no port.
            Prospect::Refused => None,
        };
        if let Some(taker) = taker {
            let planned = self.plan_from_line(leg, &entry, setup.sound, &from, taker);
            let causes = &self.config.causes;
            planned.map_err(|cause| Refused {
                verdict: Verdict::Unsupported,
                cause: Cause(causes.number(cause, None)),
                why: "no sound that can be heard here; see the line's configuration",
            })?;
        }
        self.lines.legs.insert(leg, entry);
        self.lines.legs.unanswered.push_back(leg);
        let arrival = Arrival {
            leg,
            from,
            dialled,
            priority,
            video: Video::None,
        };
        let promised = self.request_promised(line, (setup.from, setup.to));
        let input = match promised {
            Some(request) => Input::LegFulfils { arrival, request },
            None => Input::LegArrived(arrival),
        };
        self.calls.handle(input, now);
        Ok(())
    }

    /// The engine has said nothing of these calls yet, so it has taken them.
    pub(crate) fn take_line_call(&mut self, now: Instant) -> bool {
        let Some(leg) = self.lines.legs.unanswered.pop_front() else {
            return false;
        };
        self.accept_line_call(leg, now);
        true
    }

    fn accept_line_call(&mut self, leg: LegId, now: Instant) {
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return;
        };
        if let Way::Arrived(ask) = &mut entry.way {
            let (line, ask) = (entry.line, ask.take());
            self.answer_line(line, ask, Verdict::Accepted.into(), now);
        }
    }

    // ---- what the engine wants of arrived calls ----------------------------------------

    pub(crate) fn show_progress_by_line(
        &mut self,
        leg: LegId,
        progress: CallerProgress,
        now: Instant,
    ) {
        let heard = matches!(progress, CallerProgress::EarlyMedia { .. });
        let (progress, sound) = match progress {
            CallerProgress::Trying => (event::Progress::Trying, None),
            CallerProgress::Ringing => (event::Progress::Ringing, None),
            CallerProgress::Queued => (event::Progress::Queued, None),
            CallerProgress::EarlyMedia { from } => {
                // What rings without sound still rings.
                let sound = self.plan.early_answer(leg, from).ok();
                let sound = sound.and_then(|_| self.sound_for_line(leg));
                (event::Progress::Ringing, sound)
            }
        };
        self.accept_line_call(leg, now);
        let Some(entry) = self.lines.legs.get(leg).cloned() else {
            return;
        };
        let (from, to) = entry.ends();
        let told = CallProgress {
            call: entry.call,
            progress,
            from: Some(from),
            to: Some(to),
            priority: None,
            sound,
        };
        self.tell_line(entry.line, Event::CallProgress(told.clone()), now);
        // A line with channels is not told where sound is, but that there is some.
        if heard && entry.channel.is_some() {
            let told = CallProgress {
                progress: event::Progress::Audible,
                ..told
            };
            self.tell_line(entry.line, Event::CallProgress(told), now);
        }
    }

    pub(crate) fn answer_by_line(&mut self, leg: LegId, now: Instant) {
        if let Err(error) = self.plan.final_answer(leg) {
            return self.line_leg_over(leg, error.cause(), now);
        }
        self.accept_line_call(leg, now);
        let sound = self.sound_for_line(leg);
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return;
        };
        entry.talk = Talk::Answered;
        let (line, call) = (entry.line, entry.call);
        let event = Event::CallConnected(CallConnected {
            call,
            from: Some(entry.station),
            to: Some(entry.other),
            mode: Some(entry.mode),
            sound,
        });
        self.tell_line(line, event, now);
    }

    /// The engine refuses or ends a leg of a line.
    pub(crate) fn end_by_line(&mut self, leg: LegId, cause: EndCause, now: Instant) {
        let Some(entry) = self.forget_line_leg(leg) else {
            return;
        };
        let wire = Cause(self.config.causes.number(cause, self.quote));
        let (line, call) = (entry.line, entry.call);
        if let Way::Arrived(Some(ask)) = entry.way {
            let answer = Answer {
                cause: Some(wire),
                ..verdict_of(cause).into()
            };
            return self.answer_line(line, Some(ask), answer, now);
        }
        let released = Event::CallReleased { call, cause: wire };
        let release = Command::CallRelease { call, cause: wire };
        let lines = &self.lines;
        let can_tell = lines.get(line).is_some_and(|line| line.can_tell(&released));
        let can_command = lines
            .get(line)
            .is_some_and(|line| line.can_command(&release));
        match entry.way {
            Way::Arrived(_) if can_tell || !can_command => self.tell_line(line, released, now),
            Way::Started if !can_command => self.tell_line(line, released, now),
            Way::Arrived(_) | Way::Started => {
                self.command_line(line, release, Errand::Nothing, now);
            }
        }
    }

    // ---- calls that the engine starts --------------------------------------------------

    /// The line that a leg is to be started over, and whom it shall reach there. Trunks and neighbours
    /// are SIP's.
    pub(crate) fn line_towards(&self, to: &Target) -> Option<Result<(LineId, Party), EndCause>> {
        let node = match to {
            Target::Station(id) => match self.directory.station(*id)?.reach {
                Reach::Behind(node) => node,
                Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => return None,
            },
            Target::Elsewhere(Address::Remote { node, .. }) => *node,
            Target::Elsewhere(_) => return None,
        };
        let line = self.lines.towards(node)?;
        if let Some(LineSound::Sip(_)) = self.lines.get(line).map(|line| &line.config.sound) {
            return None;
        }
        let party = match to {
            Target::Station(id) => self.party_behind(line, *id),
            Target::Elsewhere(address) => self.party_of_address(line, address),
        };
        Some(
            party
                .map(|party| (line, party))
                .ok_or(EndCause::UnknownNumber),
        )
    }

    pub(crate) fn start_by_line(
        &mut self,
        start: &StartLeg,
        (line, to): (LineId, Party),
        now: Instant,
    ) -> Result<(), EndCause> {
        let up = self.lines.get(line).is_some_and(super::Line::is_up);
        if !up {
            return Err(EndCause::Unreachable);
        }
        let from = self.party_shown(line, &start.caller);
        let entry = LineLeg {
            line,
            call: CallRef(start.leg.get() & !CallRef::OF_PORT),
            way: Way::Started,
            station: to,
            other: from,
            talk: Talk::Not,
            mode: TalkMode::OpenDuplex,
            channel: None,
        };
        let sound = self.plan_towards_line(start, &entry)?;
        let name = start.caller.name.reveal();
        let setup = Command::CallSetup(CallSetup {
            call: entry.call,
            from,
            to,
            priority: words::their_priority(start.priority),
            mode: TalkMode::OpenDuplex,
            text: (!name.is_empty()).then(|| Text::clip(name)),
            sound,
        });
        self.lines.legs.insert(start.leg, entry);
        self.command_line(line, setup, Errand::Call(start.leg), now);
        Ok(())
    }

    /// What became of a set-up.
    pub(super) fn call_set_up(&mut self, line: LineId, leg: LegId, answer: &Answer, now: Instant) {
        let fitting = self.lines.legs.get(leg);
        let Some(call) = fitting.filter(|entry| entry.line == line).map(|e| e.call) else {
            return;
        };
        if let Some(number) = answer.cause {
            let cause = of_unanswered(number);
            self.quote = Some(Quote::of_line(cause, number.0));
        }
        let told = answer.cause.map(of_unanswered);
        let cause = match answer.verdict {
            Verdict::Done | Verdict::Accepted | Verdict::Sent => return,
            Verdict::Busy => EndCause::Busy,
            Verdict::NoSuchNumber => EndCause::UnknownNumber,
            Verdict::NotAllowed => EndCause::NotAllowed,
            Verdict::Loop => EndCause::ForwardingLoop,
            Verdict::AlreadyTaken
            | Verdict::Expired
            | Verdict::NodeUnreachable
            | Verdict::TestRefused
            | Verdict::NotConnected => EndCause::Unreachable,
            Verdict::Unsupported => EndCause::MediaMismatch,
            Verdict::RateLimited => EndCause::Overload,
            Verdict::LineLost => EndCause::ConnectionLost,
            Verdict::NoAnswer => {
                // It may have come about all the same.
                let cause = Cause::NORMAL;
                let release = Command::CallRelease { call, cause };
                self.command_line(line, release, Errand::Nothing, now);
                EndCause::Unreachable
            }
        };
        self.line_leg_over(leg, told.unwrap_or(cause), now);
    }

    // ---- what the other end says of calls ----------------------------------------------

    pub(super) fn call_progresses(&mut self, line: LineId, told: &CallProgress, now: Instant) {
        let Some(leg) = self.lines.legs.by_call(line, told.call) else {
            return;
        };
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return;
        };
        match (told.progress, entry.talk) {
            (event::Progress::Held, Talk::Answered) => {
                entry.talk = Talk::Held;
                self.calls.handle(Input::LegHeld { leg }, now);
            }
            (event::Progress::Ringing | event::Progress::Queued, Talk::Not)
                if entry.way == Way::Started =>
            {
                let progress = match told.sound.map(|_| self.hear_line(leg, told.sound)) {
                    Some(Ok(true)) => Progress::EarlyMedia,
                    Some(Ok(false)) | None => Progress::Ringing,
                    Some(Err(_)) => {
                        self.counters.early_answers_unusable += 1;
                        Progress::Ringing
                    }
                };
                self.calls.handle(Input::LegProgress { leg, progress }, now);
            }
            (event::Progress::Audible, Talk::Not) if entry.way == Way::Started => {
                match self.hear_line(leg, told.sound) {
                    Ok(true) => {
                        let progress = Progress::EarlyMedia;
                        self.calls.handle(Input::LegProgress { leg, progress }, now);
                    }
                    Ok(false) => {}
                    Err(_) => self.counters.early_answers_unusable += 1,
                }
            }
            (event::Progress::Held | event::Progress::Trying | event::Progress::Audible, _)
            | (event::Progress::Ringing | event::Progress::Queued, _) => {}
        }
    }

    pub(super) fn call_connected(&mut self, line: LineId, told: &CallConnected, now: Instant) {
        let Some(leg) = self.lines.legs.by_call(line, told.call) else {
            return;
        };
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return;
        };
        match (entry.talk, entry.way) {
            (Talk::Not, Way::Started) => {
                entry.talk = Talk::Answered;
                match self.hear_line(leg, told.sound) {
                    Ok(true) => self.calls.handle(Input::LegAnswered { leg }, now),
                    Ok(false) => self.cannot_hear_line(leg, EndCause::MediaMismatch, now),
                    Err(cause) => self.cannot_hear_line(leg, cause, now),
                }
            }
            (Talk::Held, _) => {
                entry.talk = Talk::Answered;
                self.calls.handle(Input::LegResumed { leg }, now);
            }
            (Talk::Not, Way::Arrived(_)) | (Talk::Answered, _) => {}
        }
    }

    /// An answered call that cannot be heard ends on both sides.
    fn cannot_hear_line(&mut self, leg: LegId, cause: EndCause, now: Instant) {
        let over = match self.lines.legs.get_mut(leg) {
            Some(entry) => {
                entry.talk = Talk::Not;
                Input::LegRefused { leg, cause }
            }
            None => return,
        };
        self.end_by_line(leg, cause, now);
        self.calls.handle(over, now);
    }

    pub(super) fn call_released(
        &mut self,
        line: LineId,
        call: CallRef,
        cause: Cause,
        now: Instant,
    ) -> bool {
        let Some(leg) = self.lines.legs.by_call(line, call) else {
            return false;
        };
        let answered = self.lines.legs.get(leg).map(|entry| entry.talk);
        let engine = match answered {
            Some(Talk::Answered | Talk::Held) | None => causes::of_number(cause.0),
            Some(Talk::Not) => of_unanswered(cause),
        };
        self.quote = Some(Quote::of_line(engine, cause.0));
        self.line_leg_over(leg, engine, now);
        true
    }

    /// The other end is done with a leg: the engine is told.
    pub(crate) fn line_leg_over(&mut self, leg: LegId, cause: EndCause, now: Instant) {
        let Some(entry) = self.forget_line_leg(leg) else {
            return;
        };
        if let Way::Arrived(Some(ask)) = entry.way {
            // It took its question back.
            self.answer_line(entry.line, Some(ask), Verdict::Done.into(), now);
        }
        let over = match (entry.way, entry.talk) {
            (Way::Started, Talk::Not) => Input::LegRefused { leg, cause },
            (Way::Started | Way::Arrived(_), _) => Input::LegEnded { leg, cause },
        };
        self.calls.handle(over, now);
    }

    /// Nothing is heard any more of a leg of a line: it ends on both sides.
    pub(crate) fn silent_by_line(&mut self, leg: LegId, now: Instant) {
        let cause = EndCause::ConnectionLost;
        self.end_by_line(leg, cause, now);
        self.calls.handle(Input::LegEnded { leg, cause }, now);
    }

    /// The leg leaves all tables, and its sound is closed.
    fn forget_line_leg(&mut self, leg: LegId) -> Option<LineLeg> {
        let entry = self.lines.legs.remove(leg)?;
        self.plan.close(leg);
        if let Some(channel) = entry.channel {
            self.leave_channel(entry.line, channel);
        }
        Some(entry)
    }

    /// The line is lost: so are its calls.
    pub(super) fn calls_of_line_lost(&mut self, line: LineId, now: Instant) {
        let legs: Vec<LegId> = self.lines.legs.of_line(line).map(|(leg, _)| leg).collect();
        for leg in legs {
            if let Some(entry) = self.lines.legs.get_mut(leg)
                && let Way::Arrived(ask) = &mut entry.way
            {
                // There is nobody left to answer.
                *ask = None;
            }
            self.line_leg_over(leg, EndCause::ConnectionLost, now);
        }
    }
}

/// Why a call ended that nobody had answered.
fn of_unanswered(cause: Cause) -> EndCause {
    match causes::of_number(cause.0) {
        // RFC 3398 8.2.6.1 has no status for it: 480 says least.
        EndCause::HungUp => EndCause::NoAnswer,
        other => other,
    }
}

/// How a set-up is answered that is refused at once.
const fn verdict_of(cause: EndCause) -> Verdict {
    match cause {
        EndCause::UnknownNumber => Verdict::NoSuchNumber,
        EndCause::NotAllowed | EndCause::Declined | EndCause::Privacy => Verdict::NotAllowed,
        EndCause::ForwardingLoop => Verdict::Loop,
        EndCause::Unreachable | EndCause::OutOfService | EndCause::ConnectionLost => {
            Verdict::NodeUnreachable
        }
        EndCause::MediaMismatch | EndCause::EncryptionMismatch => Verdict::Unsupported,
        EndCause::Overload | EndCause::Stopping => Verdict::RateLimited,
        EndCause::Busy
        | EndCause::HungUp
        | EndCause::CallerGaveUp
        | EndCause::AnsweredElsewhere
        | EndCause::NoAnswer
        | EndCause::PreEmpted
        | EndCause::TimeLimit
        | EndCause::Transferred
        | EndCause::RequestExpired
        | EndCause::RequestDismissed
        | EndCause::NothingWaiting
        | EndCause::EndedByOperator
        | EndCause::ProtocolError
        | EndCause::InternalError => Verdict::Busy,
    }
}
