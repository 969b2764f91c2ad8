//! One browser's leg: its `Rtc`, and a plain stream for each of its own.
//!
//! Owns sockets of loopback but no clock and no wires towards the browser: what is to be sent there
//! comes out of `drain`. Invariant: after each change the `Rtc` is drained until it names a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::rtcp::{Compound, FIR, FeedbackKind, PLI, Packet};
use media::rtp;
use ring::rand::{SecureRandom, SystemRandom};
use sip::sdp::{Description, Direction, Kind, Stream};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Transmit};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig};
use thiserror::Error;

use crate::figures::{Figures, add};
use crate::plain::{Carried, Outgoing, Track};
use crate::purse::Purse;

/// Streams of one leg: sound and a picture.
const MOST_TRACKS: usize = 2;
/// Candidates of one browser.
const MOST_CANDIDATES: usize = 32;
/// Description of a browser, in octets; they have some ten thousand.
const LONGEST: usize = 64 * 1024;
/// Checks of ICE from unknown addresses that a leg looks at in a second: a browser makes some tens.
const CHECKS: u32 = 100;
/// How long a browser may be away before its leg ends.
pub(crate) const AWAY: Duration = Duration::from_secs(60);
/// Outputs of one drain; more would be a loop.
const MOST_OUTPUTS: usize = 10_000;

/// Why a leg is not made, or not changed.
#[derive(Debug, Error)]
pub enum LegError {
    #[error("there are as many calls of browsers as this node carries; try again later")]
    Full,
    #[error("calls of browsers are too busy; try again in a moment")]
    Busy,
    #[error("there is no such leg; it has ended")]
    Unknown,
    #[error("the description is longer than {LONGEST} octets")]
    TooLong,
    #[error("the browser's description is not understood: {0}")]
    Browser(String),
    #[error("the far end's description is not understood: {0}")]
    Far(#[from] sip::sdp::DescriptionError),
    #[error("the description has no sound; offer audio with Opus")]
    NoSound,
    #[error("an answer comes to no offer; renew the call with an offer")]
    NoOffer,
    #[error("the candidate is not understood, or there are too many")]
    Candidate,
    #[error("no socket of loopback can be bound: {0}")]
    Socket(#[from] std::io::Error),
}

/// What legs are made of.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) crypto: Arc<CryptoProvider>,
    pub(crate) certificate: DtlsCert,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) random: SystemRandom,
}

/// What a leg says when it is drained.
#[derive(Debug)]
pub(crate) enum Said {
    Transmit(Transmit),
    Connected,
    /// The browser does not answer for now.
    Silent,
    /// It does again.
    Back,
    Over,
}

#[derive(Debug)]
pub(crate) struct Leg {
    rtc: Rtc,
    pub(crate) tracks: Vec<Track>,
    pending: Option<SdpPendingOffer>,
    credentials: IceCreds,
    candidates: usize,
    plain_version: u64,
    plain_id: u64,
    /// When it wants to be asked next.
    deadline: Instant,
    connected: bool,
    /// Since when its browser has not been heard.
    pub(crate) away: Option<Instant>,
    /// Where its browser was heard.
    pub(crate) sources: Vec<(Protocol, SocketAddr)>,
    /// Checks from new addresses that are looked at.
    pub(crate) checks: Purse,
    over: bool,
}

impl Leg {
    fn new(making: &Making, video: &[Carried], now: Instant) -> Result<Self, LegError> {
        let credentials = making.credentials();
        let mut config = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&making.crypto))
            .set_dtls_cert(making.certificate.clone())
            .set_dtls_version(DtlsVersion::Auto)
            .set_local_ice_credentials(credentials.clone())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .clear_codecs();
        let codecs = config.codec_config();
        let mut add = |number, again: Option<u8>, codec, rate, channels, format| {
            let again = again.map(Pt::new_with_value);
            codecs.add_config(
                Pt::new_with_value(number),
                again,
                codec,
                rate,
                channels,
                format,
            );
        };
        let opus = FormatParams {
            min_p_time: Some(10),
            use_inband_fec: Some(true),
            use_dtx: Some(true),
            ..FormatParams::default()
        };
        add(
            111,
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            opus,
        );
        let events = FormatParams::default();
        add(
            110,
            None,
            Codec::Tele,
            Frequency::FORTY_EIGHT_KHZ,
            None,
            events,
        );
        for codec in video {
            match codec {
                Carried::H264 => {
                    let format = FormatParams {
                        level_asymmetry_allowed: Some(true),
                        packetization_mode: Some(1),
                        profile_level_id: Some(0x42_e01f),
                        ..FormatParams::default()
                    };
                    add(
                        102,
                        Some(103),
                        Codec::H264,
                        Frequency::NINETY_KHZ,
                        None,
                        format,
                    );
                }
                Carried::Vp8 => {
                    let format = FormatParams::default();
                    add(
                        96,
                        Some(97),
                        Codec::Vp8,
                        Frequency::NINETY_KHZ,
                        None,
                        format,
                    );
                }
                Carried::Opus | Carried::Events => {}
            }
        }
        let mut rtc = config.build(now);
        for candidate in &making.candidates {
            rtc.add_local_candidate(candidate.clone());
        }
        Ok(Self {
            rtc,
            tracks: Vec::new(),
            pending: None,
            credentials,
            candidates: 0,
            plain_version: 0,
            plain_id: making.number(),
            deadline: now,
            connected: false,
            away: Some(now),
            sources: Vec::new(),
            checks: Purse::new(CHECKS, now),
            over: false,
        })
    }

    /// A leg that offers the browser what the far end offers. Gives the offer for the browser and
    /// the answer for the far end.
    pub(crate) fn ringing(
        making: &Making,
        plain: &[u8],
        now: Instant,
    ) -> Result<(Self, String, bytes::Bytes), LegError> {
        let offered = Description::parse(plain)?;
        let sound = offered.live(&Kind::Audio).ok_or(LegError::NoSound)?;
        let picture = offered.live(&Kind::Video);
        let pictures: Vec<Carried> = picture.map(carried).unwrap_or_default();
        let mut leg = Self::new(making, &pictures, now)?;
        let mut change = leg.rtc.sdp_api();
        let mut tracks = Vec::with_capacity(MOST_TRACKS);
        let mut offer = |kind: MediaKind, stream: &Stream| -> Result<(), LegError> {
            let towards = towards_browser(stream.direction);
            let mid = change.add_media(kind, towards, Some("call".to_owned()), None, None);
            let mut track = Track::bind(mid, stream.kind.clone())?;
            track.learn(Some(stream));
            tracks.push(track);
            Ok(())
        };
        offer(MediaKind::Audio, sound)?;
        if let Some(picture) = picture.filter(|_| !pictures.is_empty()) {
            offer(MediaKind::Video, picture)?;
        }
        let (sdp, pending) = change.apply().ok_or(LegError::NoSound)?;
        leg.tracks = tracks;
        leg.pending = Some(pending);
        let answer = leg.plain_answer(&offered);
        Ok((leg, sdp.to_sdp_string(), answer))
    }

    /// A leg that begins with what the browser offers. Gives the answer for it.
    pub(crate) fn calling(
        making: &Making,
        sdp: &str,
        now: Instant,
    ) -> Result<(Self, String), LegError> {
        let mut leg = Self::new(making, &[Carried::H264, Carried::Vp8], now)?;
        let answer = leg.renew(making, sdp)?;
        match leg.tracks.iter().any(|track| track.kind == Kind::Audio) {
            true => Ok((leg, answer)),
            false => Err(LegError::NoSound),
        }
    }

    /// The browser's answer to what was offered.
    pub(crate) fn answered(&mut self, sdp: &str) -> Result<(), LegError> {
        let pending = self.pending.take().ok_or(LegError::NoOffer)?;
        let answer = SdpAnswer::from_sdp_string(checked(sdp)?).map_err(browser)?;
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .map_err(browser)
    }

    /// Another offer of the browser's: it opens its microphone, or comes back by another network.
    pub(crate) fn renew(&mut self, making: &Making, sdp: &str) -> Result<String, LegError> {
        let offer = SdpOffer::from_sdp_string(checked(sdp)?).map_err(browser)?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(browser)?;
        self.pending = None;
        let mut text = answer.to_sdp_string();
        self.find_tracks(&text)?;
        let chosen = self.rtc.direct_api().local_ice_credentials();
        if chosen != self.credentials {
            // An ICE restart. The password has to be hard to guess (RFC 8445 5.3), and what str0m
            // chooses for a restart is not: we choose.
            let ours = making.credentials();
            self.rtc
                .direct_api()
                .set_local_ice_credentials(ours.clone());
            text = text
                .replace(&chosen.ufrag, &ours.ufrag)
                .replace(&chosen.pass, &ours.pass);
            self.credentials = ours;
        }
        Ok(text)
    }

    /// Streams that are new in our answer; one of each kind is carried.
    fn find_tracks(&mut self, answer: &str) -> Result<(), LegError> {
        let mids = answer
            .lines()
            .filter_map(|line| line.strip_prefix("a=mid:"));
        for mid in mids.map(Mid::from) {
            let kind = match self.rtc.media(mid).map(|media| media.kind()) {
                Some(MediaKind::Audio) => Kind::Audio,
                Some(MediaKind::Video) => Kind::Video,
                None => continue,
            };
            if self.tracks.iter().all(|track| track.kind != kind) {
                self.tracks.push(Track::bind(mid, kind)?);
            }
        }
        Ok(())
    }

    /// What the far end answered, or says anew.
    pub(crate) fn far_end(&mut self, plain: &[u8]) -> Result<(), LegError> {
        let said = Description::parse(plain)?;
        for track in &mut self.tracks {
            track.learn(said.live(&track.kind));
        }
        Ok(())
    }

    /// The far end offers anew: to hold, or to hand the call on.
    pub(crate) fn far_offer(&mut self, plain: &[u8]) -> Result<bytes::Bytes, LegError> {
        let offered = Description::parse(plain)?;
        for track in &mut self.tracks {
            track.learn(offered.live(&track.kind));
        }
        Ok(self.plain_answer(&offered))
    }

    pub(crate) fn candidate(&mut self, line: &str) -> Result<(), LegError> {
        let known = Candidate::from_sdp_string(line).map_err(|_| LegError::Candidate)?;
        if self.candidates >= MOST_CANDIDATES {
            return Err(LegError::Candidate);
        }
        self.candidates += 1;
        self.rtc.add_remote_candidate(known);
        Ok(())
    }

    /// Our name in its checks of ICE.
    pub(crate) fn name(&self) -> &str {
        &self.credentials.ufrag
    }

    pub(crate) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.take(Input::Timeout(now));
    }

    /// When its thread has to look after it.
    pub(crate) fn wakes_at(&self) -> Instant {
        match self.away {
            Some(since) => self.deadline.min(since + AWAY),
            None => self.deadline,
        }
    }

    pub(crate) fn take(&mut self, input: Input<'_>) {
        if let Err(error) = self.rtc.handle_input(input) {
            // What one datagram breaks must not end a call: the next one is looked at again.
            tracing::debug!(%error, "a leg of a browser did not take its input");
            self.over |= !self.rtc.is_alive();
        }
    }

    pub(crate) fn close(&mut self) {
        if let Err(error) = self.rtc.close() {
            tracing::debug!(%error, "a leg of a browser did not close in order");
        }
    }

    /// A datagram of the far end's, for stream number `track`.
    pub(crate) fn carry_to_browser(
        &mut self,
        track: usize,
        datagram: &[u8],
        from: SocketAddr,
        figures: &Figures,
    ) {
        if rtp::kind(datagram) == Ok(rtp::Kind::Rtcp) {
            return self.report(track, datagram);
        }
        let Some(track) = self.tracks.get_mut(track) else {
            return;
        };
        let Some(packet) = track.read(datagram, from) else {
            return add(&figures.not_carried);
        };
        let mid = track.mid;
        let Some(number) = number_of(&self.rtc, packet.codec) else {
            return add(&figures.not_carried);
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else {
            return add(&figures.not_carried);
        };
        let is_picture = matches!(packet.codec, Carried::H264 | Carried::Vp8);
        let sequence = packet.sequence.into();
        let write = RtpWrite::new(
            number,
            sequence,
            packet.timestamp,
            Instant::now(),
            packet.payload,
        )
        .marker(packet.marker)
        .nackable(is_picture);
        stream.write_rtp(write);
        add(&figures.to_browsers);
    }

    /// Asks the leg until it has nothing more to say.
    pub(crate) fn drain(&mut self, figures: &Figures, mut say: impl FnMut(Said)) {
        for _ in 0..MOST_OUTPUTS {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    if !self.rtc.is_alive() || self.over {
                        say(Said::Over);
                    }
                    return;
                }
                Ok(Output::Transmit(transmit)) => say(Said::Transmit(transmit)),
                Ok(Output::Event(event)) => self.event(event, figures, &mut say),
                Err(error) => {
                    tracing::debug!(%error, "a leg of a browser cannot go on");
                    return say(Said::Over);
                }
            }
        }
        say(Said::Over);
    }

    fn event(&mut self, event: Event, figures: &Figures, say: &mut impl FnMut(Said)) {
        match event {
            Event::Connected => {
                self.connected = true;
                add(&figures.connected);
                say(Said::Connected);
            }
            Event::IceConnectionStateChange(state) => match state {
                IceConnectionState::Disconnected => say(Said::Silent),
                IceConnectionState::Connected | IceConnectionState::Completed if self.connected => {
                    say(Said::Back);
                }
                _ => {}
            },
            Event::RtpPacket(packet) => self.carry_to_far(&packet, figures),
            Event::KeyframeRequest(request) => {
                let track = self.tracks.iter().find(|track| track.mid == request.mid);
                if let Some(Err(_)) = track.map(Track::ask_for_picture) {
                    add(&figures.dropped);
                }
            }
            Event::Closed => self.over = true,
            // Data channels are not negotiated, and the rest are figures that nobody asked for.
            _ => {}
        }
    }

    fn carry_to_far(&mut self, packet: &RtpPacket, figures: &Figures) {
        let Some(codec) = codec_of(&self.rtc, packet.header.payload_type) else {
            return add(&figures.not_carried);
        };
        let is_picture = matches!(codec, Carried::H264 | Carried::Vp8);
        let kind = if is_picture { Kind::Video } else { Kind::Audio };
        let Some(track) = self.tracks.iter_mut().find(|track| track.kind == kind) else {
            return add(&figures.not_carried);
        };
        let outgoing = Outgoing {
            marker: packet.header.marker,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            ssrc: *packet.header.ssrc,
            payload: &packet.payload,
        };
        match track.send(codec, outgoing) {
            Ok(true) => add(&figures.from_browsers),
            // Nobody is there yet.
            Ok(false) => {}
            Err(_) => add(&figures.dropped),
        }
    }

    /// RTCP of the far end's: that it lost a part of a picture is passed on (RFC 4585 6.3.1), the
    /// rest says how loopback is.
    fn report(&mut self, track: usize, datagram: &[u8]) {
        let Ok(compound) = Compound::parse(datagram) else {
            return;
        };
        let wants_picture = compound.packets().any(|packet| {
            let Packet::Feedback { kind, format, .. } = packet else {
                return false;
            };
            kind == FeedbackKind::Payload && (format == PLI || format == FIR)
        });
        let Some(mid) = self.tracks.get(track).map(|track| track.mid) else {
            return;
        };
        let mut api = self.rtc.direct_api();
        if let (true, Some(stream)) = (wants_picture, api.stream_rx_by_mid(mid, None)) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// What the browser sends and wants, as an offer for the far end.
    pub(crate) fn plain_offer(&mut self) -> bytes::Bytes {
        let streams = self.tracks.iter();
        let streams = streams.map(|track| track.described(None, self.of_browser(track)));
        self.written(streams.collect())
    }

    fn plain_answer(&mut self, offered: &Description) -> bytes::Bytes {
        let mut taken = Vec::new();
        let streams = offered.streams.iter().map(|stream| {
            let track = self.tracks.iter().find(|track| track.kind == stream.kind);
            match track.filter(|_| stream.rtp.is_some() && !taken.contains(&&stream.kind)) {
                None => stream.refused(),
                Some(track) => {
                    taken.push(&stream.kind);
                    track.described(Some(stream), stream.direction.mirrored())
                }
            }
        });
        let streams = streams.collect();
        self.written(streams)
    }

    fn written(&mut self, streams: Vec<Stream>) -> bytes::Bytes {
        self.plain_version += 1;
        let loopback = std::net::Ipv4Addr::LOCALHOST.into();
        Description { streams }.write(self.plain_id, self.plain_version, loopback)
    }

    /// What the browser does with a stream, in its own words.
    fn of_browser(&self, track: &Track) -> Direction {
        use str0m::media::Direction as Ours;
        let ours = self.rtc.media(track.mid).map(|media| media.direction());
        match ours {
            Some(Ours::SendRecv) => Direction::SendRecv,
            Some(Ours::SendOnly) => Direction::RecvOnly,
            Some(Ours::RecvOnly) => Direction::SendOnly,
            Some(Ours::Inactive) | None => Direction::Inactive,
        }
    }
}

impl Making {
    /// A name and a password that nobody guesses (RFC 8445 5.3).
    fn credentials(&self) -> IceCreds {
        IceCreds {
            ufrag: self.letters::<8>(),
            pass: self.letters::<24>(),
        }
    }

    fn letters<const LEN: usize>(&self) -> String {
        // Two letters an octet, each of four bits.
        const LETTERS: &[u8; 16] = b"abcdefghijkmnpqr";
        let octets = self.octets::<LEN>();
        let letter = |nibble: u8| char::from(LETTERS[usize::from(nibble & 15)]);
        let pairs = octets.iter();
        pairs
            .flat_map(|octet| [letter(octet >> 4), letter(*octet)])
            .collect()
    }

    fn number(&self) -> u64 {
        // Below 2^63: some take the id of a session for a signed number.
        u64::from_be_bytes(self.octets()) >> 1
    }

    fn octets<const LEN: usize>(&self) -> [u8; LEN] {
        let mut octets = [0; LEN];
        self.random
            .fill(&mut octets)
            .expect("the system has random numbers");
        octets
    }
}

fn checked(sdp: &str) -> Result<&str, LegError> {
    match sdp.len() {
        0..=LONGEST => Ok(sdp),
        _ => Err(LegError::TooLong),
    }
}

fn browser(error: impl std::fmt::Display) -> LegError {
    LegError::Browser(error.to_string())
}

fn carried(stream: &Stream) -> Vec<Carried> {
    let all = Carried::all_of(&stream.kind).iter().copied();
    all.filter(|codec| {
        let mut formats = stream.formats.iter();
        formats.any(|format| Carried::of(format) == Some(*codec))
    })
    .collect()
}

/// What the far end sends, we send.
fn towards_browser(direction: Direction) -> str0m::media::Direction {
    match direction {
        Direction::SendRecv => str0m::media::Direction::SendRecv,
        Direction::SendOnly => str0m::media::Direction::SendOnly,
        Direction::RecvOnly => str0m::media::Direction::RecvOnly,
        Direction::Inactive => str0m::media::Direction::Inactive,
    }
}

fn number_of(rtc: &Rtc, carried: Carried) -> Option<Pt> {
    let params = rtc.codec_config().params().iter();
    params
        .filter(|params| params.spec().codec == browsers(carried))
        .find(|params| {
            carried != Carried::Events || params.spec().clock_rate == Frequency::FORTY_EIGHT_KHZ
        })
        .map(|params| params.pt())
}

fn codec_of(rtc: &Rtc, number: Pt) -> Option<Carried> {
    let params = rtc.codec_config().params().iter();
    let found = params.clone().find(|params| params.pt() == number)?;
    let all = [Carried::Opus, Carried::Events, Carried::H264, Carried::Vp8];
    all.into_iter()
        .find(|carried| browsers(*carried) == found.spec().codec)
}

fn browsers(carried: Carried) -> Codec {
    match carried {
        Carried::Opus => Codec::Opus,
        Carried::Events => Codec::Tele,
        Carried::H264 => Codec::H264,
        Carried::Vp8 => Codec::Vp8,
    }
}
