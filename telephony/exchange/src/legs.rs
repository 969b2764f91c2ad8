//! Which SIP sessions a leg of a call stands for.
//!
//! An arrived leg has one session. A started leg has one for each contact of its station; the first
//! that is accepted is the leg's, the others end. Invariant: a session belongs to at most one leg,
//! and a leg leaves the table when the call engine is done with it.

use std::collections::BTreeMap;

use model::{EndCause, LegId};
use sip::session::{ReferId, SessionId};

use crate::causes::Answered;

#[derive(Debug, Default)]
pub(crate) struct Legs {
    legs: BTreeMap<LegId, Leg>,
    by_session: BTreeMap<SessionId, LegId>,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) role: Role,
    /// Every session that may still become the leg's.
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) answered: Option<SessionId>,
    /// The transfer that this leg asked for and that is not done.
    pub(crate) refer: Option<ReferId>,
    /// The most telling of its contacts' refusals.
    refusal: Option<EndCause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Arrived,
    Started,
}

/// What the end of one session means for its leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Other contacts still ring.
    Goes,
    /// That was the last; this is why.
    Over(EndCause),
}

impl Leg {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            sessions: Vec::new(),
            answered: None,
            refer: None,
            refusal: None,
        }
    }

    pub(crate) fn is_answered(&self) -> Answered {
        match self.answered {
            Some(_) => Answered::Yes,
            None => Answered::No,
        }
    }

    /// The one session to speak to: the answered one, or the only one of an arrived leg.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.role {
            Role::Arrived => self.sessions.first().copied(),
            Role::Started => self.answered,
        }
    }
}

impl Legs {
    pub(crate) fn insert(&mut self, id: LegId, leg: Leg) {
        for session in &leg.sessions {
            self.by_session.insert(*session, id);
        }
        self.legs.insert(id, leg);
    }

    pub(crate) fn get(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&id)
    }

    pub(crate) fn by_session(&self, session: SessionId) -> Option<LegId> {
        self.by_session.get(&session).copied()
    }

    /// Arrived and answered sessions, by which a Replaces may name a leg.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (LegId, SessionId)> + '_ {
        self.legs
            .iter()
            .filter_map(|(id, leg)| Some((*id, leg.session()?)))
    }

    /// The leg goes with this session; the other sessions to be ended come back.
    pub(crate) fn answer(&mut self, id: LegId, session: SessionId) -> Vec<SessionId> {
        let Some(leg) = self.legs.get_mut(&id) else {
            return vec![session];
        };
        leg.answered = Some(session);
        let losers = std::mem::replace(&mut leg.sessions, vec![session]);
        let losers: Vec<_> = losers
            .into_iter()
            .filter(|other| *other != session)
            .collect();
        for loser in &losers {
            self.by_session.remove(loser);
        }
        losers
    }

    /// A session of a leg is over.
    pub(crate) fn session_over(
        &mut self,
        session: SessionId,
        cause: EndCause,
    ) -> Option<(LegId, Rest)> {
        let id = self.by_session.remove(&session)?;
        let leg = self.legs.get_mut(&id)?;
        leg.sessions.retain(|other| *other != session);
        let told = leg
            .refusal
            .map_or(cause, |before| more_telling(before, cause));
        leg.refusal = Some(told);
        let rest = if leg.sessions.is_empty() {
            Rest::Over(told)
        } else {
            Rest::Goes
        };
        Some((id, rest))
    }

    /// The call engine is done with the leg; the sessions to be ended come back.
    pub(crate) fn remove(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        for session in &leg.sessions {
            self.by_session.remove(session);
        }
        Some(leg)
    }
}

/// RFC 3261 16.7 chooses the best response of a fork; here: what the person at one of the devices
/// did says more than what the network says of another.
fn more_telling(a: EndCause, b: EndCause) -> EndCause {
    let rank = |cause| match cause {
        EndCause::Declined => 0,
        EndCause::Busy => 1,
        EndCause::NoAnswer => 2,
        EndCause::MediaMismatch | EndCause::EncryptionMismatch => 3,
        _ => 4,
    };
    if rank(b) < rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forked() -> (Legs, LegId) {
        let mut legs = Legs::default();
        let id = LegId::new(1);
        let mut leg = Leg::new(Role::Started);
        leg.sessions = vec![SessionId(1), SessionId(2), SessionId(3)];
        legs.insert(id, leg);
        (legs, id)
    }

    #[test]
    fn the_first_contact_that_answers_has_the_leg() {
        let (mut legs, id) = forked();
        assert_eq!(legs.answer(id, SessionId(2)), [SessionId(1), SessionId(3)]);
        assert_eq!(legs.get(id).unwrap().session(), Some(SessionId(2)));
        assert_eq!(legs.by_session(SessionId(1)), None);
        // A loser that answers late finds no leg.
        assert_eq!(legs.session_over(SessionId(1), EndCause::HungUp), None);
    }

    #[test]
    fn a_leg_is_refused_when_its_last_contact_is_and_for_the_most_telling_reason() {
        let (mut legs, id) = forked();
        let over = |legs: &mut Legs, session, cause| legs.session_over(SessionId(session), cause);
        assert_eq!(
            over(&mut legs, 1, EndCause::Unreachable),
            Some((id, Rest::Goes))
        );
        assert_eq!(over(&mut legs, 2, EndCause::Busy), Some((id, Rest::Goes)));
        let last = over(&mut legs, 3, EndCause::Unreachable);
        assert_eq!(last, Some((id, Rest::Over(EndCause::Busy))));
    }
}
