//! A browser of its own: another `Rtc` of str0m, without ICE-lite, with blocking sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::crypto;

/// Longer than anything here takes; turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

pub(super) struct Browser {
    pub(super) rtc: Rtc,
    wire: Wire,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    pub(super) connected: bool,
    pub(super) closed: bool,
    pub(super) packets: Vec<RtpPacket>,
    pub(super) asked_for_picture: usize,
    pending: Option<SdpPendingOffer>,
}

impl Browser {
    pub(super) fn over_udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let candidate = Candidate::host(local, "udp").unwrap();
        Self::new(Wire::Udp(socket), local, None, candidate)
    }

    pub(super) fn over_tcp(edge: SocketAddr) -> Self {
        let stream = TcpStream::connect(edge).unwrap();
        let local = stream.local_addr().unwrap();
        let candidate = Candidate::builder().tcp().host(local);
        let candidate = candidate.tcptype(TcpType::Active).build().unwrap();
        Self::new(Wire::Tcp(stream, Vec::new()), local, Some(edge), candidate)
    }

    /// As browsers have them: a payload type for DTMF beside Opus.
    pub(super) fn with_events() -> Self {
        let mut browser = Self::over_udp();
        let events = (
            Codec::Tele,
            Frequency::FORTY_EIGHT_KHZ,
            FormatParams::default(),
        );
        let mut config = config();
        let (codec, rate, format) = events;
        let number = Pt::new_with_value(110);
        let codecs = config.codec_config();
        codecs.add_config(number, None, codec, rate, None, format);
        browser.rtc = config.build(Instant::now());
        let candidate = Candidate::host(browser.local, "udp").unwrap();
        browser.rtc.add_local_candidate(candidate);
        browser
    }

    fn new(wire: Wire, local: SocketAddr, peer: Option<SocketAddr>, candidate: Candidate) -> Self {
        let mut rtc = config().build(Instant::now());
        rtc.add_local_candidate(candidate);
        Self {
            rtc,
            wire,
            local,
            peer,
            connected: false,
            closed: false,
            packets: Vec::new(),
            asked_for_picture: 0,
            pending: None,
        }
    }

    /// The answer to an offer, with the directions that the browser wants.
    pub(super) fn answer(&mut self, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(&self.reachable(offer)).unwrap();
        let answer = self.rtc.sdp_api().accept_offer(offer).unwrap();
        answer.to_sdp_string()
    }

    pub(super) fn offer(&mut self, media: &[(MediaKind, Direction)]) -> String {
        let mut change = self.rtc.sdp_api();
        for (kind, direction) in media {
            change.add_media(*kind, *direction, None, None, None);
        }
        let (offer, pending) = change.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(super) fn offer_again(&mut self, mid: Mid, direction: Direction) -> String {
        let mut change = self.rtc.sdp_api();
        change.set_direction(mid, direction);
        let (offer, pending) = change.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(super) fn offer_restart(&mut self) -> String {
        let mut change = self.rtc.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(super) fn answered(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(&self.reachable(answer)).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// A browser that has no UDP knows only the candidate of TCP.
    fn reachable(&self, sdp: &str) -> String {
        let unreachable = match self.wire {
            Wire::Udp(_) => " tcp ",
            Wire::Tcp(..) => " udp ",
        };
        let lines = sdp.lines();
        let lines = lines.filter(|line| {
            !(line.starts_with("a=candidate:") && line.to_ascii_lowercase().contains(unreachable))
        });
        lines.flat_map(|line| [line, "\r\n"]).collect()
    }

    pub(super) fn write(&mut self, mid: Mid, sequence: u64, payload: &[u8]) {
        let is_audio = self.rtc.media(mid).unwrap().kind() == MediaKind::Audio;
        let codecs = self.rtc.codec_config().params().iter();
        let mut codecs = codecs.filter(|params| match is_audio {
            true => params.spec().codec == Codec::Opus,
            false => params.spec().codec == Codec::Vp8,
        });
        let number = codecs.next().unwrap().pt();
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        let write = RtpWrite::new(
            number,
            sequence.into(),
            (sequence * 960) as u32,
            Instant::now(),
            payload.to_vec(),
        );
        stream.write_rtp(write.marker(!is_audio).nackable(!is_audio));
        self.rtc
            .handle_input(Input::Timeout(Instant::now()))
            .unwrap();
    }

    pub(super) fn write_event(&mut self, mid: Mid, sequence: u64, payload: &[u8]) {
        let mut codecs = self.rtc.codec_config().params().iter();
        let events = codecs.find(|params| params.spec().codec == Codec::Tele);
        let number = events.unwrap().pt();
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        let at = Instant::now();
        stream.write_rtp(RtpWrite::new(
            number,
            sequence.into(),
            0,
            at,
            payload.to_vec(),
        ));
        self.rtc.handle_input(Input::Timeout(at)).unwrap();
    }

    /// Another address; the old one is gone.
    pub(super) fn move_elsewhere(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.local = socket.local_addr().unwrap();
        self.wire = Wire::Udp(socket);
        let candidate = Candidate::host(self.local, "udp").unwrap();
        self.rtc.add_local_candidate(candidate);
    }

    /// Lives until `done`, or fails.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "{what} did not come about");
            self.turn();
        }
    }

    /// Lives for a while; for what must not happen.
    pub(super) fn for_turns(&mut self, turns: usize) {
        (0..turns).for_each(|_| self.turn());
    }

    fn turn(&mut self) {
        let deadline = self.drain();
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = left.clamp(Duration::from_millis(1), Duration::from_millis(20));
        let mut buffer = [0; 4096];
        let received = match &mut self.wire {
            Wire::Udp(socket) => {
                socket.set_read_timeout(Some(wait)).unwrap();
                socket.recv_from(&mut buffer).ok()
            }
            Wire::Tcp(stream, received) => {
                stream.set_read_timeout(Some(wait)).unwrap();
                match stream.read(&mut buffer) {
                    Ok(len) => received.extend_from_slice(&buffer[..len]),
                    Err(error) => assert!(
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                        "{error}"
                    ),
                }
                let len = received
                    .split_first_chunk::<2>()
                    .map(|(head, _)| usize::from(u16::from_be_bytes(*head)));
                len.filter(|len| received.len() >= 2 + len).map(|len| {
                    buffer[..len].copy_from_slice(&received[2..2 + len]);
                    received.drain(..2 + len);
                    (len, self.peer.unwrap())
                })
            }
        };
        let now = Instant::now();
        if let Some((len, from)) = received {
            let proto = match self.wire {
                Wire::Udp(_) => Protocol::Udp,
                Wire::Tcp(..) => Protocol::Tcp,
            };
            let receive = Receive::new(proto, from, self.local, &buffer[..len]).unwrap();
            self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
        } else {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
        }
    }

    pub(super) fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(transmit) => match &mut self.wire {
                    Wire::Udp(socket) => {
                        let _ = socket.send_to(&transmit.contents, transmit.destination);
                    }
                    Wire::Tcp(stream, _) => {
                        let len = transmit.contents.len() as u16;
                        // The edge may have closed it, which the test looks for elsewhere.
                        let _ = stream.write_all(&len.to_be_bytes());
                        let _ = stream.write_all(&transmit.contents);
                    }
                },
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => self.packets.push(packet),
                Output::Event(Event::KeyframeRequest(_)) => self.asked_for_picture += 1,
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(_) => {}
            }
        }
    }
}

fn config() -> RtcConfig {
    RtcConfig::new()
        .set_crypto_provider(crypto::provider())
        .set_dtls_cert(crypto::certificate().unwrap())
        .set_rtp_mode(true)
}
