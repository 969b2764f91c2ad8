//! Making way: an alarm ends less urgent calls that stand between it and a station.

use model::{CallId, EndCause, LegId};

use crate::engine::Engine;
use crate::output::Event;

impl Engine {
    /// Frees a station of these legs. A conversation ends for both sides, a ringing stops, a room
    /// goes on without this member.
    pub(crate) fn evict(&mut self, legs: &[LegId], by: CallId) {
        for leg in legs {
            let Some(call) = self.legs.get(leg).map(|l| l.call) else {
                continue;
            };
            self.event(Event::PreEmpted { call, by });
            self.part(*leg);
            self.end_leg(*leg, EndCause::PreEmpted);
            self.leg_gone(call, *leg, EndCause::PreEmpted);
        }
    }
}
