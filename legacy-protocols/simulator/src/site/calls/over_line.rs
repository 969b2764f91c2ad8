//! Calls whose other end is over a line: what the line says of them, and what it is told.
//!
//! Invariant: a line is told of the end of a call once, or has said so itself.

use std::time::Instant;

use legacy_protocols::command::{Answer, CallRef, CallSetup, Cause, Command, Verdict};
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress, TalkMode};
use legacy_protocols::port::AskId;
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};

use super::{Call, End, LineEnd, NO_CHANNEL, Phase};
use crate::site::lines::{Pending, reason};
use crate::site::station::CallId;
use crate::site::{LineCommand, Output, Site};

impl Site {
    /// False: nothing that both ends could hear.
    pub(super) fn tell_connected(&mut self, end: LineEnd, mode: TalkMode, now: Instant) -> bool {
        let mut sound = None;
        if let (Some(own), Some(theirs)) = (end.end, end.theirs) {
            let Some(shared) = SoundCodecs::ALL.shared_with(theirs.codecs) else {
                return false;
            };
            sound = self.wires.sound(own, shared);
        }
        let connected = CallConnected {
            call: end.call,
            from: None,
            to: None,
            mode: Some(mode),
            sound,
        };
        self.lines[end.line].tell(Event::CallConnected(connected), now);
        true
    }

    pub(super) fn leave_line(
        &mut self,
        end: LineEnd,
        cause: Cause,
        told_by: Option<usize>,
        now: Instant,
    ) {
        if let Some(own) = end.end {
            self.wires.give_back(own);
            self.outputs
                .push_back(Output::Stream { end: own, to: None });
        }
        if let Some(channel) = end.channel {
            let (line, command) = (end.line, LineCommand::Leave { channel });
            self.outputs.push_back(Output::Line { line, command });
        }
        if told_by == Some(end.line) {
            return;
        }
        let line = &mut self.lines[end.line];
        let call = end.call;
        if end.by_us {
            line.ask(
                Command::CallRelease { call, cause },
                Pending::Other(None),
                now,
            );
        } else {
            line.tell(Event::CallReleased { call, cause }, now);
        }
    }

    pub(in crate::site) fn call_on(&self, line: usize, call: CallRef) -> Option<CallId> {
        let mut calls = self.calls.iter();
        let found = calls.find(|(_, known)| known.is_on(line, call));
        found.map(|(id, _)| *id)
    }

    /// Somebody over a line calls one of our stations.
    pub(in crate::site) fn set_up(
        &mut self,
        line: usize,
        setup: &CallSetup,
        ask: Option<AskId>,
        now: Instant,
    ) -> Result<(), Answer> {
        if !self.is_ours(setup.to) {
            return Err(Verdict::NoSuchNumber.into());
        }
        let has_sound = setup.sound.is_some() || self.lines[line].channels.is_some();
        let end = match has_sound {
            false => None,
            true => Some(self.wires.take().ok_or_else(|| refusal(NO_CHANNEL))?),
        };
        let from = End::Line(LineEnd {
            line,
            party: setup.from,
            call: setup.call,
            by_us: false,
            end,
            theirs: setup.sound,
            channel: None,
        });
        let may = self.may_ring(setup.from, setup.to, setup.priority);
        may.map_err(|cause| {
            if let Some(end) = end {
                self.wires.give_back(end);
            }
            refusal(cause)
        })?;
        self.lines[line].answer(ask, Verdict::Accepted.into(), now);
        let rung = self.ring(from, setup.to, setup.priority, setup.mode, now);
        if let Err(cause) = rung {
            // It was allowed a moment ago.
            let call = setup.call;
            self.lines[line].tell(Event::CallReleased { call, cause }, now);
        }
        if let Some(text) = &setup.text {
            self.show(setup.to, text.as_str());
        }
        Ok(())
    }

    pub(in crate::site) fn set_up_failed(&mut self, id: CallId, answer: &Answer, now: Instant) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let (caller, line) = (call.from.party(), call.line_end().map(|end| end.line));
        let cause = answer.cause.unwrap_or(Cause::UNSPECIFIED);
        match (answer.verdict, line) {
            (Verdict::NotConnected | Verdict::LineLost, Some(line)) => {
                self.line_of_call_lost(id, cause, line, now);
            }
            _ => self.end_call(id, cause, line, now),
        }
        let waits = self.stations.get(&caller).is_some_and(|s| s.waits_for_line);
        if !waits {
            self.show(caller, &reason(answer));
        }
    }

    pub(in crate::site) fn call_progress(&mut self, line: usize, progress: &CallProgress) {
        let Some(id) = self.call_on(line, progress.call) else {
            return;
        };
        match progress.progress {
            Progress::Held => self.phase(id, Phase::Held),
            Progress::Trying | Progress::Ringing | Progress::Queued | Progress::Audible => {}
        }
        self.join_channel(id);
        self.learn_sound(id, progress.sound);
    }

    pub(in crate::site) fn call_connected(
        &mut self,
        line: usize,
        told: &CallConnected,
        now: Instant,
    ) {
        let Some(id) = self.call_on(line, told.call) else {
            return;
        };
        if let (Some(call), Some(mode)) = (self.calls.get_mut(&id), told.mode) {
            call.mode = mode;
        }
        self.learn_sound(id, told.sound);
        let ringing = self
            .calls
            .get(&id)
            .is_some_and(|c| c.phase == Phase::Ringing);
        if ringing {
            self.connect(id, now);
        } else {
            self.phase(id, Phase::Connected);
            self.wire(id);
        }
    }

    fn learn_sound(&mut self, id: CallId, sound: Option<SoundEnd>) {
        let end = self.calls.get_mut(&id).and_then(Call::line_end_mut);
        if let (Some(end), Some(sound)) = (end, sound) {
            end.theirs = Some(sound);
            self.wire(id);
        }
    }

    /// On a line with B channels: the sound is in the one that the call has got.
    pub(super) fn join_channel(&mut self, id: CallId) {
        let Some(end) = self.calls.get(&id).and_then(Call::line_end) else {
            return;
        };
        let line = &self.lines[end.line];
        let own = end.end.and_then(|own| self.wires.address(own));
        let (Some(address), Some(ours), None) = (line.channels, own, end.channel) else {
            return;
        };
        let Some(channel) = line.channel(end.call) else {
            return;
        };
        if let Some(end) = self.calls.get_mut(&id).and_then(Call::line_end_mut) {
            end.channel = Some(channel);
            end.theirs = SoundCodecs::new([SoundCodec::Pcma]).map(|codecs| SoundEnd {
                address,
                codecs,
                keys: SoundKeys::OnTheLine,
            });
        }
        let (line, command) = (end.line, LineCommand::Join { channel, ours });
        self.outputs.push_back(Output::Line { line, command });
        self.wire(id);
    }

    pub(in crate::site) fn call_released(
        &mut self,
        line: usize,
        call: CallRef,
        cause: Cause,
        now: Instant,
    ) {
        if let Some(id) = self.call_on(line, call) {
            self.end_call(id, cause, Some(line), now);
        }
    }

    pub(in crate::site) fn calls_lost(&mut self, line: usize, now: Instant) {
        let on_line = |call: &Call| call.line_end().is_some_and(|end| end.line == line);
        let lost = self.calls.iter().filter(|(_, call)| on_line(call));
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.line_of_call_lost(id, Cause(38), line, now);
        }
    }
}

pub(super) const fn progress(call: CallRef, progress: Progress) -> Event {
    Event::CallProgress(CallProgress {
        call,
        progress,
        from: None,
        to: None,
        priority: None,
        sound: None,
    })
}

/// How a set-up is refused for this cause.
fn refusal(cause: Cause) -> Answer {
    let verdict = match cause.0 {
        1 => Verdict::NoSuchNumber,
        17 | 34 => Verdict::Busy,
        27 | 38 => Verdict::NodeUnreachable,
        _ => Verdict::NotAllowed,
    };
    Answer {
        cause: Some(cause),
        ..verdict.into()
    }
}
