//! Legs on their way from one relay to another.
//!
//! Calls become one (a transfer, a pick-up) whose media are on two threads: one side's legs move,
//! with all that they are: who their peer is, keys, the numbers of the stream that it hears. What
//! they heard and who heard them stays behind; the owner says it again.

use std::time::Instant;

use super::{CommandError, OpenError, Relay};
use crate::leg::{Leg, LegKey, PortKey, SessionId};

/// A leg that belongs to no relay.
#[derive(Debug)]
pub struct Moving(Box<Leg>);

impl Moving {
    /// Its numbers for the sockets at the relay that it left: RTP, and RTCP if it has one.
    pub fn ports(&self) -> (PortKey, Option<PortKey>) {
        (self.0.rtp.key, self.0.rtcp.as_ref().map(|rtcp| rtcp.key))
    }
}

impl Relay {
    /// Gives a leg away. Its ports are free here without [`super::Output::Release`].
    pub fn let_go(&mut self, session: SessionId, leg: LegKey) -> Result<Moving, CommandError> {
        let (index, slot) = self.find(session, leg)?;
        let opened = self.sessions[index as usize].as_mut();
        let released = opened.and_then(|opened| opened.release(slot));
        let mut moving = released.ok_or(CommandError::NoLeg(leg))?;
        for port in moving.ports_mut() {
            if let Some(place) = self.ports.get_mut(port.key.0 as usize) {
                *place = None;
            }
        }
        self.forget_if_empty(session);
        self.schedule(index);
        Ok(Moving(Box::new(moving)))
    }

    /// Takes a leg in, in a session of its own, with the owner's numbers for its sockets here. Its
    /// key must be one that no leg here has.
    pub fn take_in(
        &mut self,
        session: SessionId,
        moving: Moving,
        rtp: PortKey,
        rtcp: Option<PortKey>,
        now: Instant,
    ) -> Result<(), OpenError> {
        let Moving(mut leg) = moving;
        for (port, key) in leg.ports_mut().zip([Some(rtp), rtcp].into_iter().flatten()) {
            if self.ports.get(key.0 as usize).is_some_and(Option::is_some) {
                return Err(OpenError::PortInUse(key));
            }
            port.key = key;
        }
        let key = leg.key;
        let index = self.session_index(session, now)?;
        let Some(opened) = &mut self.sessions[index as usize] else {
            return Err(OpenError::TooManySessions);
        };
        let Ok(slot) = opened.adopt(*leg, now) else {
            return Err(OpenError::LegExists(key));
        };
        self.rehouse(index, slot);
        self.schedule(index);
        Ok(())
    }
}
