//! The media plan: descriptions for each leg, and who hears whom.
//!
//! Every leg gets ports of ours; offers and answers are derived from those of the other leg, so
//! that both sides settle on the same codec where they can and packets can be passed on as they
//! are; where they cannot, on what loses least when transcoded (C9). It moves no packet: the media
//! threads carry its commands out. Invariant: a leg's ports are opened before
//! they stand in a description, and closed with the leg.

mod command;
mod ends;
mod listening;
mod ports;
mod protection;
mod reoffer;
mod rooms;
mod sounds;
mod threads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use calls::Video;
use model::{EndCause, LegId, TalkMode, Talker};
use sip::message::StatusCode;
use sip::sdp::{
    self, Description, DescriptionError, Direction, KeySource, Kind, Local, LocalStream,
    SecurityError, Stream, Suite,
};
use thiserror::Error;

pub use command::{FreePort, MediaCommand, Medium, Remote, StreamIndex};
pub(crate) use ends::End;
pub use listening::{SoundWish, Treatment};
pub use ports::FreePorts;
pub(crate) use ports::Taker;
pub use protection::Protection;
use protection::Shield;
pub(crate) use protection::{Signalling, Terms};
pub(crate) use reoffer::Reoffered;
use rooms::Rooms;
use sounds::Playing;
pub use sounds::Unplayed;

/// Why there is no description to give.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error(transparent)]
    Security(SecurityError),
    #[error("no media port is free; widen the configured range")]
    NoPort,
    #[error("the leg has no description yet")]
    NothingSettled,
}

impl PlanError {
    pub(crate) fn refusal(&self) -> StatusCode {
        match self {
            Self::Description(_) | Self::Security(_) => StatusCode::NOT_ACCEPTABLE_HERE,
            Self::NoPort => StatusCode::SERVICE_UNAVAILABLE,
            Self::NothingSettled => StatusCode::SERVER_INTERNAL_ERROR,
        }
    }

    pub(crate) fn cause(&self) -> EndCause {
        match self {
            Self::Description(_) => EndCause::MediaMismatch,
            Self::Security(_) => EndCause::EncryptionMismatch,
            Self::NoPort => EndCause::Overload,
            Self::NothingSettled => EndCause::InternalError,
        }
    }
}

/// What an offer holds, for the call engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) video: Video,
}

#[derive(Debug)]
pub(crate) struct MediaPlan {
    ports: FreePorts,
    legs: BTreeMap<LegId, LegPlan>,
    /// Who hears whom at this moment: (from, to).
    routes: BTreeMap<(LegId, LegId), Vec<(StreamIndex, StreamIndex)>>,
    rooms: Rooms,
    playing: Playing,
    commands: VecDeque<MediaCommand>,
    /// Legs whose media are being closed: their last figures are still to come.
    closing: BTreeSet<LegId>,
    next_id: u64,
    keys: KeySource,
    threads: u16,
}

/// What a leg's plan begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) taker: Taker,
    /// Our address towards its peer.
    pub(crate) local: IpAddr,
    /// The host that signals for it.
    pub(crate) peer: IpAddr,
    pub(crate) terms: Terms,
}

#[derive(Debug)]
struct LegPlan {
    start: Start,
    /// The media thread that its streams are at.
    thread: u16,
    ports: Vec<Option<FreePort>>,
    /// The id and version of our origin line.
    origin: sdp::Origin,
    /// What we wrote last, and what the other end wrote last, without their protection.
    ours: Option<Description>,
    theirs: Option<Description>,
    /// Ours with its protection.
    written: Option<Description>,
    shield: Shield,
    stand: Stand,
    partner: Option<LegId>,
    held: bool,
    /// An offer of this leg that the other leg is being asked about.
    asking: Option<Description>,
    /// Keys are listened for in its sound.
    key_tones: bool,
    settings: listening::Settings,
}

/// Where the offer/answer exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// They offered, we have not answered.
    Offered,
    /// We offered, they have not answered; or nobody has offered yet.
    Open,
    Agreed,
}

impl MediaPlan {
    /// `first_id` begins the ids of our origin lines; they need not be secret, only different.
    /// Of the ports bound at each address, `for_alarms` are kept for them.
    /// `keys` makes those of each leg.
    pub(crate) fn new(first_id: u64, for_alarms: usize, keys: KeySource) -> Self {
        Self {
            ports: FreePorts::new(for_alarms),
            legs: BTreeMap::new(),
            routes: BTreeMap::new(),
            rooms: Rooms::default(),
            playing: Playing::default(),
            commands: VecDeque::new(),
            closing: BTreeSet::new(),
            next_id: first_id >> 2,
            keys,
            threads: 1,
        }
    }

    /// Calls are spread over so many media threads.
    pub(crate) fn over_threads(self, threads: u16) -> Self {
        Self {
            threads: threads.max(1),
            ..self
        }
    }

    pub(crate) fn ports_free(&mut self, ports: Vec<FreePort>) {
        self.ports.add(ports);
    }

    pub(crate) fn swap_ports(&mut self, ports: &mut FreePorts) {
        std::mem::swap(&mut self.ports, ports);
    }

    pub(crate) fn poll_command(&mut self) -> Option<MediaCommand> {
        self.commands.pop_front()
    }

    /// A call arrives with this offer, or with none.
    pub(crate) fn arrived(
        &mut self,
        leg: LegId,
        start: Start,
        offer: Option<&[u8]>,
    ) -> Result<Offered, PlanError> {
        let offer = offer.map(Description::parse).transpose()?;
        self.arrived_with(leg, start, offer)
    }

    fn arrived_with(
        &mut self,
        leg: LegId,
        start: Start,
        offer: Option<Description>,
    ) -> Result<Offered, PlanError> {
        let mut plan = self.new_leg(start, None);
        let mut video = Video::None;
        if let Some(offer) = offer {
            let offer = plan.shield.take_offer(offer)?;
            self.open_ports(leg, &mut plan, &offer)?;
            if offer.live(&Kind::Video).is_some() {
                video = Video::Offered;
            }
            plan.theirs = Some(offer);
            plan.stand = Stand::Offered;
        }
        self.legs.insert(leg, plan);
        self.tell_remote(leg);
        Ok(Offered { video })
    }

    /// The offer to a leg that is being started: what `of` offers or has agreed to, else our own.
    pub(crate) fn offer(
        &mut self,
        leg: LegId,
        start: Start,
        of: Option<LegId>,
    ) -> Result<Bytes, PlanError> {
        let source = of
            .and_then(|of| self.legs.get(&of))
            .and_then(LegPlan::offerable);
        let source = source.unwrap_or_else(own_template).widened();
        self.offer_with(leg, start, of, &source)
    }

    /// The offer of what stands in `source`.
    fn offer_with(
        &mut self,
        leg: LegId,
        start: Start,
        of: Option<LegId>,
        source: &Description,
    ) -> Result<Bytes, PlanError> {
        // A caller that made no offer is there already.
        let known = self.legs.remove(&leg);
        let mut plan = known.unwrap_or_else(|| self.new_leg(start, of));
        self.open_ports(leg, &mut plan, source)?;
        plan.offers(sdp::offer_from(source, &plan.local()));
        let written = plan.write();
        self.legs.insert(leg, plan);
        written
    }

    /// The answer to our offer, early or final.
    pub(crate) fn answered(&mut self, leg: LegId, answer: &[u8]) -> Result<(), PlanError> {
        self.answered_with(leg, &Description::parse(answer)?)
    }

    fn answered_with(&mut self, leg: LegId, answer: &Description) -> Result<(), PlanError> {
        let plan = self.legs.get_mut(&leg).ok_or(PlanError::NothingSettled)?;
        let offered = plan.ours.as_ref().map_or(0, |ours| ours.streams.len());
        if offered != answer.streams.len() {
            let answered = answer.streams.len();
            return Err(DescriptionError::StreamCount { offered, answered }.into());
        }
        let ours = plan.written.as_ref().ok_or(PlanError::NothingSettled)?;
        let answer = plan.shield.read_answer(ours, answer)?;
        if !answer.streams.iter().any(Stream::is_relayable) {
            return Err(DescriptionError::NothingAccepted.into());
        }
        plan.theirs = Some(answer);
        plan.stand = Stand::Agreed;
        self.tell_remote(leg);
        self.refresh_routes(leg);
        Ok(())
    }

    /// How what is said on this leg is encrypted.
    pub(crate) fn suite(&self, leg: LegId) -> Option<&Suite> {
        self.legs.get(&leg)?.shield.suite()
    }

    pub(crate) fn is_agreed(&self, leg: LegId) -> bool {
        self.legs
            .get(&leg)
            .is_some_and(|plan| plan.stand == Stand::Agreed)
    }

    /// The answer to a caller before anybody has answered: what the early one settled on.
    pub(crate) fn early_answer(&mut self, caller: LegId, from: LegId) -> Result<Bytes, PlanError> {
        self.answer(caller, Some(from))
    }

    /// The answer to a caller that nobody but us talks to.
    pub(crate) fn answer_alone(&mut self, caller: LegId) -> Result<Bytes, PlanError> {
        self.answer(caller, None)
    }

    /// What goes into the 200 to a caller.
    pub(crate) fn final_answer(&mut self, caller: LegId) -> Result<Option<Bytes>, PlanError> {
        let plan = self.legs.get(&caller).ok_or(PlanError::NothingSettled)?;
        match plan.stand {
            // Said already in a provisional response; said again where that was not reliable.
            Stand::Agreed => plan.write().map(Some),
            Stand::Offered => self.answer(caller, plan.partner).map(Some),
            Stand::Open => {
                let (start, partner) = (plan.start, plan.partner);
                self.offer(caller, start, partner).map(Some)
            }
        }
    }

    fn answer(&mut self, caller: LegId, other: Option<LegId>) -> Result<Bytes, PlanError> {
        let settled = other.and_then(|other| self.legs.get(&other)?.theirs.clone());
        let plan = self
            .legs
            .get_mut(&caller)
            .ok_or(PlanError::NothingSettled)?;
        if plan.stand == Stand::Agreed {
            return plan.write();
        }
        let offered = plan.theirs.as_ref().ok_or(PlanError::NothingSettled)?;
        let settled = settled.map_or_else(|| alone(offered), |settled| settled.narrowed(offered));
        let answer = sdp::answer_to(offered, &settled, &plan.local())?;
        plan.answers(answer);
        plan.stand = Stand::Agreed;
        let written = plan.write();
        self.tell_remote(caller);
        self.refresh_routes(caller);
        written
    }

    pub(crate) fn connect(&mut self, a: LegId, b: LegId, mode: TalkMode) {
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(plan) = self.legs.get_mut(&leg) {
                plan.partner = Some(other);
            }
            self.joined(leg);
        }
        let (a_to_b, b_to_a) = match mode {
            TalkMode::OpenDuplex | TalkMode::VoiceSwitched => (true, true),
            TalkMode::Simplex { talker } => (talker == Talker::A, talker == Talker::B),
            TalkMode::ListenOnly => (false, true),
            TalkMode::TalkOnly => (true, false),
        };
        for (from, to, wanted) in [(a, b, a_to_b), (b, a, b_to_a)] {
            if wanted {
                self.route(from, to);
            } else {
                self.unroute(from, to);
            }
        }
    }

    pub(crate) fn disconnect(&mut self, a: LegId, b: LegId) {
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(plan) = self
                .legs
                .get_mut(&leg)
                .filter(|plan| plan.partner == Some(other))
            {
                plan.partner = None;
            }
            self.unroute(leg, other);
        }
    }

    pub(crate) fn early_media(&mut self, from: LegId, to: LegId) {
        self.joined(to);
        self.route(from, to);
    }

    pub(crate) fn close(&mut self, leg: LegId) {
        self.leave_room(leg);
        self.forget_sound(leg);
        let ends = |(from, to): &(LegId, LegId)| *from == leg || *to == leg;
        let routes: Vec<_> = self.routes.keys().copied().filter(ends).collect();
        for (from, to) in routes {
            self.unroute(from, to);
        }
        if self.legs.remove(&leg).is_some() {
            self.close_media(leg);
        }
        for plan in self
            .legs
            .values_mut()
            .filter(|plan| plan.partner == Some(leg))
        {
            plan.partner = None;
        }
    }

    fn close_media(&mut self, leg: LegId) {
        self.commands.push_back(MediaCommand::Close { leg });
        self.closing.insert(leg);
    }

    /// Whether the media threads know the leg, or will when they have carried out what is under
    /// way.
    pub(crate) fn has_media(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg) || self.closing.contains(&leg)
    }

    /// The media threads have closed the leg, or are not waited for any more.
    pub(crate) fn closed(&mut self, leg: LegId) {
        self.closing.remove(&leg);
    }

    /// Forgets legs for which this does not hold, in case a thread never says that it closed them.
    pub(crate) fn keep_closing(&mut self, still: impl Fn(LegId) -> bool) {
        self.closing.retain(|leg| still(*leg));
    }

    fn route(&mut self, from: LegId, to: LegId) {
        self.bring_together(from, to);
        let streams = self.stream_routes(from, to);
        // In a room without pictures nothing is passed from one to the other.
        if streams.is_empty() && self.rooms.together(from, to) {
            return self.unroute(from, to);
        }
        if self.routes.get(&(from, to)) != Some(&streams) {
            self.routes.insert((from, to), streams.clone());
            self.commands
                .push_back(MediaCommand::Route { from, to, streams });
        }
    }

    fn unroute(&mut self, from: LegId, to: LegId) {
        if self.routes.remove(&(from, to)).is_some() {
            self.commands.push_back(MediaCommand::Unroute { from, to });
        }
    }

    /// A new description of a leg may pair streams anew.
    fn refresh_routes(&mut self, leg: LegId) {
        let ends = |(from, to): &(LegId, LegId)| *from == leg || *to == leg;
        let routes = self.routes.keys().copied().chain(self.rooms.sights_of(leg));
        let routes: Vec<_> = routes.filter(ends).collect();
        for (from, to) in routes {
            self.route(from, to);
        }
        self.refresh_room(leg);
        self.refresh_sound(leg);
    }

    /// Which stream goes where: the first of a kind to the first of the same kind.
    fn stream_routes(&self, from: LegId, to: LegId) -> Vec<(StreamIndex, StreamIndex)> {
        let pair = |kind| Some((self.live(from, &kind)?, self.live(to, &kind)?));
        let kinds: &[Kind] = match self.rooms.together(from, to) {
            true => &[Kind::Video],
            false => &[Kind::Audio, Kind::Video],
        };
        kinds.iter().cloned().filter_map(pair).collect()
    }

    /// The first stream of this kind that lives.
    fn live(&self, leg: LegId, kind: &Kind) -> Option<StreamIndex> {
        let streams = &self.legs.get(&leg)?.latest()?.streams;
        let index = streams
            .iter()
            .position(|s| s.kind == *kind && s.rtp.is_some())?;
        StreamIndex::try_from(index).ok()
    }

    /// Tells the media threads where the other end is.
    fn tell_remote(&mut self, leg: LegId) {
        let Some(plan) = self.legs.get(&leg) else {
            return;
        };
        let Some(theirs) = &plan.theirs else { return };
        for (index, stream) in theirs.streams.iter().enumerate() {
            let Some(Some(port)) = plan.ports.get(index) else {
                continue;
            };
            let (Some(rtp), Ok(index)) = (stream.rtp, StreamIndex::try_from(index)) else {
                continue;
            };
            let ours = plan
                .ours
                .as_ref()
                .and_then(|ours| ours.streams.get(usize::from(index)));
            let formats = match ours {
                Some(ours) => sdp::agreed_formats(&stream.formats, &ours.formats),
                None => stream.formats.clone(),
            };
            let remote = Remote {
                rtp: scoped(rtp, port.rtp),
                rtcp: stream.rtcp.map(|rtcp| scoped(rtcp, port.rtp)),
                signalling: plan.start.peer,
                sends: stream.direction.sends(),
                receives: stream.direction.receives(),
                formats,
                protection: plan.shield.of(usize::from(index)),
            };
            self.commands.push_back(MediaCommand::Remote {
                leg,
                stream: index,
                remote,
            });
        }
    }

    /// `beside`: the leg that it is likely to talk with.
    fn new_leg(&mut self, start: Start, beside: Option<LegId>) -> LegPlan {
        self.next_id += 1;
        LegPlan {
            start,
            thread: self.thread_for(beside),
            ports: Vec::new(),
            origin: sdp::Origin {
                id: self.next_id,
                version: 0,
            },
            ours: None,
            theirs: None,
            written: None,
            shield: Shield::new(start.terms, &mut self.keys),
            stand: Stand::Open,
            partner: None,
            held: false,
            asking: None,
            key_tones: false,
            settings: listening::Settings::default(),
        }
    }

    /// A port for each stream that can be relayed and has none.
    fn open_ports(
        &mut self,
        leg: LegId,
        plan: &mut LegPlan,
        of: &Description,
    ) -> Result<(), PlanError> {
        for (index, stream) in of.streams.iter().enumerate() {
            if plan.ports.len() == index {
                plan.ports.push(None);
            }
            if plan.ports[index].is_some() || !stream.is_relayable() {
                continue;
            }
            let port = self.ports.take(plan.start.local, plan.start.taker);
            let (Some(port), Ok(stream)) = (port, StreamIndex::try_from(index)) else {
                // Those already taken go back with the leg.
                self.close_media(leg);
                return Err(PlanError::NoPort);
            };
            let was_open = plan.is_open();
            plan.ports[index] = Some(port);
            let medium = match of.streams[index].kind {
                Kind::Video => Medium::Video,
                Kind::Audio | Kind::Other(_) => Medium::Audio,
            };
            self.commands.push_back(MediaCommand::Open {
                leg,
                stream,
                medium,
                port,
                thread: plan.thread,
            });
            if !was_open && plan.key_tones {
                let listen = true;
                self.commands
                    .push_back(MediaCommand::KeyTones { leg, listen });
            }
        }
        Ok(())
    }
}

impl LegPlan {
    fn local(&self) -> Local {
        let place = |port: &FreePort| LocalStream {
            rtp: port.rtp,
            rtcp: port.rtcp,
        };
        let ports = self.ports.iter().map(|port| port.as_ref().map(place));
        Local {
            address: self.media_address(),
            streams: ports.collect(),
        }
    }

    /// Media may have an address of their own, apart from signalling.
    fn media_address(&self) -> IpAddr {
        let first = self.ports.iter().flatten().next();
        first.map_or(self.start.local, |port| port.rtp.ip())
    }

    /// This is what we offer now.
    fn offers(&mut self, offer: Description) {
        let written = self.shield.protect_offer(&offer, self.written.as_ref());
        self.written = Some(written);
        self.ours = Some(offer);
    }

    /// This is what we answer to the offer that was taken last.
    fn answers(&mut self, answer: Description) {
        self.written = Some(self.shield.protect_answer(&answer));
        self.ours = Some(answer);
    }

    fn write(&self) -> Result<Bytes, PlanError> {
        let written = self.written.as_ref().ok_or(PlanError::NothingSettled)?;
        Ok(written.write(self.origin.id, self.origin.version, self.media_address()))
    }

    /// The description that says which streams live: theirs, and ours until they have spoken.
    fn latest(&self) -> Option<&Description> {
        self.theirs.as_ref().or(self.ours.as_ref())
    }

    /// What may be offered to somebody who shall talk with this leg: all it offers, or what was
    /// agreed on with it.
    fn offerable(&self) -> Option<Description> {
        let mut source = match self.stand {
            Stand::Agreed => self.ours.clone()?,
            Stand::Offered => self.theirs.clone()?,
            Stand::Open => return None,
        };
        for (index, stream) in source.streams.iter_mut().enumerate() {
            let theirs = self
                .theirs
                .as_ref()
                .and_then(|theirs| theirs.streams.get(index));
            match theirs {
                Some(theirs) if theirs.rtp.is_some() => {
                    stream.formats = sdp::agreed_formats(&stream.formats, &theirs.formats);
                }
                Some(_) | None => *stream = stream.refused(),
            }
            stream.direction = Direction::SendRecv;
        }
        Some(source)
    }
}

/// What a leg agrees to that is answered with nobody at the other side: its own first codec.
fn alone(offered: &Description) -> Description {
    let mut settled = offered.clone();
    for stream in &mut settled.streams {
        if stream.kind == Kind::Audio {
            let first = stream
                .formats
                .iter()
                .position(|format| !format.is_companion());
            let mut index = 0;
            stream.formats.retain(|format| {
                let keep = format.is_companion() || Some(index) == first;
                index += 1;
                keep
            });
        } else {
            stream.rtp = None;
        }
    }
    settled
}

/// The shape of an offer of our own; addresses come with the ports.
fn own_template() -> Description {
    sdp::fresh_offer(LocalStream {
        rtp: nowhere(),
        rtcp: nowhere(),
    })
}

/// In the place of an address that is not known yet.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 1))
}

/// A link-local address is reached through the interface that our own end is on.
fn scoped(remote: SocketAddr, local: SocketAddr) -> SocketAddr {
    match (remote, local) {
        (SocketAddr::V6(mut remote), SocketAddr::V6(local))
            if remote.ip().is_unicast_link_local() && remote.scope_id() == 0 =>
        {
            remote.set_scope_id(local.scope_id());
            SocketAddr::V6(remote)
        }
        (remote, _) => remote,
    }
}

#[cfg(test)]
mod tests;
