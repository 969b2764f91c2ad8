//! Stations of ours whose calls are sent elsewhere: by the other end of a line, or by order here.
//!
//! One diversion a station, ahead of its rules in the directory, until it is taken away. It is the
//! call engine's forwarding in all else: its trail against loops, its events, its counters.

use std::time::Instant;

use calls::Input;
use legacy_protocols::command::{Answer, Divert, Verdict};
use legacy_protocols::number::Party;
use legacy_protocols::text::Text;
use model::{Address, CallNumber, ForwardWhen, ForwardingRule, StationId};

use super::orders::{Diversion, OrderError};
use super::{LineId, done_if};
use crate::standing::StandingOrder;
use crate::state::Exchange;

impl Exchange {
    /// The other end diverts a station of ours.
    pub(super) fn divert_asked(
        &mut self,
        line: LineId,
        station: Party,
        divert: Divert,
        now: Instant,
    ) -> Answer {
        let Some(station) = self.our_station(line, station).map(|known| known.id) else {
            return done_if(false);
        };
        let (to, when) = match divert {
            Divert::Off => {
                self.divert(station, None, now);
                return done_if(true);
            }
            Divert::Always(to) => (to, ForwardWhen::Always),
            Divert::Busy(to) => (to, ForwardWhen::Busy),
            Divert::NoReply(to) => (to, self.without_reply()),
        };
        // To a station of theirs as well as to one of ours.
        let to = match self.address_behind(line, to) {
            Some(address) => Ok(address),
            None => self.dialled_by_line(line, to),
        };
        let to = match to {
            Ok(to) if self.directory.destination(&to).is_some() => to,
            Ok(_) => {
                return Answer {
                    text: Some(Text::clip("nobody has the number that it shall go to")),
                    ..Verdict::NoSuchNumber.into()
                };
            }
            Err(refused) => {
                return Answer {
                    cause: Some(refused.cause),
                    text: Some(Text::clip(refused.why)),
                    ..refused.verdict.into()
                };
            }
        };
        self.divert(station, Some(ForwardingRule::new(when, to)), now);
        done_if(true)
    }

    /// Somebody here diverts a station of ours.
    pub(super) fn divert_ours(
        &mut self,
        station: StationId,
        diversion: Diversion,
        now: Instant,
    ) -> Result<(), OrderError> {
        let (to, when) = match diversion {
            Diversion::Off => {
                self.divert(station, None, now);
                return Ok(());
            }
            Diversion::Always(to) => (to, ForwardWhen::Always),
            Diversion::Busy(to) => (to, ForwardWhen::Busy),
            Diversion::NoReply(to) => (to, self.without_reply()),
        };
        let to = self.target(to)?;
        self.divert(station, Some(ForwardingRule::new(when, to)), now);
        Ok(())
    }

    fn target(&self, number: CallNumber) -> Result<Address, OrderError> {
        let to = self.with_block(number);
        match self.directory.destination(&to) {
            Some(_) => Ok(to),
            None => Err(OrderError::NoSuchNumber(number)),
        }
    }

    fn divert(&mut self, station: StationId, rule: Option<ForwardingRule>, now: Instant) {
        let order = StandingOrder::Diversion(rule.clone());
        self.remember(station, order);
        self.calls.handle(Input::Divert { station, rule }, now);
    }

    /// The line says not after which time: as long as everybody rings here.
    fn without_reply(&self) -> ForwardWhen {
        let after = self.config.calls.answer_timeout;
        ForwardWhen::NoAnswer { after }
    }
}
