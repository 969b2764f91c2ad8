//! What the other ends of lines ask of the site, each answered once.

use std::time::Instant;

use legacy_protocols::command::{Answer, Command, Key, Switch, Verdict};
use legacy_protocols::event::{Event, Faults, LineTest, TalkMode, Talker};
use legacy_protocols::number::Party;
use legacy_protocols::port::AskId;

use super::Site;
use super::calls::{End, Phase};
use super::hands::Teller;
use super::station::{Busy, CallId};

/// Faults that a test of the line finds.
const HEARD: u16 = Faults::MICROPHONE.0 | Faults::SPEAKER.0 | Faults::DEGRADED.0;

impl Site {
    pub(super) fn asked(
        &mut self,
        line: usize,
        ask: Option<AskId>,
        command: Command,
        now: Instant,
    ) {
        if let (Command::Snapshot, Some(ask)) = (&command, ask) {
            self.tell_picture(line, ask, now);
            return;
        }
        // A set-up is answered before the call's own events.
        if let Command::CallSetup(setup) = &command {
            let may = self.set_up(line, setup, ask, now);
            if let Err(answer) = may {
                self.lines[line].answer(ask, answer, now);
            }
            return;
        }
        let answer = self.carry_out(line, command, now);
        self.lines[line].answer(ask, answer, now);
    }

    fn carry_out(&mut self, line: usize, command: Command, now: Instant) -> Answer {
        let verdict = match command {
            Command::CallRelease { call, cause } => match self.call_on(line, call) {
                Some(id) => {
                    self.end_call(id, cause, Some(line), now);
                    Verdict::Done
                }
                None => Verdict::NoSuchNumber,
            },
            Command::Hold { call } => self.hold_asked(line, call, Switch::On),
            Command::Retrieve { call } => self.hold_asked(line, call, Switch::Off),
            Command::Transfer { call, to } => self.transfer_asked(line, call, to, now),
            Command::SetTalkMode { call, mode } => match self.call_on(line, call) {
                Some(id) => {
                    self.set_mode(id, mode, Teller::Line, now);
                    Verdict::Done
                }
                None => Verdict::NoSuchNumber,
            },
            Command::TalkKey { station, key } => self.talk_key_asked(station, key, now),
            Command::Keys { station, keys } => {
                let title = self.title(station);
                self.note(format!("{title} hears {} keys", keys.as_str().len()));
                self.known(station)
            }
            Command::GroupStart {
                group,
                talker,
                priority,
            } => yes_or_no(self.group_start(group.0, talker, priority, now)),
            Command::GroupStop { group, talker } => yes_or_no(self.group_stop(group.0, talker)),
            Command::ConferenceJoin {
                conference,
                station,
                ..
            } => yes_or_no(self.join(conference.0, station)),
            Command::ConferenceLeave {
                conference,
                station,
            } => yes_or_no(self.leave(conference.0, station)),
            Command::RequestFile(request) => self.mirror(line, &request, now),
            Command::RequestWithdraw { request } => match self.requests.withdraw(line, request) {
                Some(_) => Verdict::Done,
                None => Verdict::NoSuchNumber,
            },
            Command::RequestClaim { request, by } => {
                return match self.claim(request, by, now) {
                    Ok(()) => Verdict::Done.into(),
                    Err(answer) => answer,
                };
            }
            Command::OutputSet(output) | Command::DoorOpen(output) => {
                let (id, action) = (Some(output.id), output.action);
                if self.drive(output.station, output.output, action, id, now) {
                    Verdict::Done
                } else {
                    Verdict::NoSuchNumber
                }
            }
            Command::ShowText { station, text } => {
                self.show(station, text.as_str());
                self.known(station)
            }
            Command::Programme { station, programme } => {
                self.set_programme(station, programme);
                self.known(station)
            }
            Command::Divert { station, divert } => {
                self.alter(station, |known| known.divert = divert);
                self.known(station)
            }
            Command::SetPrivacy { station, privacy } => {
                self.alter(station, |known| known.privacy = privacy);
                self.known(station)
            }
            Command::LineTest { station } => self.line_test(station, now),
            // A server of its time: no recorded messages, no talker's token in conferences.
            Command::Announce { .. } | Command::ConferenceTalk { .. } => Verdict::Unsupported,
            Command::CallSetup(_) | Command::Snapshot => Verdict::Unsupported,
        };
        verdict.into()
    }

    fn hold_asked(
        &mut self,
        line: usize,
        call: legacy_protocols::command::CallRef,
        on: Switch,
    ) -> Verdict {
        let Some(id) = self.call_on(line, call) else {
            return Verdict::NoSuchNumber;
        };
        let ringing = self
            .calls
            .get(&id)
            .is_none_or(|c| c.phase == Phase::Ringing);
        if ringing {
            return Verdict::NotAllowed;
        }
        self.set_held(id, on);
        Verdict::Done
    }

    /// Our station goes on with another one of ours.
    fn transfer_asked(
        &mut self,
        line: usize,
        call: legacy_protocols::command::CallRef,
        to: Party,
        now: Instant,
    ) -> Verdict {
        let Some(id) = self.call_on(line, call) else {
            return Verdict::NoSuchNumber;
        };
        let Some(known) = self.calls.get(&id).cloned() else {
            return Verdict::NoSuchNumber;
        };
        let ours = [known.from, known.to]
            .into_iter()
            .find_map(|end| match end {
                End::Station(party) => Some(party),
                End::Line(_) => None,
            });
        let Some(ours) = ours.filter(|_| self.stations.contains_key(&to)) else {
            return Verdict::NoSuchNumber;
        };
        if !self.is_free(to) {
            return Verdict::Busy;
        }
        let cause = legacy_protocols::command::Cause::NORMAL;
        self.end_call(id, cause, None, now);
        match self.dial(ours, to, known.priority, None, now) {
            Ok(_) => Verdict::Done,
            Err(_) => Verdict::NotAllowed,
        }
    }

    fn talk_key_asked(&mut self, station: Party, key: Key, now: Instant) -> Verdict {
        let Some(Busy::Talking(id)) = self.stations.get(&station).map(|s| s.busy) else {
            return Verdict::NotAllowed;
        };
        let talker = self.talker(id, station, key);
        self.set_mode(id, TalkMode::Simplex(talker), Teller::Line, now);
        Verdict::Done
    }

    /// Who talks when this station's talk key moves.
    pub(super) fn talker(&self, id: CallId, station: Party, key: Key) -> Talker {
        let from = self.calls.get(&id).map(|call| call.from);
        let calls = from == Some(End::Station(station));
        match (key, calls) {
            (Key::Pressed, true) | (Key::Released, false) => Talker::Caller,
            (Key::Pressed, false) | (Key::Released, true) => Talker::Called,
        }
    }

    /// Listens to microphone and loudspeaker; never in a call.
    pub(super) fn line_test(&mut self, station: Party, now: Instant) -> Verdict {
        let Some(known) = self.stations.get(&station) else {
            return Verdict::NoSuchNumber;
        };
        let faults = known.faults.0;
        let result = if known.busy != Busy::No {
            LineTest::Skipped
        } else if !known.works() || faults & HEARD != 0 {
            LineTest::Failed(known.faults)
        } else {
            LineTest::Passed
        };
        self.tell_all(&Event::LineTested { station, result }, now);
        Verdict::Done
    }

    fn known(&self, station: Party) -> Verdict {
        match self.stations.contains_key(&station) {
            true => Verdict::Done,
            false => Verdict::NoSuchNumber,
        }
    }
}

const fn yes_or_no(done: bool) -> Verdict {
    if done {
        Verdict::Done
    } else {
        Verdict::NotAllowed
    }
}
