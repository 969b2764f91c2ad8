//! What people at the command line and the local page ask for, and what they are told.

use std::time::{Duration, Instant};

use calls::{Command, OpenDoor};
use media::{Recording, Repeat, Sound};
use model::{Authority, CallId, CallNumber, CommandId, DoorId, LegId};
use thiserror::Error;

use crate::lines::{OrderError, Ordered, StationOrder};
use crate::plan::SoundWish;
use crate::sounds::Lasting;
use crate::state::Exchange;
use crate::view::{CallShown, StationView};

/// A command of an operator who sits at this machine is carried out now or not at all.
const VALIDITY: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub enum OperatorCommand {
    Calls,
    Stations,
    Status,
    End(CallId),
    /// The id comes from the shell: unique for all time.
    Open(CommandId, DoorId),
    Record(CallId),
    StopRecording(CallId),
    /// To a leg, over what it hears, once.
    Play(LegId, Recording),
    /// Until the leg ends.
    Sound(LegId, SoundWish),
    /// Of a station behind a line.
    Order(CallNumber, StationOrder),
}

#[derive(Clone, Debug)]
pub enum Answer {
    Calls(Vec<CallShown>),
    Stations(Vec<StationView>),
    Status(Status),
    Done,
    /// What the other end of a line says to an order.
    OfLine(legacy_protocols::command::Answer),
    Refused(OperatorError),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub stations: usize,
    pub registered: usize,
    pub doors: usize,
    pub calls: usize,
    pub legs: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OperatorError {
    #[error(transparent)]
    Command(#[from] calls::CommandError),
    #[error(transparent)]
    Door(#[from] model::DoorDenial),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("the call is being recorded already; end that with `media record CALL --stop`")]
    RecordedAlready,
    #[error("the call is not being recorded; begin with `media record CALL`")]
    NotRecorded,
    #[error("the leg's sound cannot be changed, only passed on; let it use G.711, G.722 or Opus")]
    NoCodecOfOurs,
}

impl Exchange {
    fn play_to(&mut self, leg: LegId, recording: Recording) -> Answer {
        if !self.plan.is_agreed(leg) {
            return Answer::Refused(calls::CommandError::NoSuchLeg.into());
        }
        let sound = Sound::Recording {
            recording,
            repeat: Repeat::ONCE,
        };
        self.plan.play(leg, sound, Lasting::ToItsEnd);
        Answer::Done
    }

    fn wish_for(&mut self, leg: LegId, wish: SoundWish) -> Answer {
        if !self.plan.can_hear(leg) {
            return Answer::Refused(match self.plan.is_agreed(leg) {
                true => OperatorError::NoCodecOfOurs,
                false => calls::CommandError::NoSuchLeg.into(),
            });
        }
        self.plan.wish(leg, wish);
        Answer::Done
    }

    /// What is answered at once; an order for a station behind a line is answered by its other end.
    pub(crate) fn operator(
        &mut self,
        asker: u64,
        command: OperatorCommand,
        now: Instant,
    ) -> Option<Answer> {
        // What is shown is as of now, not as of the last thing that happened to a call.
        self.calls.handle_timeout(now);
        Some(match command {
            OperatorCommand::Order(station, order) => {
                match self.order((station, &order), asker, now) {
                    Ok(Ordered::OnItsWay) => return None,
                    Ok(Ordered::Done) => Answer::Done,
                    Err(error) => Answer::Refused(error.into()),
                }
            }
            OperatorCommand::Calls => Answer::Calls(self.calls_shown(now)),
            OperatorCommand::Stations => Answer::Stations(self.station_views(now)),
            OperatorCommand::Status => Answer::Status(self.status(now)),
            OperatorCommand::Record(call) => self.record_call(call),
            OperatorCommand::StopRecording(call) => self.stop_recording(call),
            OperatorCommand::Play(leg, recording) => self.play_to(leg, recording),
            OperatorCommand::Sound(leg, wish) => self.wish_for(leg, wish),
            OperatorCommand::End(call) => {
                match self.calls.command(Command::EndCall { call }, now) {
                    Ok(_) => Answer::Done,
                    Err(error) => Answer::Refused(error.into()),
                }
            }
            OperatorCommand::Open(id, door) => {
                let open = OpenDoor {
                    id,
                    door,
                    authority: Authority::Operator,
                    valid_until: now + VALIDITY,
                };
                match self.calls.open_door(open, now) {
                    Ok(()) => Answer::Done,
                    Err(denial) => Answer::Refused(denial.into()),
                }
            }
        })
    }
}
