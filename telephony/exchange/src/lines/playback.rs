//! Messages and programmes that the other end of a line wants stations of ours to hear.
//!
//! The numbers are those of the configuration here; what is not there is refused with the reason,
//! and counted.

use std::time::Instant;

use calls::CommandError;
use legacy_protocols::command::{Answer, Programme, Verdict};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::text::Text;

use super::{LineId, done_if, words};
use crate::playback::PlaybackError;
use crate::state::Exchange;

impl Exchange {
    pub(super) fn announce_asked(
        &mut self,
        line: LineId,
        station: Party,
        message: u8,
        priority: Priority,
        now: Instant,
    ) -> Answer {
        let Some(station) = self.our_station(line, station).map(|known| known.id) else {
            return done_if(false);
        };
        let played = self.play_message(station, message, words::priority(priority), now);
        self.played(line, played, Verdict::Accepted)
    }

    pub(super) fn programme_asked(
        &mut self,
        line: LineId,
        station: Party,
        programme: Programme,
        now: Instant,
    ) -> Answer {
        let Some(station) = self.our_station(line, station).map(|known| known.id) else {
            return done_if(false);
        };
        match programme {
            Programme::Off => {
                self.stop_programme(station, now);
                done_if(true)
            }
            Programme::Channel(channel) => {
                let set = self.set_programme(station, channel, now);
                self.played(line, set, Verdict::Done)
            }
        }
    }

    fn played(&mut self, line: LineId, result: Result<(), PlaybackError>, done: Verdict) -> Answer {
        let Err(error) = result else {
            return done.into();
        };
        let verdict = match error {
            PlaybackError::NoSuchMessage(_) | PlaybackError::NoSuchProgramme(_) => {
                if let Some(line) = self.lines.get_mut(line) {
                    line.totals.unsupported += 1;
                }
                Verdict::Unsupported
            }
            PlaybackError::Call(CommandError::StationBusy) => Verdict::Busy,
            PlaybackError::Call(CommandError::Overload | CommandError::Stopping) => {
                Verdict::RateLimited
            }
            PlaybackError::Call(
                CommandError::NoSuchRequest
                | CommandError::TakenBy(_)
                | CommandError::BeingTaken
                | CommandError::NotAPosition
                | CommandError::NothingWaiting
                | CommandError::NoSuchDesk
                | CommandError::NoSuchCall
                | CommandError::NoSuchLeg
                | CommandError::NoSuchAddress
                | CommandError::NotASingleDevice,
            ) => Verdict::NoSuchNumber,
        };
        Answer {
            text: Some(Text::clip(&error.to_string())),
            ..verdict.into()
        }
    }
}
