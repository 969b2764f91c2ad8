//! Calls between a second str0m as the browser and plain RTP as the far end, over real sockets.

mod browser;
mod far;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use sip::sdp::{Description, Kind};
use str0m::media::{Direction, MediaKind, Mid};
use tokio::sync::mpsc;

use self::browser::Browser;
use self::far::{Far, heard, packet, place};
use crate::{Config, Edge, LegError, LegNews, News, Place};

fn edge() -> (Edge, mpsc::Receiver<LegNews>) {
    edge_of(100)
}

fn edge_of(most_legs: usize) -> (Edge, mpsc::Receiver<LegNews>) {
    let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Edge::start(Config {
        places: vec![Place {
            bind: local,
            told: local.ip(),
        }],
        stun: vec![local],
        most_legs,
    })
    .unwrap()
}

/// Orders are answered by the edge's thread, so that no runtime is needed.
fn now<T>(asked: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(asked)
}

fn mid(browser: &Browser, kind: MediaKind, sdp: &str) -> Mid {
    let mids = sdp.lines().filter_map(|line| line.strip_prefix("a=mid:"));
    let mut mids = mids.map(Mid::from);
    mids.find(|mid| {
        browser
            .rtc
            .media(*mid)
            .is_some_and(|media| media.kind() == kind)
    })
    .unwrap()
}

/// Sound goes both ways, with the numbers that each side has for it.
fn they_hear_each_other(browser: &mut Browser, audio: Mid, far: &Far, edge: SocketAddr) {
    let mut sequence = 100;
    far.audio
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    browser.packets.clear();
    let mut there = None;
    browser.until("sound both ways", |browser| {
        sequence += 1;
        let hello = packet(96, sequence, 7, b"from the door");
        far.audio.send_to(&hello, edge).unwrap();
        browser.write(audio, u64::from(sequence), b"from the browser");
        let mut buffer = [0; 1500];
        if let Ok((len, _)) = far.audio.recv_from(&mut buffer) {
            there = Some(buffer[..len].to_vec());
        }
        let here = browser.packets.iter();
        let mut here = here.filter(|packet| &*packet.payload == b"from the door");
        there.is_some() && here.next().is_some()
    });
    let there = there.unwrap();
    assert_eq!(there[1] & 0x7f, 96);
    assert!(there.ends_with(b"from the browser"));
}

#[test]
fn w1_a_browser_that_is_rung_hears_and_is_heard() {
    let ((edge, mut news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    assert!(rung.offer.contains("a=ice-lite"), "{}", rung.offer);
    let answer = browser.answer(&rung.offer);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a connection", |browser| browser.connected);
    they_hear_each_other(&mut browser, audio, &far, place(&rung.plain, &Kind::Audio));
    let told = LegNews {
        leg: rung.leg,
        news: News::Connected,
    };
    assert_eq!(news.blocking_recv(), Some(told));

    edge.end(rung.leg).unwrap();
    browser.until("the end", |browser| browser.closed);
    let after = now(edge.reoffer(rung.leg, Bytes::from(far.sound())));
    assert!(matches!(after, Err(LegError::Unknown)));
    assert_eq!(edge.figures().legs(), 0);
}

#[test]
fn w1_a_browser_calls() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let media = [
        (MediaKind::Audio, Direction::SendRecv),
        (MediaKind::Video, Direction::RecvOnly),
    ];
    let offer = browser.offer(&media);
    let taken = now(edge.call(offer)).unwrap();
    let plain = Description::parse(&taken.plain).unwrap();
    let picture = plain.live(&Kind::Video).unwrap();
    assert_eq!(picture.direction, sip::sdp::Direction::RecvOnly);
    browser.answered(&taken.answer);
    browser.until("a connection", |browser| browser.connected);
    now(edge.connect(taken.leg, Bytes::from(far.sound()))).unwrap();
    let audio = mid(&browser, MediaKind::Audio, &taken.answer);
    they_hear_each_other(&mut browser, audio, &far, place(&taken.plain, &Kind::Audio));
}

#[test]
fn w1_a_network_without_udp_is_crossed_by_tcp() {
    let ((edge, _news), far) = (edge(), Far::new());
    let mut browser = Browser::over_tcp(edge.told()[0]);
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let answer = browser.answer(&rung.offer);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a connection", |browser| browser.connected);
    they_hear_each_other(&mut browser, audio, &far, place(&rung.plain, &Kind::Audio));
    assert_eq!(edge.figures().tcp_accepted(), 1);
}

#[test]
fn w2_the_picture_of_a_door_is_seen_before_the_microphone_opens() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let rung = now(edge.ring(Bytes::from(far.sound_and_picture()))).unwrap();
    let offer = rung.offer.replacen("a=sendrecv", "a=sendonly", 1);
    let answer = browser.answer(&offer);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a connection", |browser| browser.connected);
    let video_at = place(&rung.plain, &Kind::Video);
    let mut sequence = 0;
    browser.until("a picture", |browser| {
        sequence += 1;
        let frame = packet(98, sequence, 9, b"\x10frame");
        far.video.send_to(&frame, video_at).unwrap();
        browser.packets.iter().any(|p| &*p.payload == b"\x10frame")
    });

    // She answers: the microphone opens.
    let offer = browser.offer_again(audio, Direction::SendRecv);
    let renewed = now(edge.renew(rung.leg, offer)).unwrap();
    browser.answered(&renewed.answer);
    they_hear_each_other(&mut browser, audio, &far, place(&rung.plain, &Kind::Audio));

    // A lost picture is asked for anew at the door.
    let video = mid(&browser, MediaKind::Video, &rung.offer);
    let mut api = browser.rtc.direct_api();
    let stream = api.stream_rx_by_mid(video, None).unwrap();
    stream.request_keyframe(str0m::media::KeyframeRequestKind::Pli);
    far.video
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    browser.until("a request for a picture", |_| {
        let mut buffer = [0; 1500];
        let received = far.video.recv_from(&mut buffer);
        received.is_ok_and(|(len, _)| buffer[..len].ends_with(&9u32.to_be_bytes()))
    });
}

#[test]
fn c8_a_browser_comes_back_by_another_network() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let answer = browser.answer(&rung.offer);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a connection", |browser| browser.connected);
    let plain = place(&rung.plain, &Kind::Audio);
    they_hear_each_other(&mut browser, audio, &far, plain);

    let password = |sdp: &str| -> String {
        let mut lines = sdp.lines();
        lines
            .find(|line| line.starts_with("a=ice-pwd:"))
            .unwrap()
            .to_owned()
    };
    let offer = browser.offer_restart();
    let renewed = now(edge.renew(rung.leg, offer)).unwrap();
    assert_ne!(password(&renewed.answer), password(&rung.offer));
    browser.answered(&renewed.answer);
    browser.move_elsewhere();
    they_hear_each_other(&mut browser, audio, &far, plain);
}

#[test]
fn a_browser_with_a_wrong_password_does_not_get_in() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let lines = rung
        .offer
        .lines()
        .map(|line| match line.starts_with("a=ice-pwd:") {
            true => "a=ice-pwd:guessedguessedguessedguessed".to_owned(),
            false => line.to_owned(),
        });
    let guessed: String = lines.flat_map(|line| [line, "\r\n".to_owned()]).collect();
    let answer = browser.answer(&guessed);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a refusal", |_| edge.figures().wrong_passwords() > 3);
    browser.for_turns(20);
    assert!(!browser.connected);
    assert_eq!(edge.figures().connected(), 0);
}

#[test]
fn a_flood_of_checks_costs_little_and_keeps_nobody_out() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::over_udp());
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let name = rung
        .offer
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    let name = name.unwrap().to_owned();

    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    check.extend([5; 12]);
    let username = format!("{name}:guess");
    check.extend([0, 6]);
    check.extend((username.len() as u16).to_be_bytes());
    check.extend(username.bytes());
    check.resize(check.len().next_multiple_of(4), 0);
    check.extend([0, 8, 0, 20]);
    check.extend([0; 20]);
    let len = (check.len() - 20) as u16;
    check[2..4].copy_from_slice(&len.to_be_bytes());
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..5000 {
        flood.send_to(&check, edge.told()[0]).unwrap();
        flood
            .send_to(b"\x16\xfe\xfd nobody", edge.told()[0])
            .unwrap();
    }

    let answer = browser.answer(&rung.offer);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    now(edge.answered(rung.leg, answer)).unwrap();
    browser.until("a connection", |browser| browser.connected);
    they_hear_each_other(&mut browser, audio, &far, place(&rung.plain, &Kind::Audio));
    assert!(edge.figures().checks_limited() > 0);
    assert!(edge.figures().strays() > 0);
}

#[test]
fn people_are_told_their_address() {
    let (edge, _news) = edge();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut question = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    question.extend([5; 12]);
    for at in [edge.stun()[0], edge.told()[0]] {
        socket.send_to(&question, at).unwrap();
        let mut buffer = [0; 100];
        let (len, _) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(len, 32);
        let port = u16::from_be_bytes([buffer[26], buffer[27]]) ^ 0x2112;
        assert_eq!(port, socket.local_addr().unwrap().port());
    }
}

#[test]
fn there_are_only_so_many_legs_and_what_is_not_understood_is_none() {
    let ((edge, _news), far) = (edge_of(1), Far::new());
    for broken in [
        "",
        "v=0\r\n",
        "m=audio 1 UDP/TLS/RTP/SAVPF 111\r\n",
        "\u{0}",
    ] {
        let error = now(edge.call(broken.to_owned())).unwrap_err();
        assert!(matches!(error, LegError::Browser(_)), "{error}");
    }
    let long = "a".repeat(100_000);
    assert!(matches!(now(edge.call(long)), Err(LegError::TooLong)));
    let mut browser = Browser::over_udp();
    let silent = browser.offer(&[(MediaKind::Video, Direction::RecvOnly)]);
    assert!(matches!(now(edge.call(silent)), Err(LegError::NoSound)));

    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let second = now(edge.ring(Bytes::from(far.sound())));
    assert!(matches!(second, Err(LegError::Full)));
    edge.end(rung.leg).unwrap();
    now(edge.ring(Bytes::from(far.sound()))).unwrap();
}

#[test]
fn a_connection_that_speaks_something_else_is_closed() {
    use std::io::{Read, Write};
    let (edge, _news) = edge();
    let mut stream = std::net::TcpStream::connect(edge.told()[0]).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // Closed, or reset because not all was read.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert_eq!(edge.figures().tcp_refused(), 1);
}

#[test]
fn digits_of_a_browser_pass_as_they_are() {
    let ((edge, _news), far, mut browser) = (edge(), Far::new(), Browser::with_events());
    let rung = now(edge.ring(Bytes::from(far.sound()))).unwrap();
    let answer = browser.answer(&rung.offer);
    assert!(answer.contains("telephone-event/48000"), "{answer}");
    now(edge.answered(rung.leg, answer.clone())).unwrap();
    browser.until("a connection", |browser| browser.connected);
    let audio = mid(&browser, MediaKind::Audio, &answer);
    let five_pressed = [5, 10, 0, 160];
    browser.write_event(audio, 1, &five_pressed);
    browser.for_turns(2);
    assert_eq!(heard(&far.audio), (97, five_pressed.to_vec()));
}
