//! The media thread's own: carries commands out on a relay and moves packets between its sockets.
//!
//! The relay hears of a stream of a leg as one leg, in a session with all that it exchanges packets
//! with (see [`conversation`]). Invariant: the relay's listening always follows `routes` and `rooms`,
//! whatever legs were moved.

mod conversation;

mod handover;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use calls::Part;
use exchange::{KeyForm, MediaEvent, Medium, Remote, StreamIndex, Treatment};
use media::{
    LegKey, LegSetup, LegUpdate, Overheard, PortKey, Reason, Relay, SessionId, Sound, SoundKey,
    Totals,
};
use model::{CallId, Digit, Echo, LegAudio, LegId, Mute, NoiseAround};
use net::packets::{Arrival, Datagram, Handler, Io, PortPair, SocketKey};
use sip::sdp::Format;

use crate::frames::FrameSender;

pub(super) use self::handover::Moving;
use super::ears::{Ears, Use, Wanted};
use super::figures::{Looks, leg_audio};
use super::keys;

/// Codecs that are only relayed, told apart by number; more than any site uses.
const OTHER_CODECS: usize = 1_024;

/// A command with the sockets it speaks of.
#[derive(Debug)]
pub(super) enum ThreadCommand {
    Open {
        leg: LegId,
        stream: StreamIndex,
        medium: Medium,
        pair: PortPair,
    },
    Remote {
        leg: LegId,
        stream: StreamIndex,
        remote: Box<Remote>,
    },
    Route {
        from: LegId,
        to: LegId,
        streams: Vec<(StreamIndex, StreamIndex)>,
    },
    Unroute {
        from: LegId,
        to: LegId,
    },
    Mix {
        room: CallId,
        leg: LegId,
        stream: StreamIndex,
        part: Part,
    },
    Unmix {
        leg: LegId,
    },
    /// What else is wanted of the sound of a leg.
    Tap {
        leg: LegId,
        to: Use,
        wanted: Wanted,
    },
    Play {
        leg: LegId,
        stream: StreamIndex,
        key: SoundKey,
        sound: Box<Sound>,
    },
    StopSound {
        leg: LegId,
        stream: StreamIndex,
    },
    Press {
        leg: LegId,
        stream: StreamIndex,
        digit: Digit,
        lasting: Duration,
    },
    Treat {
        leg: LegId,
        treatment: Treatment,
    },
    Close {
        leg: LegId,
    },
    /// Another thread waits for these legs.
    Give {
        legs: Vec<LegId>,
        to: SyncSender<Moving>,
    },
    Take {
        from: Receiver<Moving>,
    },
}

/// A stream of a leg.
type Stream = (LegId, StreamIndex);

/// The codecs that are only relayed, in the numbers that all threads give them.
#[derive(Debug, Default)]
pub(super) struct OtherCodecs(Mutex<Vec<Format>>);

impl OtherCodecs {
    /// Asked when a leg's formats change, never for a packet.
    fn number(&self, format: &Format) -> u16 {
        let mut codecs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codecs.iter().position(|known| known.is_same_as(format));
        let number = known.unwrap_or_else(|| {
            // Numbers begin anew: only descriptions made to fill this list get here.
            if codecs.len() == OTHER_CODECS {
                codecs.clear();
            }
            codecs.push(format.clone());
            codecs.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }
}

/// Packets that nobody was given, by reason. The thread counts, everybody may look.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    by_reason: [AtomicU64; Reason::ALL.len()],
    /// At sockets that no leg has.
    stray: AtomicU64,
    /// Keys, which are no packets yet, for a leg that takes none or has too many waiting.
    keys: AtomicU64,
}

impl Refused {
    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.by_reason[reason as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn stray(&self) -> u64 {
        self.stray.load(Ordering::Relaxed)
    }

    pub(crate) fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    fn show(&self, totals: &Totals) {
        for reason in Reason::ALL {
            self.by_reason[reason as usize].store(totals.drops.of(reason), Ordering::Relaxed);
        }
        self.stray.store(totals.stray, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct RelayThread {
    relay: Relay,
    streams: BTreeMap<Stream, Opened>,
    sessions: BTreeMap<SessionId, BTreeSet<Stream>>,
    /// Who hears whom: (source, listener), and when that was said. A listener hears one source: the
    /// one that was named last.
    routes: BTreeMap<(Stream, Stream), u64>,
    /// Who is in the room of which call.
    rooms: BTreeMap<Stream, (CallId, Part)>,
    /// Sockets by the relay's number for them.
    sockets: Vec<Option<SocketKey>>,
    codecs: Arc<OtherCodecs>,
    next: u64,
    deadline: Option<Instant>,
    looks: Looks,
    ears: Ears,
    refused: Arc<Refused>,
}

#[derive(Clone, Copy, Debug)]
struct Opened {
    session: SessionId,
    key: LegKey,
    medium: Medium,
}

impl RelayThread {
    /// `number`: of the thread. What it names is named so nowhere else, so that legs may change
    /// their thread.
    pub(super) fn new(
        number: u16,
        seed: u64,
        codecs: Arc<OtherCodecs>,
        refused: Arc<Refused>,
        frames: FrameSender,
    ) -> Self {
        Self {
            relay: Relay::new(media::Config::default(), seed),
            streams: BTreeMap::new(),
            sessions: BTreeMap::new(),
            routes: BTreeMap::new(),
            rooms: BTreeMap::new(),
            sockets: Vec::new(),
            codecs,
            next: u64::from(number) << 48,
            deadline: None,
            looks: Looks::default(),
            ears: Ears::new(frames),
            refused,
        }
    }

    fn open(
        &mut self,
        stream: Stream,
        medium: Medium,
        pair: PortPair,
        now: Instant,
        io: &mut Io<MediaEvent>,
    ) {
        let (rtp, rtcp) = match io.attach(pair) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(%error, leg = %stream.0, "a leg stays without media");
                return;
            }
        };
        self.next += 1;
        let opened = Opened {
            session: SessionId(self.next),
            key: LegKey(self.next),
            medium,
        };
        let setup = LegSetup {
            rtp: self.keep(rtp),
            rtcp: Some(self.keep(rtcp)),
            medium: match medium {
                Medium::Audio => media::Medium::Audio,
                Medium::Video => media::Medium::Video,
            },
            remote: media::Remote {
                rtp: None,
                rtcp: media::RtcpAddress::None,
                latch: media::LatchPolicy::Fixed,
            },
            formats: Vec::new(),
            direction: media::Direction::Inactive,
            protection: media::Protection::Awaited,
        };
        match self.relay.open(opened.session, opened.key, setup, now) {
            Ok(()) => {
                self.streams.insert(stream, opened);
                self.looks.begin(now);
                self.sessions
                    .insert(opened.session, BTreeSet::from([stream]));
                self.tap(stream.0);
            }
            Err(error) => {
                io.detach(rtp);
                io.detach(rtcp);
                tracing::error!(%error, leg = %stream.0, "a leg stays without media");
            }
        }
    }

    fn keep(&mut self, socket: SocketKey) -> PortKey {
        let index = socket.index() as usize;
        if self.sockets.len() <= index {
            self.sockets.resize(index + 1, None);
        }
        self.sockets[index] = Some(socket);
        PortKey(socket.index())
    }

    fn remote(&mut self, stream: Stream, remote: &Remote, now: Instant) {
        let Some(opened) = self.streams.get(&stream).copied() else {
            return;
        };
        let formats = remote
            .formats
            .iter()
            .map(|format| self.format(format))
            .collect();
        let update = LegUpdate {
            remote: Some(media::Remote {
                rtp: Some(remote.rtp),
                rtcp: match remote.rtcp {
                    None => media::RtcpAddress::None,
                    Some(rtcp) if rtcp == remote.rtp => media::RtcpAddress::SharesRtp,
                    Some(rtcp) => media::RtcpAddress::At(rtcp),
                },
                latch: media::LatchPolicy::Symmetric {
                    network: Some(media::Network::host(remote.signalling)),
                },
            }),
            formats: Some(formats),
            // Theirs is said from their side, ours from ours.
            direction: Some(match (remote.receives, remote.sends) {
                (true, true) => media::Direction::SendReceive,
                (true, false) => media::Direction::SendOnly,
                (false, true) => media::Direction::ReceiveOnly,
                (false, false) => media::Direction::Inactive,
            }),
            protection: Some(keys::protection(&remote.protection)),
        };
        if let Err(error) = self.relay.update(opened.session, opened.key, update, now) {
            tracing::error!(%error, leg = %stream.0, "a leg's media cannot be changed");
        }
    }

    /// The leg's first stream of audio.
    fn audio(&self, leg: LegId) -> Option<Opened> {
        let mut streams = self
            .streams
            .range((leg, StreamIndex::MIN)..=(leg, StreamIndex::MAX));
        let audio = streams.find(|(_, opened)| opened.medium == Medium::Audio);
        audio.map(|(_, opened)| *opened)
    }

    fn treat(&mut self, leg: LegId, treatment: &Treatment, now: Instant) {
        let Some(Opened { session, key, .. }) = self.audio(leg) else {
            return;
        };
        let said = media::noise::Treatment {
            noise: match treatment.noise {
                NoiseAround::Kept => None,
                NoiseAround::Suppressed => Some(enhancement::noise_suppressor),
            },
            echo: match treatment.echo {
                Echo::Kept => None,
                Echo::TakenAway => Some(enhancement::echo_control),
            },
            gain_db: treatment.loudness.microphone.db(),
            muted: treatment.mute == Mute::On,
        };
        let volume = treatment.loudness.loudspeaker.db();
        let done = self.relay.treat(session, key, said, now);
        let done = done.and_then(|()| self.relay.set_volume(session, key, volume, now));
        if let Err(error) = done {
            tracing::error!(%error, %leg, "the sound of a leg stays as it was");
        }
    }

    /// Tells the relay what is wanted of the leg's sound.
    fn tap(&mut self, leg: LegId) {
        let Some(opened) = self.audio(leg) else {
            return;
        };
        let tap = self.ears.wanted(leg);
        match self.relay.tap(opened.session, opened.key, tap) {
            Ok(()) => self.ears.tapped(opened.key, leg, tap),
            Err(error) => tracing::error!(%error, %leg, "a leg cannot be listened to"),
        }
    }

    fn play(&mut self, stream: Stream, key: SoundKey, sound: &Sound, now: Instant) {
        let Some(opened) = self.streams.get(&stream) else {
            return;
        };
        let played = self.relay.play(opened.session, opened.key, key, sound, now);
        if let Err(error) = played {
            tracing::error!(%error, leg = %stream.0, "a leg cannot be played a sound");
        }
    }

    fn press(&mut self, stream: Stream, digit: Digit, lasting: Duration, now: Instant) {
        let Some(opened) = self.streams.get(&stream) else {
            return;
        };
        let digit = media::Digit::Key(digit.to_char());
        let pressed = (self.relay).press(opened.session, opened.key, digit, lasting, now);
        if let Err(error) = pressed {
            self.refused.keys.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, leg = %stream.0, "a key was not passed on");
        }
    }

    fn stop_sound(&mut self, stream: Stream) {
        let Some(opened) = self.streams.get(&stream) else {
            return;
        };
        if let Err(error) = self.relay.stop_sound(opened.session, opened.key) {
            tracing::error!(%error, leg = %stream.0, "a sound cannot be stopped");
        }
    }

    fn close(&mut self, leg: LegId, now: Instant, io: &mut Io<MediaEvent>) {
        self.ears.closed(leg);
        let audio = self.audio_of(leg, now);
        self.routes
            .retain(|(source, listener), _| source.0 != leg && listener.0 != leg);
        let streams: Vec<_> = self
            .streams
            .range((leg, StreamIndex::MIN)..=(leg, StreamIndex::MAX))
            .map(|(stream, opened)| (*stream, *opened))
            .collect();
        for (stream, opened) in streams {
            self.streams.remove(&stream);
            self.rooms.remove(&stream);
            self.forget_member(opened.session, stream);
            let mut out = Out {
                ears: &self.ears,
                sockets: &self.sockets,
                io,
            };
            let closed = self
                .relay
                .close_leg(opened.session, opened.key, now, &mut out);
            if let Err(error) = closed {
                tracing::error!(%error, %leg, "a leg's media cannot be closed");
            }
        }
        io.event(MediaEvent::Closed { leg, audio });
    }

    /// How a leg sounds: its first stream of audio.
    fn audio_of(&self, leg: LegId, now: Instant) -> Option<LegAudio> {
        let mut streams = self
            .streams
            .range((leg, StreamIndex::MIN)..=(leg, StreamIndex::MAX));
        let (_, opened) = streams.find(|(_, opened)| opened.medium == Medium::Audio)?;
        let quality = self.relay.quality(opened.session, opened.key, now)?;
        Some(leg_audio(&quality))
    }

    /// Tells how all legs sound, if it is time.
    fn look(&mut self, now: Instant, io: &mut Io<MediaEvent>) {
        if !self.looks.is_due(self.streams.len(), now) {
            return;
        }
        let mut legs: Vec<_> = self.streams.keys().map(|(leg, _)| *leg).collect();
        legs.dedup();
        let figures = legs
            .into_iter()
            .filter_map(|leg| Some((leg, self.audio_of(leg, now)?)));
        io.event(MediaEvent::Figures(figures.collect()));
    }

    fn format(&self, format: &Format) -> media::Format {
        media::Format {
            payload_type: format.payload_type,
            codec: self.codec(format),
            clock_rate: format.clock_rate,
        }
    }

    fn codec(&self, format: &Format) -> media::Codec {
        use sip::sdp::Codec;
        match format.codec() {
            Some(Codec::Pcmu) => return media::Codec::Pcmu,
            Some(Codec::Pcma) => return media::Codec::Pcma,
            Some(Codec::G722) => return media::Codec::G722,
            Some(Codec::Opus) => return media::Codec::Opus,
            Some(Codec::TelephoneEvent) => return media::Codec::TelephoneEvent,
            Some(Codec::ComfortNoise) => return media::Codec::ComfortNoise,
            Some(Codec::H264 | Codec::Vp8) | None => {}
        }
        media::Codec::Other(self.codecs.number(format))
    }

    fn drain(&mut self, io: &mut Io<MediaEvent>) {
        loop {
            match self.relay.poll_output() {
                media::Output::Peer { port, remote } => self.peer(port, remote, io),
                media::Output::Release { port } => {
                    let socket = self.sockets.get_mut(port.0 as usize).and_then(Option::take);
                    if let Some(socket) = socket {
                        io.detach(socket);
                    }
                }
                media::Output::Event { session, event } => self.tell(session, event, io),
                media::Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    fn peer(&self, port: PortKey, remote: Option<SocketAddr>, io: &mut Io<MediaEvent>) {
        let Some(socket) = self.sockets.get(port.0 as usize).copied().flatten() else {
            return;
        };
        let done = match remote {
            Some(remote) => io.connect(socket, remote),
            None => io.disconnect(socket),
        };
        if let Err(error) = done {
            // Slower, not wrong: the relay still looks at each sender.
            tracing::debug!(%error, "a media socket cannot be bound to its peer");
        }
    }

    fn tell(&self, session: SessionId, event: media::Event, io: &mut Io<MediaEvent>) {
        match event {
            media::Event::Digit { leg, press, form } => {
                let digit = match press.digit {
                    media::Digit::Key(key) => Digit::from_char(key),
                    media::Digit::Flash => None,
                };
                if let (Some(leg), Some(digit)) = (self.leg_of(session, leg), digit) {
                    let form = match form {
                        media::KeyForm::Event => KeyForm::Event,
                        media::KeyForm::Tones => KeyForm::Tones,
                    };
                    io.event(MediaEvent::Digit { leg, digit, form });
                }
            }
            // One leg is enough: with it the conversation ends.
            media::Event::Silent { .. } => {
                let first = self.sessions.get(&session).and_then(BTreeSet::first);
                if let Some((leg, _)) = first {
                    io.event(MediaEvent::Silent { leg: *leg });
                }
            }
            media::Event::Started { leg, .. } => {
                let leg = self.leg_of(session, leg);
                tracing::debug!(?leg, "the first packet of a leg has come");
            }
            media::Event::SoundOver { leg, sound } => {
                if let Some(leg) = self.leg_of(session, leg) {
                    io.event(MediaEvent::SoundOver { leg, sound });
                }
            }
            media::Event::LegClosed { leg, quality } => {
                tracing::debug!(?leg, ?quality, "a leg's media have ended");
            }
        }
    }

    fn leg_of(&self, session: SessionId, key: LegKey) -> Option<LegId> {
        let mut members = self.sessions.get(&session)?.iter();
        let found = members.find(|stream| {
            self.streams
                .get(stream)
                .is_some_and(|opened| opened.key == key)
        });
        found.map(|(leg, _)| *leg)
    }
}

impl Handler for RelayThread {
    type Command = ThreadCommand;
    type Event = MediaEvent;

    fn packet(&mut self, arrival: Arrival, datagram: &mut Datagram<'_>, io: &mut Io<MediaEvent>) {
        let at = media::Arrival {
            port: PortKey(arrival.socket.index()),
            from: arrival.from,
            at: arrival.at,
        };
        let mut out = Out {
            ears: &self.ears,
            sockets: &self.sockets,
            io,
        };
        self.relay.receive(&at, datagram.bytes(), &mut out);
        self.refused.show(&self.relay.totals());
        self.drain(io);
    }

    fn command(&mut self, command: ThreadCommand, now: Instant, io: &mut Io<MediaEvent>) {
        match command {
            ThreadCommand::Open {
                leg,
                stream,
                medium,
                pair,
            } => self.open((leg, stream), medium, pair, now, io),
            ThreadCommand::Remote {
                leg,
                stream,
                remote,
            } => self.remote((leg, stream), &remote, now),
            ThreadCommand::Route { from, to, streams } => {
                // A route that is told again may have other streams.
                self.unroute(from, to, now);
                for (source, listener) in streams {
                    self.route((from, source), (to, listener), now);
                }
            }
            ThreadCommand::Unroute { from, to } => self.unroute(from, to, now),
            ThreadCommand::Mix {
                room,
                leg,
                stream,
                part,
            } => self.enter((leg, stream), room, part, now),
            ThreadCommand::Unmix { leg } => self.leave(leg),
            ThreadCommand::Tap { leg, to, wanted } => {
                self.ears.set(leg, to, wanted);
                self.tap(leg);
            }
            ThreadCommand::Play {
                leg,
                stream,
                key,
                sound,
            } => self.play((leg, stream), key, &sound, now),
            ThreadCommand::StopSound { leg, stream } => self.stop_sound((leg, stream)),
            ThreadCommand::Press {
                leg,
                stream,
                digit,
                lasting,
            } => self.press((leg, stream), digit, lasting, now),
            ThreadCommand::Treat { leg, treatment } => self.treat(leg, &treatment, now),
            ThreadCommand::Close { leg } => self.close(leg, now, io),
            ThreadCommand::Give { legs, to } => self.give(&legs, &to, io),
            ThreadCommand::Take { from } => self.take(&from, now, io),
        }
        self.drain(io);
    }

    fn timeout(&mut self, now: Instant, io: &mut Io<MediaEvent>) {
        let mut out = Out {
            ears: &self.ears,
            sockets: &self.sockets,
            io,
        };
        self.relay.handle_timeout(now, &mut out);
        self.drain(io);
        self.look(now, io);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.deadline, self.looks.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The relay's way out.
struct Out<'a> {
    ears: &'a Ears,
    sockets: &'a [Option<SocketKey>],
    io: &'a mut Io<MediaEvent>,
}

impl media::Sink for Out<'_> {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        if let Some(socket) = self.sockets.get(port.0 as usize).copied().flatten() {
            self.io.send(socket, to, packet);
        }
    }

    fn sound(&mut self, overheard: &Overheard<'_>) {
        self.ears.overheard(overheard);
    }
}
