//! Legs on their way from one media thread to another.
//!
//! Two calls that become one may be at two threads. One thread lets go of its legs, with their
//! sockets, in which packets wait meanwhile, and with who hears whom among them; the other takes
//! them in. The main loop tells the one first and then the other, in one order for all threads, so
//! that no two of them ever wait for each other.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use calls::Part;
use exchange::{MediaEvent, Medium, StreamIndex};
use media::{LegKey, PortKey, SessionId, Tap};
use model::{CallId, LegId};
use net::packets::{Io, Loose};

use super::{Opened, RelayThread, Stream};

/// A thread answers within one turn; one that does not in this time has ended.
const PATIENCE: Duration = Duration::from_millis(500);

/// Legs that belong to no thread.
#[derive(Debug)]
pub(in super::super) struct Moving {
    streams: Vec<MovingStream>,
    /// In the order in which they were said.
    routes: Vec<(Stream, Stream)>,
    rooms: Vec<(Stream, CallId, Part)>,
    taps: Vec<(LegId, Tap)>,
}

#[derive(Debug)]
struct MovingStream {
    stream: Stream,
    key: LegKey,
    medium: Medium,
    leg: media::Moving,
    rtp: Loose,
    rtcp: Option<Loose>,
}

impl RelayThread {
    pub(super) fn give(
        &mut self,
        legs: &[LegId],
        to: &SyncSender<Moving>,
        io: &mut Io<MediaEvent>,
    ) {
        let among = |a: &Stream, b: &Stream| legs.contains(&a.0) && legs.contains(&b.0);
        let routes = self.routes_where(among);
        self.routes
            .retain(|(a, b), _| !legs.contains(&a.0) && !legs.contains(&b.0));
        let of = |leg: &LegId| (*leg, StreamIndex::MIN)..=(*leg, StreamIndex::MAX);
        let streams: Vec<Stream> = legs
            .iter()
            .flat_map(|leg| self.streams.range(of(leg)).map(|(stream, _)| *stream))
            .collect();
        let roomed = |stream: &Stream| {
            let (call, part) = self.rooms.remove(stream)?;
            Some((*stream, call, part))
        };
        let rooms = streams.iter().filter_map(roomed).collect();
        let taps = legs.iter().map(|leg| (*leg, self.ears.let_go(*leg)));
        let taps = taps.collect();
        let streams = streams.into_iter();
        let moving = Moving {
            streams: streams
                .filter_map(|stream| self.let_go(stream, io))
                .collect(),
            routes,
            rooms,
            taps,
        };
        if to.try_send(moving).is_err() {
            tracing::error!(?legs, "legs are without media: their new thread has ended");
        }
    }

    fn let_go(&mut self, stream: Stream, io: &mut Io<MediaEvent>) -> Option<MovingStream> {
        let opened = self.streams.remove(&stream)?;
        self.forget_member(opened.session, stream);
        let leg = match self.relay.let_go(opened.session, opened.key) {
            Ok(leg) => leg,
            Err(error) => {
                tracing::error!(%error, leg = %stream.0, "a leg cannot change its thread");
                return None;
            }
        };
        let mut loose = |port: PortKey| {
            let socket = self.sockets.get_mut(port.0 as usize).and_then(Option::take);
            io.let_go(socket?)
        };
        let (rtp, rtcp) = leg.ports();
        Some(MovingStream {
            stream,
            key: opened.key,
            medium: opened.medium,
            rtp: loose(rtp)?,
            rtcp: rtcp.and_then(loose),
            leg,
        })
    }

    pub(super) fn take(&mut self, from: &Receiver<Moving>, now: Instant, io: &mut Io<MediaEvent>) {
        let Ok(moving) = from.recv_timeout(PATIENCE) else {
            tracing::error!("legs are without media: their old thread did not let go of them");
            return;
        };
        for stream in moving.streams {
            self.take_in(stream, now, io);
        }
        for (source, listener) in moving.routes {
            self.route(source, listener, now);
        }
        for (stream, call, part) in moving.rooms {
            self.enter(stream, call, part, now);
        }
        for (leg, tap) in moving.taps {
            self.ears.take_in(leg, tap);
            self.tap(leg);
        }
    }

    fn take_in(&mut self, moving: MovingStream, now: Instant, io: &mut Io<MediaEvent>) {
        let stream = moving.stream;
        let rtcp = moving.rtcp.map(|rtcp| io.adopt(rtcp)).transpose();
        let (rtp, rtcp) = match (io.adopt(moving.rtp), rtcp) {
            (Ok(rtp), Ok(rtcp)) => (rtp, rtcp),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, leg = %stream.0, "a leg that changed its thread has no media");
                return;
            }
        };
        self.next += 1;
        let session = SessionId(self.next);
        let ports = (self.keep(rtp), rtcp.map(|rtcp| self.keep(rtcp)));
        let taken = self
            .relay
            .take_in(session, moving.leg, ports.0, ports.1, now);
        if let Err(error) = taken {
            io.detach(rtp);
            rtcp.into_iter().for_each(|rtcp| io.detach(rtcp));
            tracing::error!(%error, leg = %stream.0, "a leg that changed its thread has no media");
            return;
        }
        let opened = Opened {
            session,
            key: moving.key,
            medium: moving.medium,
        };
        self.streams.insert(stream, opened);
        self.looks.begin(now);
        self.sessions.insert(session, BTreeSet::from([stream]));
    }
}
