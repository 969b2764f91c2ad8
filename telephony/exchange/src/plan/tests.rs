//! The plan alone: descriptions in, descriptions and commands out.

mod secure;
mod sounds;

use model::Encryption;

use super::*;

const CALLER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const CALLEE: &str = "v=0\r\no=- 2 1 IN IP4 10.0.0.8\r\ns=-\r\nc=IN IP4 10.0.0.8\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8 100\r\na=rtpmap:100 telephone-event/8000\r\n";

const A: LegId = LegId::new(1);
const B: LegId = LegId::new(2);

fn local() -> IpAddr {
    [10, 0, 0, 1].into()
}

fn port(n: u16) -> FreePort {
    FreePort {
        rtp: (local(), 20_000 + 2 * n).into(),
        rtcp: (local(), 20_001 + 2 * n).into(),
    }
}

fn keys() -> KeySource {
    KeySource::new([7; 32])
}

fn start(peer: [u8; 4]) -> Start {
    Start {
        taker: Taker::Usual,
        local: local(),
        peer: peer.into(),
        terms: Terms {
            encryption: Encryption::Off,
            signalling: Signalling::Readable,
        },
    }
}

fn plan(ports: u16) -> MediaPlan {
    let mut plan = MediaPlan::new(0, 0, keys());
    plan.ports_free((0..ports).rev().map(port).collect());
    plan
}

fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

fn a_calls(plan: &mut MediaPlan, offer: Option<&str>) -> Result<Offered, PlanError> {
    let offer = offer.map(str::as_bytes);
    plan.arrived(A, start([10, 0, 0, 7]), offer)
}

fn b_is_rung(plan: &mut MediaPlan) -> Result<Bytes, PlanError> {
    plan.offer(B, start([10, 0, 0, 8]), Some(A))
}

fn commands(plan: &mut MediaPlan) -> Vec<MediaCommand> {
    std::iter::from_fn(|| plan.poll_command()).collect()
}

/// A called B, B answered, both talk.
fn talking() -> MediaPlan {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    b_is_rung(&mut plan).unwrap();
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    plan.final_answer(A).unwrap();
    plan
}

fn remotes(commands: &[MediaCommand], wanted: LegId) -> Vec<&Remote> {
    let remote = |command| match command {
        &MediaCommand::Remote {
            leg, ref remote, ..
        } if leg == wanted => Some(remote),
        _ => None,
    };
    commands.iter().filter_map(remote).collect()
}

#[test]
fn both_sides_settle_on_the_codec_of_the_callee_at_our_ports() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    let offer = b_is_rung(&mut plan).unwrap();
    assert!(
        text(&offer).contains("m=audio 20002 RTP/AVP 9 96 8 0 101 97\r\n"),
        "{}",
        text(&offer)
    );
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(
        text(&answer).contains("m=audio 20000 RTP/AVP 8 101\r\n"),
        "{}",
        text(&answer)
    );

    let commands = commands(&mut plan);
    let numbers = |leg| -> Vec<u8> {
        let last = remotes(&commands, leg).last().copied().unwrap();
        last.formats
            .iter()
            .map(|format| format.payload_type)
            .collect()
    };
    // Each leg in the numbers of its own end.
    assert_eq!((numbers(A), numbers(B)), (vec![8, 101], vec![8, 100]));
    let routed = |from, to| {
        let route = MediaCommand::Route {
            from,
            to,
            streams: vec![(0, 0)],
        };
        commands.contains(&route)
    };
    assert!(routed(A, B) && routed(B, A));
}

/// C9: nothing in common, and still the widest band that both have.
#[test]
fn ends_without_a_common_codec_are_each_given_one_they_have() {
    let mut plan = plan(8);
    let caller = CALLER.replace("9 8 101", "8 9 101");
    a_calls(&mut plan, Some(&caller)).unwrap();
    let offer = b_is_rung(&mut plan).unwrap();
    assert!(text(&offer).contains("RTP/AVP 9 96 8 0 101 97\r\n"));
    assert!(text(&offer).contains("a=rtpmap:96 opus/48000/2\r\n"));
    let opus = CALLEE.replace("8 100", "96 97").replace(
        "rtpmap:100 telephone-event/8000",
        "rtpmap:97 telephone-event/48000",
    ) + "a=rtpmap:96 opus/48000/2\r\n";
    plan.answered(B, opus.as_bytes()).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(
        text(&answer).contains("m=audio 20000 RTP/AVP 9 101\r\n"),
        "{}",
        text(&answer)
    );
}

#[test]
fn hold_is_answered_here_and_told_once() {
    let mut plan = talking();
    let hold = CALLER.replace("m=audio", "a=sendonly\r\nm=audio");
    let Ok(Reoffered::Answer { answer, hold }) = plan.reoffered(A, hold.as_bytes()) else {
        panic!("the codec is still there");
    };
    assert!(text(&answer).contains("a=recvonly"), "{}", text(&answer));
    assert_eq!(hold, Some(reoffer::HoldChange::Held));
    let again = CALLER.replace("m=audio", "a=sendonly\r\nm=audio");
    let Ok(Reoffered::Answer { hold, .. }) = plan.reoffered(A, again.as_bytes()) else {
        panic!("the codec is still there");
    };
    assert_eq!(hold, None);
    let Ok(Reoffered::Answer { answer, hold }) = plan.reoffered(A, CALLER.as_bytes()) else {
        panic!("the codec is still there");
    };
    assert!(text(&answer).contains("a=sendrecv"), "{}", text(&answer));
    assert_eq!(hold, Some(reoffer::HoldChange::Resumed));
}

#[test]
fn the_version_of_our_description_grows_with_each_change() {
    let mut plan = talking();
    let version = |body: &Bytes| {
        let origin = text(body)
            .lines()
            .nth(1)
            .unwrap()
            .split(' ')
            .nth(2)
            .unwrap();
        origin.parse::<u64>().unwrap()
    };
    let first = version(&plan.final_answer(A).unwrap().unwrap());
    let Ok(Reoffered::Answer { answer, .. }) = plan.reoffered(A, CALLER.as_bytes()) else {
        panic!("the codec is still there");
    };
    assert_eq!(version(&answer), first + 1);
}

#[test]
fn a_change_of_codec_is_the_other_sides_business() {
    let mut plan = talking();
    let other_codec = CALLER.replace("9 8 101", "0 101");
    let Ok(Reoffered::AskOther { other, offer }) = plan.reoffered(A, other_codec.as_bytes()) else {
        panic!("PCMU was never agreed on");
    };
    assert_eq!(other, B);
    assert!(
        text(&offer).contains("m=audio 20002 RTP/AVP 0 96 9 8 101 97\r\n"),
        "{}",
        text(&offer)
    );
    let (asker, answer) = plan
        .reoffer_answered(B, CALLEE.replace("8 100", "0 100").as_bytes())
        .unwrap();
    assert_eq!(asker, A);
    assert!(text(&answer.unwrap()).contains("m=audio 20000 RTP/AVP 0 101\r\n"));
}

#[test]
fn a_refused_change_of_codec_leaves_the_call_as_it_was() {
    let mut plan = talking();
    let other_codec = CALLER.replace("9 8 101", "0 101");
    assert!(matches!(
        plan.reoffered(A, other_codec.as_bytes()),
        Ok(Reoffered::AskOther { .. })
    ));
    assert_eq!(plan.reoffer_refused(B), Some(A));
    let Ok(Reoffered::Answer { answer, .. }) = plan.reoffered(A, CALLER.as_bytes()) else {
        panic!("PCMA is still agreed on");
    };
    assert!(text(&answer).contains("RTP/AVP 8 101"), "{}", text(&answer));
}

#[test]
fn early_media_of_the_callee_answer_the_caller_before_the_call_is_taken() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    b_is_rung(&mut plan).unwrap();
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    plan.early_media(B, A);
    let early = plan.early_answer(A, B).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    assert_eq!(plan.final_answer(A).unwrap().unwrap(), early);
}

#[test]
fn a_caller_without_an_offer_is_offered_what_the_callee_took() {
    let mut plan = plan(8);
    a_calls(&mut plan, None).unwrap();
    let ours = b_is_rung(&mut plan).unwrap();
    assert!(
        text(&ours).contains("RTP/AVP 96 9 8 0 101"),
        "{}",
        text(&ours)
    );
    plan.answered(
        B,
        CALLEE
            .replace("8 100", "8 101")
            .replace(":100", ":101")
            .as_bytes(),
    )
    .unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    let offer = plan.final_answer(A).unwrap().unwrap();
    assert!(
        text(&offer).contains("RTP/AVP 8 96 9 0 101"),
        "{}",
        text(&offer)
    );
    plan.answered(A, CALLER.as_bytes()).unwrap();
    let all = commands(&mut plan);
    assert_eq!(
        remotes(&all, A).last().unwrap().rtp,
        "10.0.0.7:4000".parse().unwrap()
    );
}

#[test]
fn without_a_free_port_the_call_is_refused_and_nothing_stays_open() {
    let mut plan = plan(1);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    let refused = b_is_rung(&mut plan);
    assert_eq!(refused, Err(PlanError::NoPort));
    plan.close(A);
    assert_eq!(
        commands(&mut plan).last(),
        Some(&MediaCommand::Close { leg: A })
    );
    assert!(plan.legs.is_empty() && plan.routes.is_empty());
}

#[test]
fn beside_a_plain_stream_an_encrypted_one_is_refused_in_its_place() {
    let mut plan = plan(8);
    let both = format!("{CALLER}m=audio 4002 RTP/SAVP 8\r\n");
    a_calls(&mut plan, Some(&both)).unwrap();
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(
        text(&answer).contains("m=audio 20000 RTP/AVP 9 "),
        "{}",
        text(&answer)
    );
    assert!(
        text(&answer).contains("m=audio 0 RTP/SAVP 8\r\n"),
        "{}",
        text(&answer)
    );
}

#[test]
fn a_link_local_peer_is_reached_through_the_interface_of_our_port() {
    let mut plan = MediaPlan::new(0, 0, keys());
    let ours: SocketAddr = "[fe80::1%3]:20000".parse().unwrap();
    plan.ports_free(vec![FreePort {
        rtp: ours,
        rtcp: "[fe80::1%3]:20001".parse().unwrap(),
    }]);
    let offer = CALLER.replace("IN IP4 10.0.0.7", "IN IP6 fe80::7%eth0");
    let begin = Start {
        local: ours.ip(),
        peer: "fe80::7".parse().unwrap(),
        ..start([10, 0, 0, 7])
    };
    plan.arrived(A, begin, Some(offer.as_bytes())).unwrap();
    let all = commands(&mut plan);
    assert_eq!(remotes(&all, A)[0].rtp, "[fe80::7%3]:4000".parse().unwrap());
}

#[test]
fn the_last_ports_are_kept_for_alarms() {
    let mut plan = MediaPlan::new(0, 2, keys());
    plan.ports_free(vec![port(0), port(1), port(2)]);
    let mut arrives = |leg, taker| {
        let offer = Some(CALLER.as_bytes());
        let start = Start {
            taker,
            ..start([10, 0, 0, 7])
        };
        plan.arrived(LegId::new(leg), start, offer)
    };
    arrives(1, Taker::Usual).unwrap();
    let refused = arrives(2, Taker::Usual);
    assert!(matches!(refused, Err(PlanError::NoPort)), "{refused:?}");
    arrives(3, Taker::Alarm).unwrap();
    arrives(4, Taker::Alarm).unwrap();
}

fn threads(commands: &[MediaCommand]) -> Vec<(LegId, u16)> {
    let thread = |command: &MediaCommand| match command {
        MediaCommand::Open { leg, thread, .. } => Some((*leg, *thread)),
        _ => None,
    };
    commands.iter().filter_map(thread).collect()
}

#[test]
fn calls_are_spread_over_the_media_threads_and_each_is_at_one() {
    let mut plan = plan(16).over_threads(2);
    let legs = [1, 2, 3, 4].map(LegId::new);
    for pair in legs.chunks(2) {
        let start = start([10, 0, 0, 7]);
        plan.arrived(pair[0], start, Some(CALLER.as_bytes()))
            .unwrap();
        plan.offer(pair[1], start, Some(pair[0])).unwrap();
    }
    let wanted = legs.into_iter().zip([0, 0, 1, 1]).collect::<Vec<_>>();
    assert_eq!(threads(&commands(&mut plan)), wanted);
}

#[test]
fn calls_at_two_threads_that_become_one_are_brought_to_one_thread() {
    let mut plan = plan(16).over_threads(2);
    let legs = [1, 2, 3, 4, 5].map(LegId::new);
    let [a, b, c, d, e] = legs;
    for (leg, of) in [
        (a, None),
        (c, None),
        (b, Some(a)),
        (d, Some(c)),
        (e, Some(c)),
    ] {
        plan.offer(leg, start([10, 0, 0, 7]), of).unwrap();
        plan.answered(leg, CALLEE.as_bytes()).unwrap();
    }
    plan.connect(a, b, TalkMode::OpenDuplex);
    plan.connect(c, d, TalkMode::OpenDuplex);
    plan.early_media(c, e);
    commands(&mut plan);
    plan.disconnect(a, b);
    plan.connect(a, c, TalkMode::OpenDuplex);
    let all = commands(&mut plan);
    // The smaller company goes to the larger one, before anybody is routed.
    let moved = MediaCommand::Move {
        legs: vec![a],
        thread: 1,
    };
    let is_route = |command: &MediaCommand| matches!(command, MediaCommand::Route { .. });
    let moves = all.iter().position(|command| *command == moved);
    assert!(
        moves.unwrap() < all.iter().position(is_route).unwrap(),
        "{all:?}"
    );
    assert_eq!(
        all.iter()
            .filter(|command| matches!(command, MediaCommand::Move { .. }))
            .count(),
        1
    );
}
