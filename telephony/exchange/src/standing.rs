//! What was ordered of a station of ours and holds until it is taken back: a diversion of its calls,
//! an audio programme. It survives a restart.
//!
//! Stations are named by their numbers, as those outlive a directory that was read anew. Invariant:
//! each change of such an order goes to the store, and what cannot hold any more is taken out of it.

use std::time::Instant;

use calls::Input;
use model::{CallNumber, ForwardingRule, StationId};

use crate::io::{Output, StoreWrite};
use crate::state::Exchange;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub station: CallNumber,
    pub order: StandingOrder,
}

/// None: it was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandingOrder {
    Diversion(Option<ForwardingRule>),
    Programme(Option<u8>),
}

impl Exchange {
    /// Takes back the orders of before a restart, once, after the directory has come. Says how many
    /// hold; the others are forgotten: station, target or programme are not there any more.
    pub fn restore_standing(&mut self, standing: Vec<Standing>, now: Instant) -> usize {
        let mut holding = 0;
        for Standing { station, order } in standing {
            let known = self.own_station(station);
            let restored = known.is_some_and(|known| self.order_again(known, &order, now));
            holding += usize::from(restored);
            if !restored {
                let order = match order {
                    StandingOrder::Diversion(_) => StandingOrder::Diversion(None),
                    StandingOrder::Programme(_) => StandingOrder::Programme(None),
                };
                self.out(Output::Store(StoreWrite::Standing(Standing {
                    station,
                    order,
                })));
            }
        }
        self.drain(now);
        holding
    }

    fn order_again(&mut self, station: StationId, order: &StandingOrder, now: Instant) -> bool {
        match order {
            StandingOrder::Diversion(Some(rule)) => {
                let reached = self.directory.destination(&rule.to).is_some();
                if reached {
                    let rule = Some(rule.clone());
                    self.calls.handle(Input::Divert { station, rule }, now);
                }
                reached
            }
            StandingOrder::Programme(Some(programme)) => {
                self.want_programme(station, *programme, now).is_ok()
            }
            StandingOrder::Diversion(None) | StandingOrder::Programme(None) => false,
        }
    }

    /// To be called with each change.
    pub(crate) fn remember(&mut self, station: StationId, order: StandingOrder) {
        if let Some(station) = self.directory.station(station).map(|known| known.number) {
            self.out(Output::Store(StoreWrite::Standing(Standing {
                station,
                order,
            })));
        }
    }
}
