//! RFC 3264, RFC 3605, RFC 4733, RFC 5761: what the other side is offered and answered.

use sip::sdp::{
    CodecPolicy, Description, DescriptionError, Direction, LocalStream, Policy, VideoPolicy,
    answer_to, fresh_offer, offer_from,
};

use super::survives::ours;

/// A description of a station at 10.0.0.7 with these m-lines and what follows them.
pub(crate) fn station(media: &str) -> Description {
    let media = media.replace('\n', "\r\n");
    let head = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n";
    Description::parse(format!("{head}{media}").as_bytes()).unwrap()
}

/// The media part of what we would write.
pub(crate) fn written(description: &Description) -> String {
    let body = description.write(7, 1, [10, 0, 0, 1].into());
    let text = String::from_utf8(body.to_vec()).unwrap();
    let head = "v=0\r\no=- 7 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n";
    text.strip_prefix(head).unwrap().replace("\r\n", "\n")
}

/// Caller's offer and callee's answer in, offer to the callee and answer to the caller out.
fn check(offer: &str, answer: &str, to_callee: &str, to_caller: &str) {
    let offered = station(offer);
    let asked = offer_from(&offered, &ours(20_000, 4));
    assert_eq!(written(&asked), to_callee, "to the callee");
    let settled = station(answer);
    let answered = answer_to(&offered, &settled, &ours(30_000, 4)).unwrap();
    assert_eq!(written(&answered), to_caller, "to the caller");
}

#[test]
fn static_numbers_need_no_rtpmap() {
    check(
        "m=audio 4000 RTP/AVP 9 8 0 18 13 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n",
        "m=audio 5000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n",
        "m=audio 20000 RTP/AVP 9 8 0 18 13 101\na=rtpmap:9 G722/8000\na=rtpmap:8 PCMA/8000\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:18 G729/8000\na=rtpmap:13 CN/8000\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=sendrecv\n",
        "m=audio 30000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-16\na=sendrecv\n",
    );
}

// RFC 3264 6.1: the number of the offer is used in the answer
#[test]
fn a_callee_with_numbers_of_its_own_is_hidden_from_the_caller() {
    check(
        "m=audio 4000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n\
         a=rtpmap:97 telephone-event/48000\na=ptime:20\n",
        "m=audio 5000 RTP/AVP 111 110\na=rtpmap:111 opus/48000/2\na=fmtp:111 maxplaybackrate=16000\n\
         a=rtpmap:110 telephone-event/48000\na=ptime:40\na=maxptime:60\n",
        "m=audio 20000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n\
         a=rtpmap:97 telephone-event/48000\na=ptime:20\na=sendrecv\n",
        "m=audio 30000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 maxplaybackrate=16000\n\
         a=rtpmap:97 telephone-event/48000\na=ptime:40\na=maxptime:60\na=sendrecv\n",
    );
}

#[test]
fn key_presses_are_asked_for_and_taken_whatever_the_other_side_does() {
    check(
        "m=audio 4000 RTP/AVP 8\n",
        "m=audio 5000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n",
        "m=audio 20000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\na=sendrecv\n",
        "m=audio 30000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=sendrecv\n",
    );
    check(
        "m=audio 4000 RTP/AVP 8 100\na=rtpmap:100 telephone-event/8000\n",
        "m=audio 5000 RTP/AVP 8\n",
        "m=audio 20000 RTP/AVP 8 100\na=rtpmap:8 PCMA/8000\na=rtpmap:100 telephone-event/8000\n\
         a=sendrecv\n",
        "m=audio 30000 RTP/AVP 8 100\na=rtpmap:8 PCMA/8000\na=rtpmap:100 telephone-event/8000\n\
         a=sendrecv\n",
    );
}

// RFC 4733 2.1
#[test]
fn events_follow_the_clock_of_the_codec_that_was_chosen() {
    let offer = "m=audio 4000 RTP/AVP 96 8 97 101\na=rtpmap:96 opus/48000/2\n\
                 a=rtpmap:97 telephone-event/48000\na=rtpmap:101 telephone-event/8000\n";
    let numbers = |answer: &str| -> Vec<u8> {
        let answered = answer_to(&station(offer), &station(answer), &ours(30_000, 1)).unwrap();
        answered.streams[0]
            .formats
            .iter()
            .map(|f| f.payload_type)
            .collect()
    };
    assert_eq!(numbers("m=audio 5000 RTP/AVP 8\n"), [8, 101]);
    assert_eq!(
        numbers("m=audio 5000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n"),
        [96, 97]
    );
    let both = "m=audio 5000 RTP/AVP 8 96\na=rtpmap:96 opus/48000/2\n";
    assert_eq!(numbers(both), [8, 96, 97, 101]);
    let odd = "m=audio 5000 RTP/AVP 8 97\na=rtpmap:97 telephone-event/48000\n";
    assert_eq!(numbers(odd), [8, 101]);
}

#[test]
fn video_is_passed_with_its_parameters_and_feedback() {
    let h264 = "a=rtpmap:99 H264/90000\na=fmtp:99 profile-level-id=42e01f;packetization-mode=1\n";
    let lines = format!("{h264}a=rtcp-fb:99 nack pli\na=rtcp-fb:99 ccm fir\n");
    check(
        &format!(
            "m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n\
             m=video 4002 RTP/AVPF 99 98\nb=AS:1024\n{lines}a=rtpmap:98 rtx/90000\na=fmtp:98 apt=99\n\
             a=framerate:15\na=ssrc:1 cname:x\na=extmap:1 urn:x\n"
        ),
        &format!("m=audio 5000 RTP/AVP 8\nm=video 5002 RTP/AVPF 99\nb=AS:512\n{lines}a=recvonly\n"),
        &format!(
            "m=audio 20000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
             a=sendrecv\n\
             m=video 20002 RTP/AVPF 99\nb=AS:1024\n{lines}a=framerate:15\na=sendrecv\n"
        ),
        &format!(
            "m=audio 30000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
             a=sendrecv\n\
             m=video 30002 RTP/AVPF 99\nb=AS:512\n{lines}a=recvonly\n"
        ),
    );
}

#[test]
fn h264_of_another_profile_or_packetization_is_another_codec() {
    let video = |fmtp: &str| {
        station(&format!(
            "m=video 4002 RTP/AVP 99\na=rtpmap:99 H264/90000\na=fmtp:99 {fmtp}\n"
        ))
    };
    let offered = video("packetization-mode=1;profile-level-id=42e01f");
    let answered = |fmtp: &str| answer_to(&offered, &video(fmtp), &ours(30_000, 1));
    assert!(answered("profile-level-id=42e014; packetization-mode=1").is_ok());
    assert!(answered("profile-level-id=42e01f").is_err());
    assert!(answered("profile-level-id=640029;packetization-mode=1").is_err());
}

// RFC 3264 6, 8.2
#[test]
fn streams_keep_their_place_when_refused_on_either_side() {
    check(
        "m=image 4010 udptl t38\nm=audio 4000 RTP/AVP 8\nm=application 4004 UDP/BFCP *\nm=video 0 RTP/AVP 31\n\
         m=audio 4006 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 opus/48000/2\na=fingerprint:sha-256 AA\n",
        "m=image 0 udptl t38\nm=audio 5000 RTP/AVP 8\nm=application 0 UDP/BFCP *\nm=video 0 RTP/AVP 31\n\
         m=audio 0 UDP/TLS/RTP/SAVPF 96\n",
        "m=image 0 udptl t38\nm=audio 20002 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendrecv\n\
         m=application 0 UDP/BFCP *\nm=video 0 RTP/AVP 31\nm=audio 0 UDP/TLS/RTP/SAVPF 96\n",
        "m=image 0 udptl t38\nm=audio 30002 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=sendrecv\n\
         m=application 0 UDP/BFCP *\nm=video 0 RTP/AVP 31\nm=audio 0 UDP/TLS/RTP/SAVPF 96\n",
    );
}

#[test]
fn a_stream_added_in_a_new_offer_comes_last_and_one_ended_keeps_its_place() {
    let offered = station("m=audio 0 RTP/AVP 8\nm=audio 4002 RTP/AVP 0\n");
    let settled = station("m=audio 0 RTP/AVP 8\nm=audio 5002 RTP/AVP 0\n");
    let answered = answer_to(&offered, &settled, &ours(30_000, 2)).unwrap();
    let ports: Vec<_> = answered
        .streams
        .iter()
        .map(|s| s.rtp.map(|rtp| rtp.port()))
        .collect();
    assert_eq!(ports, [None, Some(30_002)]);
}

// RFC 3264 6.1, 8.4
#[test]
fn directions_are_the_common_part_seen_from_us() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    for (offer, answer, to_caller) in [
        (SendRecv, SendRecv, SendRecv),
        (SendOnly, RecvOnly, RecvOnly),
        (SendOnly, SendRecv, RecvOnly),
        (RecvOnly, SendOnly, SendOnly),
        (RecvOnly, SendRecv, SendOnly),
        (Inactive, SendRecv, Inactive),
        (SendRecv, RecvOnly, RecvOnly),
        (SendRecv, Inactive, Inactive),
    ] {
        let side = |d: Direction| station(&format!("m=audio 4000 RTP/AVP 8\na={}\n", d.name()));
        let answered = answer_to(&side(offer), &side(answer), &ours(30_000, 1)).unwrap();
        assert_eq!(
            answered.streams[0].direction, to_caller,
            "{offer:?} {answer:?}"
        );
        let asked = offer_from(&side(offer), &ours(20_000, 1));
        assert_eq!(asked.streams[0].direction, offer);
    }
}

// RFC 3264 8.4, the hold of RFC 2543
#[test]
fn hold_by_address_is_offered_on_as_a_direction() {
    let held = "v=0\r\no=- 1 2 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    let held = Description::parse(held.as_bytes()).unwrap();
    assert_eq!(held.streams[0].direction, Direction::SendOnly);
    let asked = offer_from(&held, &ours(20_000, 1));
    assert!(written(&asked).starts_with("m=audio 20000 RTP/AVP 8"));
    assert!(written(&asked).ends_with("a=sendonly\n"));
}

// RFC 5761 5.1.1, RFC 3605 2.1
#[test]
fn each_leg_agrees_on_rtcp_for_itself() {
    check(
        "m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=rtcp-mux\n",
        "m=audio 5000 RTP/AVP 8\n",
        "m=audio 20000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
         a=rtcp-mux\na=sendrecv\n",
        "m=audio 30000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
         a=rtcp-mux\na=sendrecv\n",
    );
    let muxed = station("m=audio 4000 RTP/AVP 8\na=rtcp-mux\n");
    assert_eq!(muxed.streams[0].rtcp, muxed.streams[0].rtp);
    let elsewhere = station("m=audio 4000 RTP/AVP 8\na=rtcp:4711 IN IP4 10.0.0.9\n");
    assert_eq!(
        elsewhere.streams[0].rtcp,
        Some("10.0.0.9:4711".parse().unwrap())
    );
    let mut local = ours(30_000, 1);
    local.streams[0] = local.streams[0].map(|place| LocalStream {
        rtcp: "10.0.0.1:40000".parse().unwrap(),
        ..place
    });
    let answered = answer_to(&elsewhere, &elsewhere, &local).unwrap();
    assert!(written(&answered).contains("a=rtcp:40000\n"));
}

#[test]
fn nothing_in_common_is_an_error() {
    let offered = station("m=audio 4000 RTP/AVP 0\n");
    let settled = station("m=audio 5000 RTP/AVP 8\n");
    let answered = answer_to(&offered, &settled, &ours(30_000, 1));
    assert_eq!(answered, Err(DescriptionError::NothingAccepted));
    let no_port = answer_to(&offered, &offered, &ours(30_000, 0));
    assert_eq!(no_port, Err(DescriptionError::NothingAccepted));
}

// C9
#[test]
fn our_own_offer_begins_with_the_best_bandwidth() {
    let place = ours(20_000, 1).streams[0].unwrap();
    let offer = fresh_offer(place);
    let names: Vec<_> = offer.streams[0]
        .formats
        .iter()
        .map(|f| f.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "96 opus/48000/2",
            "9 G722/8000",
            "8 PCMA/8000",
            "0 PCMU/8000",
            "101 telephone-event/8000",
            "97 telephone-event/48000"
        ]
    );
}

#[test]
fn a_policy_takes_away_codecs_and_video() {
    let offered = station(
        "m=audio 4000 RTP/AVP 18 8 101\na=rtpmap:101 telephone-event/8000\nm=video 4002 RTP/AVP 31\n",
    );
    let policy = Policy {
        codecs: CodecPolicy::Only(vec!["pcma".into(), "H261".into()]),
        video: VideoPolicy::Refused,
        ..Policy::default()
    };
    let permitted = policy.permit(&offered);
    let asked = offer_from(&permitted, &ours(20_000, 2));
    assert!(written(&asked).starts_with("m=audio 20000 RTP/AVP 8 101\n"));
    assert!(written(&asked).ends_with("m=video 0 RTP/AVP 31\n"));
    let nothing = Policy {
        codecs: CodecPolicy::Only(Vec::new()),
        ..Policy::default()
    };
    let asked = offer_from(&nothing.permit(&offered), &ours(20_000, 2));
    assert!(asked.streams.iter().all(|stream| stream.rtp.is_none()));
    assert_eq!(Policy::default().permit(&offered), offered);
}
