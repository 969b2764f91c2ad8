//! Who hears whom, as the plan says it: routes between two streams, and rooms of many.
//!
//! The relay lets legs hear each other within one of its sessions. What belongs to one conversation
//! is brought into one session when a route or a room joins it; what left a conversation stays where
//! it is until then. Invariant: whoever was moved hears again whom it shall hear.

use std::collections::BTreeSet;
use std::time::Instant;

use calls::Part;
use exchange::StreamIndex;
use media::{RoomKey, SessionId};
use model::{CallId, LegId};

use super::{Opened, RelayThread, Stream};

impl RelayThread {
    pub(super) fn route(&mut self, source: Stream, listener: Stream, now: Instant) {
        self.next += 1;
        self.routes.insert((source, listener), self.next);
        let (Some(from), Some(to)) = (self.streams.get(&source), self.streams.get(&listener))
        else {
            return;
        };
        let (from, to) = (from.session, to.session);
        if from == to {
            self.listen(source, listener, now);
        } else {
            self.join(source, to, now);
        }
    }

    pub(super) fn unroute(&mut self, from: LegId, to: LegId, now: Instant) {
        let first = ((from, StreamIndex::MIN), (LegId::new(0), StreamIndex::MIN));
        let last = (
            (from, StreamIndex::MAX),
            (LegId::new(u64::MAX), StreamIndex::MAX),
        );
        let from_it = self.routes.range(first..=last).map(|(route, _)| *route);
        let gone: Vec<_> = from_it.filter(|(_, listener)| listener.0 == to).collect();
        for (source, listener) in gone {
            self.routes.remove(&(source, listener));
            self.deafen(source, listener);
            let left = self.routes_where(|_, b| *b == listener);
            self.listen_again(left, now);
        }
    }

    pub(super) fn enter(&mut self, stream: Stream, call: CallId, part: Part, now: Instant) {
        self.leave_other_rooms(stream, call);
        let mut members = self.rooms.iter();
        let there = members.find_map(|(member, (room, _))| {
            let session = self.streams.get(member)?.session;
            (*room == call && *member != stream).then_some(session)
        });
        let own = self.streams.get(&stream).map(|opened| opened.session);
        if let (Some(there), Some(own)) = (there, own)
            && there != own
        {
            self.join(stream, there, now);
        }
        self.rooms.insert(stream, (call, part));
        self.enter_again(stream, now);
    }

    pub(super) fn leave(&mut self, leg: LegId) {
        for stream in self.streams_in_rooms(leg) {
            self.rooms.remove(&stream);
            let Some(opened) = self.streams.get(&stream) else {
                continue;
            };
            if let Err(error) = self.relay.leave_room(opened.session, opened.key) {
                tracing::error!(%error, %leg, "a leg cannot leave its room");
            }
        }
    }

    /// Another stream of the leg was its voice, or it was in the room of another call.
    fn leave_other_rooms(&mut self, stream: Stream, call: CallId) {
        let is_other = |known: &Stream| {
            let room = self.rooms.get(known).map(|(room, _)| *room);
            (*known, room) != (stream, Some(call))
        };
        if self.streams_in_rooms(stream.0).iter().any(is_other) {
            self.leave(stream.0);
        }
    }

    fn streams_in_rooms(&self, leg: LegId) -> Vec<Stream> {
        let all = (leg, StreamIndex::MIN)..=(leg, StreamIndex::MAX);
        self.rooms.range(all).map(|(stream, _)| *stream).collect()
    }

    /// Moves a stream, with all that it exchanges packets with, into another session.
    fn join(&mut self, stream: Stream, into: SessionId, now: Instant) {
        let moving = self.conversation_of(stream);
        for stream in &moving {
            let Some(opened) = self.streams.get_mut(stream) else {
                continue;
            };
            let from = opened.session;
            match self.relay.move_leg(from, opened.key, into, now) {
                Ok(()) => {
                    opened.session = into;
                    self.forget_member(from, *stream);
                    self.sessions.entry(into).or_default().insert(*stream);
                }
                Err(error) => {
                    tracing::error!(%error, leg = %stream.0, "a leg cannot join a conversation");
                }
            }
        }
        let of = |stream: &Stream| self.streams.get(stream).map(|opened| opened.session);
        let inside = |a: &Stream, b: &Stream| of(a) == Some(into) && of(b) == Some(into);
        let routes = self.routes_where(inside);
        self.listen_again(routes, now);
        for stream in moving {
            self.enter_again(stream, now);
        }
    }

    pub(super) fn forget_member(&mut self, session: SessionId, stream: Stream) {
        if let Some(members) = self.sessions.get_mut(&session) {
            members.remove(&stream);
            if members.is_empty() {
                self.sessions.remove(&session);
            }
        }
    }

    /// All that hear each other over some corners, with this one.
    fn conversation_of(&self, stream: Stream) -> BTreeSet<Stream> {
        let mut found = BTreeSet::from([stream]);
        let mut unseen = vec![stream];
        while let Some(stream) = unseen.pop() {
            let routes = self.routes.keys().filter_map(|(a, b)| match stream {
                one if one == *a => Some(*b),
                one if one == *b => Some(*a),
                _ => None,
            });
            let room = self.rooms.get(&stream).map(|(room, _)| *room);
            let together = |(member, (of, _)): (&Stream, &(CallId, Part))| {
                (Some(*of) == room).then_some(*member)
            };
            let mates = self.rooms.iter().filter_map(together);
            unseen.extend(routes.chain(mates).filter(|other| found.insert(*other)));
        }
        found
    }

    /// The routes for which this holds, in the order in which they were said.
    pub(super) fn routes_where(
        &self,
        holds: impl Fn(&Stream, &Stream) -> bool,
    ) -> Vec<(Stream, Stream)> {
        let fitting = self.routes.iter().filter(|((a, b), _)| holds(a, b));
        let mut ordered: Vec<_> = fitting.map(|(route, said)| (*said, *route)).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, route)| route).collect()
    }

    fn listen_again(&mut self, routes: Vec<(Stream, Stream)>, now: Instant) {
        for (source, listener) in routes {
            self.listen(source, listener, now);
        }
    }

    fn listen(&mut self, source: Stream, listener: Stream, now: Instant) {
        let Some((from, to)) = self.both(source, listener) else {
            return;
        };
        if let Err(error) = self.relay.listen(to.session, to.key, from.key, now) {
            tracing::error!(%error, leg = %listener.0, "a leg cannot hear another");
        }
    }

    fn deafen(&mut self, source: Stream, listener: Stream) {
        let Some((from, to)) = self.both(source, listener) else {
            return;
        };
        // Elsewhere it does not hear it anyway.
        if from.session != to.session {
            return;
        }
        if let Err(error) = self.relay.unlisten(to.session, to.key, from.key) {
            tracing::error!(%error, leg = %listener.0, "a leg cannot be parted from another");
        }
    }

    fn both(&self, one: Stream, other: Stream) -> Option<(Opened, Opened)> {
        Some((*self.streams.get(&one)?, *self.streams.get(&other)?))
    }

    fn enter_again(&mut self, stream: Stream, now: Instant) {
        let Some((call, part)) = self.rooms.get(&stream).copied() else {
            return;
        };
        let Some(opened) = self.streams.get(&stream) else {
            return;
        };
        let room = RoomKey(call.get());
        let part = match part {
            Part::TalkAndListen => media::Part::TalkAndListen,
            Part::Talk => media::Part::Talk,
            Part::Listen => media::Part::Listen,
        };
        let entered = self
            .relay
            .enter_room(opened.session, opened.key, room, part, now);
        if let Err(error) = entered {
            tracing::error!(%error, leg = %stream.0, "a leg cannot enter its room");
        }
    }
}
