//! Calls of the site: between two of its stations, or between one and somebody over a line.
//!
//! It knows nothing of queues and groups. Invariant: a call's stations know it, and nobody else; a
//! call that ends gives back its end on the network and is told to its line exactly once.

mod over_line;
mod wiring;

use std::time::Instant;

use legacy_protocols::command::{CallRef, CallSetup, Cause, Command, Divert, Switch};
use legacy_protocols::event::{Progress, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::priority::{Band, Priority};
use legacy_protocols::sound::{SoundCodecs, SoundEnd};
use legacy_protocols::text::Text;

use super::lines::Pending;
use super::plan::Answers;
use super::station::{Busy, CallId};
use super::wires::Circuit;
use super::{Output, Site, Timer};
use over_line::progress;

#[derive(Clone, Debug)]
pub struct Call {
    pub from: End,
    pub to: End,
    pub priority: Priority,
    pub mode: TalkMode,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Ringing,
    Connected,
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Station(Party),
    Line(LineEnd),
}

/// The end of a call that is somewhere over a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnd {
    pub line: usize,
    pub party: Party,
    pub(super) call: CallRef,
    /// Whether it was set up by us, over the line.
    pub(super) by_us: bool,
    pub(super) end: Option<usize>,
    pub(super) theirs: Option<SoundEnd>,
    /// On a line that has B channels.
    pub(super) channel: Option<u8>,
}

/// Two ends without a codec that both speak (Q.850: bearer capability not available).
const NO_COMMON_SOUND: Cause = Cause(58);
/// Something more urgent needed the station.
const PRE_EMPTED: Cause = Cause(8);
const NO_CHANNEL: Cause = Cause(34);
/// In numbers of calls that a line does not carry, so that none is one of its own.
const OF_SITE: u64 = 1 << 60;

impl Call {
    /// Who is at the other end of it.
    pub fn other(&self, station: Party) -> Party {
        match (self.from, self.to) {
            (End::Station(from), to) if from == station => to.party(),
            (from, _) => from.party(),
        }
    }

    fn line_end(&self) -> Option<LineEnd> {
        [self.from, self.to].into_iter().find_map(End::line)
    }

    fn line_end_mut(&mut self) -> Option<&mut LineEnd> {
        [&mut self.from, &mut self.to]
            .into_iter()
            .find_map(|end| match end {
                End::Line(line) => Some(line),
                End::Station(_) => None,
            })
    }

    #[cfg(test)]
    pub(super) fn carries_sound(&self) -> bool {
        self.line_end().is_some_and(|end| end.end.is_some())
    }

    /// Whether this line carries it.
    pub(super) fn is_over(&self, line: usize) -> bool {
        self.line_end().is_some_and(|end| end.line == line)
    }

    /// The number by which a line knows it.
    pub(super) fn number_on(&self, line: usize, id: CallId) -> CallRef {
        match self.line_end() {
            Some(end) if end.line == line => end.call,
            Some(_) | None => CallRef(id.0 | CallRef::OF_PORT | OF_SITE),
        }
    }

    fn is_on(&self, line: usize, call: CallRef) -> bool {
        let end = self.line_end();
        end.is_some_and(|end| end.line == line && end.call == call)
    }
}

impl End {
    pub const fn party(self) -> Party {
        match self {
            Self::Station(party) => party,
            Self::Line(end) => end.party,
        }
    }

    const fn line(self) -> Option<LineEnd> {
        match self {
            Self::Line(end) => Some(end),
            Self::Station(_) => None,
        }
    }
}

impl Site {
    /// A station calls a number, here or over a line.
    pub(super) fn dial(
        &mut self,
        from: Party,
        to: Party,
        priority: Priority,
        text: Option<Text>,
        now: Instant,
    ) -> Result<CallId, Cause> {
        if self.is_ours(to) {
            return self.ring(End::Station(from), to, priority, TalkMode::OpenDuplex, now);
        }
        let line = self.line_to(to.node).ok_or(Cause(3))?;
        if !self.lines[line].is_up() {
            return Err(Cause(38));
        }
        let end = self.wires.take().ok_or(NO_CHANNEL)?;
        let fresh = self.fresh();
        let call = CallRef(self.lines[line].number(fresh));
        let id = CallId(fresh);
        let told = self.lines[line].channels.is_none();
        let sound = self.wires.sound(end, SoundCodecs::ALL).filter(|_| told);
        let far = LineEnd {
            line,
            party: to,
            call,
            by_us: true,
            end: Some(end),
            theirs: None,
            channel: None,
        };
        let mode = TalkMode::OpenDuplex;
        self.begin(id, End::Station(from), End::Line(far), priority, mode, now);
        let setup = CallSetup {
            call,
            from,
            to,
            priority,
            mode,
            text,
            sound,
        };
        self.lines[line].ask(Command::CallSetup(setup), Pending::SetUp(id), now);
        Ok(id)
    }

    /// The station that rings when this number is called, if it may ring.
    fn may_ring(&self, from: Party, to: Party, priority: Priority) -> Result<Party, Cause> {
        let expected = self.requests.is_expected(to, from);
        let to = self.diverted(to);
        let station = self.stations.get(&to).ok_or(Cause(1))?;
        let urgent = is_alarm(priority);
        if to == from {
            // It is busy with dialling.
            Err(Cause::BUSY)
        } else if !station.works() {
            Err(Cause::OUT_OF_ORDER)
        } else if station.privacy == Switch::On && !urgent && !expected {
            Err(Cause::REJECTED)
        } else if station.busy != Busy::No && !urgent {
            Err(Cause::BUSY)
        } else {
            Ok(to)
        }
    }

    /// Rings one of our stations, for whoever calls it, if it may ring.
    fn ring(
        &mut self,
        from: End,
        to: Party,
        priority: Priority,
        mode: TalkMode,
        now: Instant,
    ) -> Result<CallId, Cause> {
        self.fulfil(to, from.party(), now);
        let expected = self.requests.is_expected(to, from.party());
        let to = self.may_ring(from.party(), to, priority)?;
        self.make_free(to, now);
        let at_once = self.answers_at_once(to, priority) || expected;
        let id = CallId(self.fresh());
        self.begin(id, from, End::Station(to), priority, mode, now);
        if expected {
            self.requests.called(to);
        }
        if at_once {
            self.connect(id, now);
        } else if let End::Line(end) = from {
            let ringing = progress(end.call, Progress::Ringing);
            self.lines[end.line].tell(ringing, now);
        }
        Ok(id)
    }

    fn answers_at_once(&self, station: Party, priority: Priority) -> bool {
        let by_itself = self.stations.get(&station);
        is_alarm(priority) || by_itself.is_some_and(|s| s.plan.answers == Answers::AtOnce)
    }

    /// Where a call ends up that goes to this station now. Once only: no circles.
    fn diverted(&self, to: Party) -> Party {
        let Some(station) = self.stations.get(&to) else {
            return to;
        };
        match station.divert {
            Divert::Always(other) if self.is_ours(other) => other,
            Divert::Busy(other) if station.busy != Busy::No && self.is_ours(other) => other,
            Divert::Off | Divert::Always(_) | Divert::Busy(_) | Divert::NoReply(_) => to,
        }
    }

    fn begin(
        &mut self,
        id: CallId,
        from: End,
        to: End,
        priority: Priority,
        mode: TalkMode,
        now: Instant,
    ) {
        let phase = Phase::Ringing;
        let call = Call {
            from,
            to,
            priority,
            mode,
            phase,
        };
        self.calls.insert(id, call);
        if let End::Station(party) = from {
            self.occupy(party, Busy::Calling(id));
        }
        if let End::Station(party) = to {
            self.occupy(party, Busy::Called(id));
        }
        let until = now + self.limits.answer_within;
        self.timers.insert((until, Timer::Unanswered(id)));
        let (caller, called) = (self.title(from.party()), self.title(to.party()));
        self.note(format!("{caller} calls {called}"));
        self.tell_call(id, now);
    }

    fn occupy(&mut self, party: Party, busy: Busy) {
        if let Some(station) = self.change(party) {
            station.busy = busy;
        }
    }

    /// Whoever was called has taken it.
    pub(super) fn connect(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get(&id).cloned() else {
            return;
        };
        if let End::Line(end) = call.from
            && !self.tell_connected(end, call.mode, now)
        {
            self.end_call(id, NO_COMMON_SOUND, None, now);
            return;
        }
        self.phase(id, Phase::Connected);
        for end in [call.from, call.to] {
            if let End::Station(party) = end {
                self.dialled.remove(&party);
                self.occupy(party, Busy::Talking(id));
            }
        }
        let until = now + self.limits.longest_call;
        self.timers.insert((until, Timer::Longest(id)));
        let (from, to) = (self.title(call.from.party()), self.title(call.to.party()));
        self.note(format!("{from} talks with {to}"));
        self.tell_call(id, now);
        self.join_channel(id);
        self.wire(id);
    }

    pub(super) fn phase(&mut self, id: CallId, phase: Phase) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = phase;
        }
    }

    /// `told_by` is the line that said so, and is not told again.
    pub(super) fn end_call(
        &mut self,
        id: CallId,
        cause: Cause,
        told_by: Option<usize>,
        now: Instant,
    ) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        self.outputs.push_back(Output::Circuit(Circuit {
            id: id.0,
            members: Vec::new(),
        }));
        for end in [call.from, call.to] {
            match end {
                End::Station(party) => self.release(party, id),
                End::Line(end) => self.leave_line(end, cause, told_by, now),
            }
        }
        let (from, to) = (self.title(call.from.party()), self.title(call.to.party()));
        self.note(format!("call of {from} and {to} ended (cause {})", cause.0));
        self.tell_call_ended(id, &call, cause, now);
    }

    fn release(&mut self, party: Party, id: CallId) {
        let is_in_it =
            |busy| matches!(busy, Busy::Called(c) | Busy::Calling(c) | Busy::Talking(c) if c == id);
        if let Some(station) = self.change(party)
            && is_in_it(station.busy)
        {
            station.busy = Busy::No;
            self.dialled.remove(&party);
        }
    }

    /// Ends whatever a station is in.
    pub(super) fn make_free(&mut self, party: Party, now: Instant) {
        let Some(station) = self.stations.get(&party) else {
            return;
        };
        match station.busy {
            Busy::No => {}
            Busy::Called(call) | Busy::Calling(call) | Busy::Talking(call) => {
                self.end_call(call, PRE_EMPTED, None, now);
            }
            Busy::Conference(group) | Busy::Listening(group) | Busy::Announcing(group) => {
                self.leave_gathering(group.0, party);
            }
        }
    }

    pub(super) fn unanswered(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get(&id).cloned() else {
            return;
        };
        if call.phase != Phase::Ringing {
            return;
        }
        if let End::Station(party) = call.to
            && let Some(Divert::NoReply(other)) = self.stations.get(&party).map(|s| s.divert)
            && self.is_ours(other)
            && self.is_free(other)
        {
            self.move_called(id, party, other, now);
            return;
        }
        self.end_call(id, Cause::NO_ANSWER, None, now);
    }

    /// The call goes on ringing somewhere else.
    fn move_called(&mut self, id: CallId, from: Party, to: Party, now: Instant) {
        self.release(from, id);
        self.occupy(to, Busy::Called(id));
        if let Some(call) = self.calls.get_mut(&id) {
            call.to = End::Station(to);
        }
        let until = now + self.limits.answer_within;
        self.timers.insert((until, Timer::Unanswered(id)));
    }

    pub(super) fn too_long(&mut self, id: CallId, now: Instant) {
        if self.calls.contains_key(&id) {
            self.end_call(id, Cause::UNSPECIFIED, None, now);
        }
    }

    /// The display of a station.
    pub(super) fn show(&mut self, station: Party, text: &str) {
        if let Some(station) = self.change(station) {
            station.text = Some(Text::clip(text)).filter(|text| !text.as_str().is_empty());
        }
    }
}

/// An alarm is heard at once, whatever its station does.
pub(super) fn is_alarm(priority: Priority) -> bool {
    priority.band() == Band::Alarm
}
