//! The words by which a site is worked: `press gate 1`, `wait door gate 1 open within 5`.
//!
//! One order a line, the same from a terminal, the control socket and the page. Only reads: what an
//! order does is the site's. A word that is wrong is named, with those that would be right.

mod condition;
mod order;
#[cfg(test)]
mod tests;

pub use condition::{Condition, Lamp};
pub use order::parse;

use std::path::PathBuf;
use std::time::Duration;

use legacy_protocols::number::Party;

use crate::site::{Act, Keeps};

/// What one line of a script wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Act(Act),
    Line {
        line: usize,
        what: LineHand,
    },
    Wait {
        wanted: Condition,
        within: Duration,
    },
    /// A station says what is in a file.
    Play {
        station: Party,
        file: PathBuf,
    },
    /// What a station hears goes to a file, until the next order of this kind; None: no more.
    Record {
        station: Party,
        file: Option<PathBuf>,
    },
    /// Which calls wait for a line that is down.
    Keep(Keeps),
    /// What the site is like, as text.
    Status,
    Help,
    Quit,
}

/// What is done to a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineHand {
    Cut,
    Heal,
    /// It stays open and carries nothing, either way.
    Freeze,
    Thaw,
}

/// Why a line of a script is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("\"{0}\" is no order; `help` lists them")]
    NoOrder(String),
    #[error("after \"{after}\", {wanted} is missing")]
    Missing { after: String, wanted: &'static str },
    #[error("\"{word}\" is not {wanted}")]
    Wrong { word: String, wanted: &'static str },
    #[error("there is no station \"{word}\" here; there are: {known}")]
    NoStation { word: String, known: String },
    #[error("there is no line \"{word}\" here; there are: {known}")]
    NoLine { word: String, known: String },
    #[error("\"{0}\" is too much")]
    TooMuch(String),
}

/// All orders, for people.
pub const HELP: &str = "\
Stations are named by their word or number, others as node/number (2/102).
  press STATION [BUTTON]           a call button, the first if none is said
  answer STATION                   take the call that rings
  cancel STATION                   hang up, refuse, leave, take a request back
  dial STATION NUMBER [PRIORITY]   priority 1 to 250, 1 the most urgent
  keys STATION DIGITS              keys of a telephone, in a call
  take DESK [STATION|next]         take a request that waits there
  open STATION [OF] [DOOR]         open a door: its own, or OF another station
  talk STATION on|off              the talk key
  simplex STATION on|off           one talks at a time
  hold STATION on|off
  transfer STATION NUMBER
  group STATION GROUP on|off       talk to all of a group
  conference STATION GROUP on|off  join or leave
  divert STATION off|always|busy|noreply [NUMBER]
  privacy STATION on|off
  programme STATION CHANNEL|off
  input STATION INPUT on|off
  break STATION line|short|silent|microphone|speaker|tamper|power
  mend STATION
  contact STATION DOOR works|broken
  door STATION DOOR free|stuck
  test STATION                     the surveillance test
  play STATION FILE.wav            it says what is in the file
  record STATION FILE.wav|off      what it hears
  line LINE cut|heal|freeze|thaw
  keep nothing|alarms|everything   calls that wait for a line that is down
  wait station STATION idle|ringing|requesting|busy|conference|listening|privacy|broken
  wait call STATION ringing|talking|held|none
  wait with STATION NUMBER         talks with that number
  wait door STATION DOOR open|closed
  wait relay STATION DOOR on|off
  wait text STATION WORDS          the display shows these words
  wait queue DESK COUNT
  wait line LINE up|down
  wait theirs NUMBER STATE         the lamp of a station at the other end
    ... within SECONDS             10 if nothing is said
  status, help, quit";
