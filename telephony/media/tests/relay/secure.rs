//! Legs with keys: what passes between them, and what nobody gets through (SRTP, SRTCP).

use media::codec::{AudioCodec, Encoder, opus};
use media::rtcp::{Compound, Packet};
use media::srtp::{MAX_GROWTH, MasterKey, Receiver, Sender, Suite};
use media::{
    Codec, Direction, Event, LatchPolicy, LegKey, LegSetup, LegUpdate, Network, Protection, Reason,
    SessionId,
};

use crate::bench::{
    Bench, CALL, Sent, audio, format, host, peer, remote, rtcp, rtcp_port, rtp_port, setup,
};
use crate::speaker::{Speaker, station};

/// The far end of a secure leg.
struct Telephone {
    leg: u64,
    sender: Sender,
    receiver: Receiver,
}

fn key(suite: Suite, fill: u8) -> MasterKey {
    MasterKey::new(suite, &vec![fill; suite.keying_len()]).expect("the length is right")
}

/// The keys of a leg, as we see them; each leg and each number has its own.
fn keys(leg: u64, suite: Suite, number: u8) -> Protection {
    let fill = leg as u8 * 16 + number;
    Protection::Secure {
        ours: key(suite, fill),
        theirs: key(suite, fill + 100),
    }
}

fn secured(leg: u64, suite: Suite) -> LegSetup {
    LegSetup {
        protection: keys(leg, suite, 1),
        ..setup(leg)
    }
}

impl Telephone {
    fn new(leg: u64, suite: Suite) -> Telephone {
        Telephone::with_key(leg, suite, 1)
    }

    fn with_key(leg: u64, suite: Suite, number: u8) -> Telephone {
        let Protection::Secure { ours, theirs } = keys(leg, suite, number) else {
            unreachable!("keys are keys");
        };
        Telephone {
            leg,
            sender: Sender::new(theirs),
            receiver: Receiver::new(ours),
        }
    }

    fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + MAX_GROWTH, 0);
        let len = match packet[1] {
            200..=206 => self.sender.protect_rtcp(&mut buffer, packet.len()),
            _ => self.sender.protect_rtp(&mut buffer, packet.len()),
        };
        buffer.truncate(len.expect("a new packet"));
        buffer
    }

    fn says(&mut self, bench: &mut Bench, packet: &[u8]) -> Vec<Sent> {
        let packet = self.protect(packet);
        bench.receive(self.leg, &packet)
    }

    /// What is in the one packet that left, which must be for this telephone.
    fn hears(&mut self, mut sent: Vec<Sent>) -> Vec<u8> {
        assert_eq!(sent.len(), 1, "{sent:?}");
        self.open(sent.remove(0))
    }

    fn open(&mut self, mut sent: Sent) -> Vec<u8> {
        assert_eq!(sent.to.ip(), host(self.leg));
        let len = match sent.packet[1] {
            200..=206 => self.receiver.unprotect_rtcp(&mut sent.packet),
            _ => self.receiver.unprotect_rtp(&mut sent.packet),
        };
        sent.packet
            .truncate(len.expect("protected by the leg's own key"));
        sent.packet
    }
}

/// A call between the secure leg 1 and the plain leg 2.
fn call(suite: Suite) -> (Bench, Telephone) {
    let mut bench = Bench::new();
    bench.open_as(1, secured(1, suite));
    bench.open(2);
    bench.connect(1, 2);
    (bench, Telephone::new(1, suite))
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

fn payload(packet: &[u8]) -> &[u8] {
    &packet[12..]
}

#[test]
fn a_secure_leg_and_a_plain_one_hear_each_other_by_every_suite() {
    for suite in Suite::ALL {
        let (mut bench, mut secure) = call(suite);
        for n in 0..10 {
            let sent = secure.says(&mut bench, &audio(7, n));
            assert_eq!((sent.len(), sent[0].to), (1, peer(2)), "{suite:?}");
            assert_eq!(sent[0].payload(), [n as u8; 160]);
            let sent = bench.receive(2, &audio(8, n));
            assert_ne!(payload(&sent[0].packet)[..160], [n as u8; 160]);
            assert_eq!(payload(&secure.hears(sent)), [n as u8; 160]);
            bench.pass_ms(20);
        }
        assert_eq!(bench.quality(1).packets, 10);
        assert_eq!(bench.quality(1).suite, Some(suite));
        assert_eq!(bench.quality(2).suite, None);
        assert_eq!(bench.quality(1).drops.total(), 0);
    }
}

#[test]
fn listeners_get_the_same_packet_each_under_its_own_keys() {
    let mut bench = Bench::new();
    let suites = Suite::ALL;
    bench.open(9);
    let mut listeners = Vec::new();
    for (leg, suite) in (1..).zip(suites) {
        bench.open_as(leg, secured(leg, suite));
        bench.listen(leg, 9);
        listeners.push(Telephone::new(leg, suite));
    }
    for n in 0..5 {
        let sent = bench.receive(9, &audio(7, n));
        assert_eq!(sent.len(), suites.len());
        for (listener, sent) in listeners.iter_mut().zip(sent) {
            assert_eq!(payload(&listener.open(sent)), [n as u8; 160]);
        }
    }
}

#[test]
fn reports_and_digits_pass_between_secure_legs_under_their_keys() {
    let mut bench = Bench::new();
    let suites = [Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_32];
    for (leg, suite) in [1, 2].into_iter().zip(suites) {
        bench.open_as(leg, secured(leg, suite));
    }
    bench.connect(1, 2);
    let mut one = Telephone::new(1, suites[0]);
    let mut two = Telephone::new(2, suites[1]);
    let heard = one.says(&mut bench, &audio(0x11, 5));
    two.hears(heard);

    let report = rtcp(&[(0, 200, &[0x11, 1, 1, 800, 1, 160])]);
    let report = one.protect(&report);
    let sent = bench.receive_from(rtcp_port(1), (host(1), 4001).into(), &report);
    assert_eq!(sent[0].port, rtcp_port(2));
    let heard = two.hears(sent);
    assert_eq!(heard[1], 200, "a sender report");

    let press = crate::bench::rtp(101, 0x11, 6, 960, &[5, 0x8a, 3, 32]);
    let heard = one.says(&mut bench, &press);
    assert_eq!(payload(&two.hears(heard)), [5, 0x8a, 3, 32]);
    let digits = bench.events().into_iter();
    let digits = digits.filter(|event| matches!(event, Event::Digit { .. }));
    assert_eq!(digits.count(), 1, "doors are opened by secure legs as well");
}

/// C9, with keys on the one side that is encoded for.
#[test]
fn what_is_encoded_for_a_secure_leg_is_protected() {
    let mut bench = Bench::new();
    let wide = LegSetup {
        formats: vec![format(9, Codec::G722, 8000)],
        ..secured(1, SUITE)
    };
    bench.open_as(1, wide);
    bench.open(2);
    bench.connect(1, 2);
    let mut secure = Telephone::new(1, SUITE);
    let mut encoder = Encoder::new(AudioCodec::Pcma, &opus::Settings::default()).expect("ours");
    let (mut heard, mut sequence) = (0, Vec::new());
    for n in 0..50 {
        let mut frame = [0; 160];
        let tone: Vec<i16> = (0..160).map(|i| (i % 20) * 400).collect();
        encoder.encode(&tone, &mut frame).expect("20 ms");
        let packet = crate::bench::rtp(8, 3, n, u32::from(n) * 160, &frame);
        let mut sent = bench.receive(2, &packet);
        sent.extend(bench.pass_ms(20));
        for sent in sent {
            let packet = secure.open(sent);
            assert_eq!((packet[1] & 0x7f, packet.len()), (9, 172));
            sequence.push(u16::from_be_bytes([packet[2], packet[3]]));
            heard += 1;
        }
    }
    assert!(heard >= 45, "{heard}");
    assert!(sequence.windows(2).all(|w| w[1] == w[0].wrapping_add(1)));
    assert_eq!(bench.quality(1).drops.total(), 0);
}

#[test]
fn both_directions_count_on_when_sequence_numbers_wrap() {
    let (mut bench, mut secure) = call(Suite::AeadAes128Gcm);
    for n in 65_500..66_000u32 {
        let n = n as u16;
        assert_eq!(secure.says(&mut bench, &audio(7, n)).len(), 1, "{n}");
        let sent = bench.receive(2, &audio(8, n));
        assert_eq!(payload(&secure.hears(sent)), [n as u8; 160]);
        bench.pass_ms(20);
    }
}

#[test]
fn new_keys_in_a_call_lose_no_packet_on_its_way() {
    let (mut bench, mut old) = call(SUITE);
    assert_eq!(old.says(&mut bench, &audio(7, 0)).len(), 1);
    let late = old.protect(&audio(7, 1));
    let suite = Suite::AeadAes256Gcm;
    bench.update(
        1,
        LegUpdate {
            remote: Some(remote(peer(1))),
            protection: Some(keys(1, suite, 2)),
            ..LegUpdate::default()
        },
    );
    let mut new = Telephone::with_key(1, suite, 2);
    let sent = bench.receive(2, &audio(8, 0));
    assert_eq!(payload(&new.hears(sent)), [0; 160]);
    assert_eq!(bench.receive(1, &late).len(), 1, "under the old key");
    for n in 2..200 {
        assert_eq!(new.says(&mut bench, &audio(7, n)).len(), 1);
        bench.pass_ms(20);
    }
    assert_eq!(bench.quality(1).lost, 0);
    let outdated = old.protect(&audio(7, 200));
    assert_eq!(bench.receive(1, &outdated), []);
    assert_eq!(bench.quality(1).drops.of(Reason::Forged), 1);
}

#[test]
fn a_leg_that_waits_for_keys_neither_sends_nor_takes_anything() {
    let mut bench = Bench::new();
    bench.open_as(
        1,
        LegSetup {
            protection: Protection::Awaited,
            ..setup(1)
        },
    );
    bench.open(2);
    bench.connect(1, 2);
    assert_eq!(bench.receive(1, &audio(7, 0)), []);
    assert_eq!(bench.receive(2, &audio(8, 0)), []);
    let drops = bench.quality(1).drops;
    assert_eq!(drops.of(Reason::NoKeys), 2, "one each way");
    assert_eq!(bench.quality(1).sent_packets, 0);
    bench.update(
        1,
        LegUpdate {
            protection: Some(keys(1, SUITE, 1)),
            ..LegUpdate::default()
        },
    );
    let mut secure = Telephone::new(1, SUITE);
    assert_eq!(secure.says(&mut bench, &audio(7, 1)).len(), 1);
    let sent = bench.receive(2, &audio(8, 1));
    secure.hears(sent);
}

#[test]
fn a_leg_that_moves_to_another_call_keeps_its_keys() {
    let (mut bench, mut secure) = call(SUITE);
    secure.says(&mut bench, &audio(7, 0));
    let other = SessionId(8);
    let now = bench.now;
    bench
        .relay
        .open(other, LegKey(3), secured(3, Suite::AeadAes128Gcm), now)
        .unwrap();
    bench
        .relay
        .move_leg(CALL, LegKey(1), other, now)
        .expect("there is room");
    bench
        .relay
        .connect(other, LegKey(1), LegKey(3), now)
        .unwrap();
    let mut third = Telephone::new(3, Suite::AeadAes128Gcm);
    let heard = secure.says(&mut bench, &audio(7, 1));
    assert_eq!(payload(&third.hears(heard)), [1; 160]);
    let heard = third.says(&mut bench, &audio(9, 1));
    assert_eq!(payload(&secure.hears(heard)), [1; 160]);
}

/// A leg whose peer sits behind an address translator, so that its latch is open.
fn behind_translator() -> (Bench, Telephone) {
    let mut bench = Bench::new();
    let mut far = secured(1, SUITE);
    far.remote.latch = LatchPolicy::Symmetric {
        network: Some(Network {
            address: host(1),
            prefix: 24,
        }),
    };
    bench.open_as(1, far);
    bench.open(2);
    bench.connect(1, 2);
    (bench, Telephone::new(1, SUITE))
}

#[test]
fn a_forger_moves_no_latch_and_is_not_heard() {
    let (mut bench, mut secure) = behind_translator();
    let neighbour = (host(5), 4000).into();
    let mut stranger = Telephone::with_key(1, SUITE, 3);
    for n in 0..100 {
        let forged = stranger.protect(&audio(7, n));
        assert_eq!(bench.receive_from(rtp_port(1), neighbour, &forged), []);
        let plain = audio(7, n);
        assert_eq!(bench.receive_from(rtp_port(1), neighbour, &plain), []);
    }
    let quality = bench.quality(1);
    assert_eq!(quality.drops.of(Reason::Forged), 200);
    assert_eq!((quality.packets, quality.last_packet), (0, None));
    assert_eq!(bench.events(), [], "nothing has started");
    assert_eq!(bench.receive(2, &audio(8, 0))[0].to, peer(1), "by the SDP");

    let genuine = secure.protect(&audio(7, 0));
    let translated = (host(1), 61_000).into();
    let sent = bench.receive_from(rtp_port(1), translated, &genuine);
    assert_eq!(sent.len(), 1);
    assert_eq!(bench.receive(2, &audio(8, 1))[0].to, translated);
}

#[test]
fn a_flood_of_forgeries_does_not_use_up_the_rate_of_the_call() {
    let (mut bench, mut secure) = call(SUITE);
    let mut stranger = Telephone::with_key(1, SUITE, 3);
    for n in 0..5_000 {
        let forged = stranger.protect(&audio(7, n));
        assert_eq!(bench.receive(1, &forged), []);
    }
    assert_eq!(secure.says(&mut bench, &audio(7, 0)).len(), 1);
    let drops = bench.quality(1).drops;
    assert_eq!(drops.of(Reason::Forged), 5_000);
    assert_eq!(drops.of(Reason::Flood), 0);
    assert_eq!(bench.relay.totals().drops.of(Reason::Forged), 5_000);
}

#[test]
fn a_packet_that_comes_again_is_heard_once() {
    let (mut bench, mut secure) = call(SUITE);
    let packets: Vec<_> = (0..300).map(|n| secure.protect(&audio(7, n))).collect();
    for packet in &packets {
        assert_eq!(bench.receive(1, packet).len(), 1);
    }
    for packet in &packets {
        assert_eq!(bench.receive(1, packet), []);
    }
    let report = secure.protect(&rtcp(&[(0, 200, &[7, 1, 1, 800, 1, 160])]));
    let from = (host(1), 4001).into();
    let first = bench.receive_from(rtcp_port(1), from, &report);
    assert_eq!(first.len(), 1);
    assert_eq!(bench.receive_from(rtcp_port(1), from, &report), []);
    assert_eq!(bench.quality(1).drops.of(Reason::Replayed), 301);
    assert_eq!(bench.quality(1).duplicates, 0, "it never came so far");
}

#[test]
fn a_wrong_roll_over_counter_is_a_forgery_and_the_call_goes_on() {
    let (mut bench, mut secure) = call(SUITE);
    // This one believes that the numbers have wrapped already.
    let mut ahead = Telephone::new(1, SUITE);
    for n in [0, 0x7000, 0xe000, 5] {
        ahead.protect(&audio(7, n));
    }
    for n in 10..20 {
        assert_eq!(secure.says(&mut bench, &audio(7, n)).len(), 1);
        let wrong = ahead.protect(&audio(7, n + 100));
        assert_eq!(bench.receive(1, &wrong), []);
    }
    assert_eq!(bench.quality(1).drops.of(Reason::Forged), 10);
}

#[test]
fn forged_and_plain_reports_change_no_figure() {
    let (mut bench, mut secure) = call(SUITE);
    let sent = bench.receive(2, &audio(8, 0));
    let ssrc = u32::from_be_bytes(secure.hears(sent)[8..12].try_into().unwrap());
    let words = [7, ssrc, 0xff00_0000, 5, 5, 0, 0];
    let lie = rtcp(&[(1, 201, &words)]);
    let mut stranger = Telephone::with_key(1, SUITE, 3);
    let forged = stranger.protect(&lie);
    let from = (host(1), 4001).into();
    for packet in [&lie, &forged] {
        assert_eq!(bench.receive_from(rtcp_port(1), from, packet), []);
    }
    assert_eq!(bench.quality(1).far, None);
    assert_eq!(bench.quality(1).drops.of(Reason::Forged), 2);
    let truth = secure.protect(&lie);
    bench.receive_from(rtcp_port(1), from, &truth);
    assert!(bench.quality(1).far.is_some());
}

#[test]
fn damage_anywhere_in_a_packet_is_a_forgery() {
    let (mut bench, mut secure) = call(Suite::AeadAes128Gcm);
    let whole = secure.protect(&audio(7, 1));
    for at in 1..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert_eq!(bench.receive(1, &damaged), [], "{at}");
    }
    for len in 0..whole.len() {
        assert_eq!(bench.receive(1, &whole[..len]), [], "{len}");
    }
    assert_eq!(bench.receive(1, &whole).len(), 1, "and nothing is spoilt");
}

#[test]
fn a_held_secure_leg_goes_on_under_the_same_keys() {
    let (mut bench, mut secure) = call(SUITE);
    for direction in [Direction::Inactive, Direction::SendReceive] {
        bench.update(
            1,
            LegUpdate {
                direction: Some(direction),
                protection: Some(keys(1, SUITE, 1)),
                ..LegUpdate::default()
            },
        );
        let n = direction.eq(&Direction::SendReceive).into();
        let heard = secure.says(&mut bench, &audio(7, n)).len();
        assert_eq!(heard, usize::from(n));
    }
    let sent = bench.receive(2, &audio(8, 0));
    secure.hears(sent);
}

#[test]
fn no_key_shows_in_what_a_relay_prints() {
    let (bench, _) = call(SUITE);
    let printed = format!("{:?} {:?}", bench.relay, keys(1, SUITE, 1));
    let ours = vec![17u8; SUITE.keying_len()];
    assert!(printed.contains("MasterKey(AES_CM_128_HMAC_SHA1_80 ..)"));
    assert!(!printed.contains(&format!("{ours:?}")[1..20]), "{printed}");
}

#[test]
fn g2_reports_of_our_own_leave_under_the_keys_of_the_leg() {
    let mut bench = Bench::new();
    bench.open_as(1, secured(1, SUITE));
    bench.open_as(2, station(2, AudioCodec::G722));
    bench.connect(1, 2);
    let mut secure = Telephone::new(1, SUITE);
    let mut plain = Speaker::new(2, 400.0, AudioCodec::G722);
    for n in 0..250 {
        secure.says(&mut bench, &audio(7, n));
        bench.receive(2, &plain.packet());
        bench.pass_ms(20);
    }
    let reports = std::mem::take(&mut bench.reports);
    let secured: Vec<_> = reports
        .into_iter()
        .map(|(_, sent)| sent)
        .filter(|sent| sent.port == rtcp_port(1))
        .collect();
    assert!(!secured.is_empty());
    for sent in secured {
        let closed = sent.packet.clone();
        let opened = secure.open(sent);
        // RFC 3711 3.4: all but the first eight octets is a secret, and a tag stands behind.
        assert_eq!(closed[..8], opened[..8]);
        assert_ne!(closed[8..opened.len()], opened[8..]);
        let compound = Compound::parse(&opened).expect("what is sent parses");
        assert_eq!(compound.packets().count(), 2);
    }
    let [goodbye] = &bench.close_hearing(1)[..] else {
        panic!("no goodbye");
    };
    let goodbye = secure.open(goodbye.clone());
    let compound = Compound::parse(&goodbye).expect("what is sent parses");
    assert_eq!(compound.packets().last(), Some(Packet::Bye));
}
