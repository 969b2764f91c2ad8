//! Stations that the other end sends into a group call or conference of ours: stations of ours, and
//! its own, with their sound.
//!
//! No word of a line about rooms carries sound. So whoever shall join is called, and put into the
//! room when it answers: a talker over the line with one call, whose sound all listeners hear. Its
//! stations may call the room's number as well.

use std::time::Instant;

use calls::{CommandError, Input, Phase};
use legacy_protocols::command::{Answer, GroupRef, Key, Verdict};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::text::Text;
use model::{Address, CallNumber, LegId};

use super::{LineId, words};
use crate::state::Exchange;

impl Exchange {
    /// The station is called, and put into the room when it answers.
    pub(super) fn room_joined(
        &mut self,
        line: LineId,
        (group, station): (GroupRef, Party),
        priority: Option<Priority>,
        now: Instant,
    ) -> Answer {
        let station = self.member(line, station);
        let (Some(from), Some(to)) = (station, self.room_number(line, group)) else {
            return Verdict::NoSuchNumber.into();
        };
        let dial = calls::Command::Dial {
            from,
            to: Address::Local(to),
            priority: priority.map(words::priority),
        };
        match self.calls.command(dial, now) {
            Ok(_) => Verdict::Accepted.into(),
            Err(error) => Answer {
                text: Some(Text::clip(&error.to_string())),
                ..match error {
                    CommandError::StationBusy => Verdict::Busy,
                    CommandError::Overload | CommandError::Stopping => Verdict::RateLimited,
                    CommandError::NoSuchRequest
                    | CommandError::TakenBy(_)
                    | CommandError::BeingTaken
                    | CommandError::NotAPosition
                    | CommandError::NothingWaiting
                    | CommandError::NoSuchDesk
                    | CommandError::NoSuchCall
                    | CommandError::NoSuchLeg
                    | CommandError::NoSuchAddress
                    | CommandError::NotASingleDevice => Verdict::NoSuchNumber,
                }
                .into()
            },
        }
    }

    pub(super) fn room_left(
        &mut self,
        line: LineId,
        (group, station): (GroupRef, Party),
        now: Instant,
    ) -> Verdict {
        match self.leg_in_room(line, group, station) {
            Some(leg) => {
                // It can only have ended by itself meanwhile.
                let _ = self.calls.command(calls::Command::EndLeg { leg }, now);
                Verdict::Done
            }
            None => Verdict::NoSuchNumber,
        }
    }

    pub(super) fn room_key(
        &mut self,
        line: LineId,
        (group, station): (GroupRef, Party),
        key: Key,
        now: Instant,
    ) -> Verdict {
        let Some(leg) = self.leg_in_room(line, group, station) else {
            return Verdict::NoSuchNumber;
        };
        let key = words::key(key);
        self.calls.handle(Input::TalkKey { leg, key }, now);
        Verdict::Done
    }

    /// A station of ours, or one behind this line.
    fn member(&self, line: LineId, station: Party) -> Option<Address> {
        let ours = self.our_station(line, station).map(|known| known.number);
        ours.map(Address::Local)
            .or_else(|| self.address_behind(line, station))
    }

    fn room_number(&self, line: LineId, group: GroupRef) -> Option<CallNumber> {
        let mut rooms = self.lines.get(line)?.config.rooms.iter();
        rooms
            .find(|room| room.group == group)
            .map(|room| room.number)
    }

    fn leg_in_room(&self, line: LineId, group: GroupRef, station: Party) -> Option<LegId> {
        self.room_number(line, group)?;
        let station = Some(self.member(line, station)?);
        let rooms = self.calls.calls();
        let rooms = rooms.filter(|call| matches!(call.phase, Phase::Conference | Phase::GroupCall));
        let legs = rooms.flat_map(|call| call.legs);
        let mut its = legs.filter(|leg| leg.party.address == station);
        its.next().map(|leg| leg.leg)
    }
}
