//! What somebody at this machine orders of a station behind a line: a text for its display, sound,
//! diversion, privacy, a test, an output.
//!
//! An order goes once and now, or is refused with the reason; nothing is kept for later. Whoever
//! ordered is answered what the other end says. Doors are no outputs here: the call engine judges
//! and records who opens them.

use std::time::{Duration, Instant};

use legacy_protocols::command::{Command, Divert, OutputAction, OutputCommand, Programme, Switch};
use legacy_protocols::coverage::CommandKind;
use legacy_protocols::number::Party;
use legacy_protocols::port::{LinkState, Port};
use legacy_protocols::text::Text;
use model::{CallNumber, DoorOutput, Priority, Reach, Station, StationId};
use thiserror::Error;

use super::line::Line;
use super::{Errand, LineId, words};
use crate::playback::PlaybackError;
use crate::state::Exchange;

/// After this an output is not driven any more.
const VALIDITY: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StationOrder {
    ShowText(Text),
    Programme(Programme),
    /// A message that the other end has recorded.
    Announce {
        message: u8,
        priority: Priority,
    },
    Divert(Diversion),
    Privacy(Switch),
    Test,
    Output {
        output: u16,
        action: OutputAction,
    },
}

/// Where calls for a station go, by the numbers of here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diversion {
    Off,
    Always(CallNumber),
    Busy(CallNumber),
    NoReply(CallNumber),
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ordered {
    Done,
    OnItsWay,
}

/// Why an order was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    #[error("there is no station {0} in the directory; look with `stations`")]
    NoSuchStation(CallNumber),
    #[error(
        "station {0} is not behind a line; what stands behind one says `behind` in the directory"
    )]
    NotBehindLine(CallNumber),
    #[error("nobody has the number {0}; look with `stations`")]
    NoSuchNumber(CallNumber),
    #[error(transparent)]
    Playback(#[from] PlaybackError),
    #[error("{number} has no number on line \"{line}\"; look at its `block` and `prefixes`")]
    NoNumberThere { number: CallNumber, line: String },
    #[error("nobody speaks on line \"{line}\": {why}; look with `lines`")]
    NoDriver { line: String, why: String },
    #[error(
        "the driver \"{driver}\" of line \"{line}\" has no word for {word}; `lines` shows what it covers"
    )]
    NoWord {
        line: String,
        driver: String,
        word: &'static str,
    },
    #[error("line \"{line}\" is not up, and nothing was sent; look with `lines`, and order again")]
    NotUp { line: String },
    #[error(
        "line \"{line}\" has no token by which the other end knows that we may drive outputs; \
         write `authority_file` into its configuration"
    )]
    NoAuthority { line: String },
    #[error("output {output} of station {station} is a door; use `open` with its key")]
    IsDoor { station: CallNumber, output: u16 },
}

impl StationOrder {
    const fn kind(&self) -> CommandKind {
        match self {
            Self::ShowText(_) => CommandKind::ShowText,
            Self::Programme(_) => CommandKind::Programme,
            Self::Announce { .. } => CommandKind::Announce,
            Self::Divert(_) => CommandKind::Divert,
            Self::Privacy(_) => CommandKind::SetPrivacy,
            Self::Test => CommandKind::LineTest,
            Self::Output { .. } => CommandKind::OutputSet,
        }
    }

    /// The name in coverage, timeline and errors.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

impl Exchange {
    /// Carries it out, or sends it: then the answer of the other end goes to `asker`.
    pub(crate) fn order(
        &mut self,
        (number, order): (CallNumber, &StationOrder),
        asker: u64,
        now: Instant,
    ) -> Result<Ordered, OrderError> {
        if let Some(ours) = self.own_station(number)
            && self.order_ours(ours, order, now)? == Ordered::Done
        {
            return Ok(Ordered::Done);
        }
        let (line, command) = self.command_of(number, order, now)?;
        self.command_line(line, command, Errand::Order { asker }, now);
        Ok(Ordered::OnItsWay)
    }

    /// What needs no line, because the station is at home here.
    fn order_ours(
        &mut self,
        station: StationId,
        order: &StationOrder,
        now: Instant,
    ) -> Result<Ordered, OrderError> {
        match order {
            StationOrder::Divert(diversion) => self.divert_ours(station, *diversion, now)?,
            StationOrder::Programme(Programme::Off) => self.stop_programme(station, now),
            StationOrder::Programme(Programme::Channel(channel)) => {
                self.set_programme(station, *channel, now)?;
            }
            StationOrder::Announce { message, priority } => {
                self.play_message(station, *message, *priority, now)?;
            }
            StationOrder::ShowText(_)
            | StationOrder::Privacy(_)
            | StationOrder::Test
            | StationOrder::Output { .. } => return Ok(Ordered::OnItsWay),
        }
        Ok(Ordered::Done)
    }

    /// A station of the directory that is at home here.
    pub(crate) fn own_station(&self, number: CallNumber) -> Option<StationId> {
        let station = self.directory.station_by_number(number)?;
        match station.reach {
            Reach::Behind(_) => None,
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => Some(station.id),
        }
    }

    fn command_of(
        &mut self,
        number: CallNumber,
        order: &StationOrder,
        now: Instant,
    ) -> Result<(LineId, Command), OrderError> {
        let known = self.directory.station_by_number(number);
        let known = known.ok_or(OrderError::NoSuchStation(number))?.clone();
        let node = match known.reach {
            Reach::Behind(node) => Some(node),
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => None,
        };
        let line = node.and_then(|node| self.lines.towards(node));
        let id = line.ok_or(OrderError::NotBehindLine(number))?;
        let line = self
            .lines
            .get(id)
            .ok_or(OrderError::NotBehindLine(number))?;
        ready(line, order.kind())?;
        let there = self.party_behind(id, known.id);
        let station = there.ok_or_else(|| no_number(line, number))?;
        let command = match order {
            StationOrder::ShowText(text) => Command::ShowText {
                station,
                text: text.clone(),
            },
            StationOrder::Programme(programme) => Command::Programme {
                station,
                programme: *programme,
            },
            StationOrder::Announce { message, priority } => Command::Announce {
                station,
                message: *message,
                priority: words::their_priority(*priority),
            },
            StationOrder::Divert(diversion) => Command::Divert {
                station,
                divert: self.diversion(id, *diversion)?,
            },
            StationOrder::Privacy(privacy) => Command::SetPrivacy {
                station,
                privacy: *privacy,
            },
            StationOrder::Test => Command::LineTest { station },
            StationOrder::Output { output, action } => {
                let output = (station, *output, *action);
                return self.output_command(id, &known, output, now);
            }
        };
        Ok((id, command))
    }

    fn output_command(
        &mut self,
        id: LineId,
        known: &Station,
        (station, output, action): (Party, u16, OutputAction),
        now: Instant,
    ) -> Result<(LineId, Command), OrderError> {
        let is_door = known.doors.iter().any(|door| match door.output {
            DoorOutput::Station { output: at } => u16::from(at) == output,
            DoorOutput::Url(_) => false,
        });
        if is_door {
            let station = known.number;
            return Err(OrderError::IsDoor { station, output });
        }
        let config = self.lines.get(id).map(|line| &line.config);
        let config = config.ok_or(OrderError::NotBehindLine(known.number))?;
        let authority = config.authority.clone();
        if authority.is_missing() {
            let line = config.name.clone();
            return Err(OrderError::NoAuthority { line });
        }
        let command = Command::OutputSet(OutputCommand {
            id: self.lines.doors.id(),
            station,
            output,
            action,
            authority,
            valid_until: now + VALIDITY,
        });
        Ok((id, command))
    }

    fn diversion(&self, id: LineId, diversion: Diversion) -> Result<Divert, OrderError> {
        let party = |number: CallNumber| {
            let party = self.party_of_address(id, &self.with_block(number));
            let behind = self.directory.station_by_number(number);
            let behind = behind.and_then(|station| self.party_of_station(id, station.id));
            behind.or(party).ok_or_else(|| OrderError::NoNumberThere {
                number,
                line: self.lines.get(id).map_or_else(String::new, name),
            })
        };
        Ok(match diversion {
            Diversion::Off => Divert::Off,
            Diversion::Always(to) => Divert::Always(party(to)?),
            Diversion::Busy(to) => Divert::Busy(party(to)?),
            Diversion::NoReply(to) => Divert::NoReply(party(to)?),
        })
    }
}

/// Whether the line can take such an order now.
fn ready(line: &Line, kind: CommandKind) -> Result<(), OrderError> {
    if let Some(why) = line.missing() {
        return Err(OrderError::NoDriver {
            line: name(line),
            why: why.to_owned(),
        });
    }
    let covered = line.port().map(Port::coverage);
    if !covered.is_some_and(|coverage| coverage.can_command(kind)) {
        return Err(OrderError::NoWord {
            line: name(line),
            driver: line.config.driver.name().to_owned(),
            word: kind.name(),
        });
    }
    // Nothing is driven at an end that is silent.
    let up = match kind {
        CommandKind::OutputSet => matches!(line.link, LinkState::Up(_)),
        _ => line.is_up(),
    };
    match up {
        true => Ok(()),
        false => Err(OrderError::NotUp { line: name(line) }),
    }
}

fn no_number(line: &Line, number: CallNumber) -> OrderError {
    OrderError::NoNumberThere {
        number,
        line: name(line),
    }
}

fn name(line: &Line) -> String {
    line.config.name.clone()
}
