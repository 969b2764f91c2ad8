//! Descriptions as devices send them.

use std::net::{Ipv4Addr, SocketAddr};

use sip::sdp::{Codec, Description, DescriptionError, Kind, offer_from};

use super::relay::written;
use super::survives::ours;

fn read(text: &str) -> Result<Description, DescriptionError> {
    Description::parse(text.as_bytes())
}

#[test]
fn sloppy_descriptions_are_read_alike() {
    let good = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
    let expected = read(good).unwrap();
    for (what, text) in [
        ("LF only", good.replace("\r\n", "\n")),
        ("no end of the last line", good.trim_end().to_owned()),
        ("no s=", good.replace("s=-\r\n", "")),
        ("no t=", good.replace("t=0 0\r\n", "")),
        ("no o=", good.replace("o=- 1 1 IN IP4 10.0.0.7\r\n", "")),
        (
            "o= with five fields",
            good.replace("o=- 1 1 IN", "o=- 1 IN"),
        ),
        (
            "o= with a huge version",
            good.replace("- 1 1", "- 1 99999999999999999999999"),
        ),
        (
            "o= with brackets",
            good.replace("o=- 1 1 IN IP4 10.0.0.7", "o=- 1 1 IN IP6 [fe80::1]"),
        ),
        ("an unknown line", good.replace("s=-", "s=-\r\nx=1")),
        ("a line without =", good.replace("s=-", "s=-\r\nnonsense")),
        ("two s=", good.replace("s=-", "s=-\r\ns=again")),
        (
            "t= that overflows",
            good.replace("t=0 0", "t=99999999999999999999999 x"),
        ),
        ("port/2", good.replace("4000", "4000/2")),
        ("double spaces", good.replace("audio 4000", "audio  4000 ")),
        ("a trailing space", good.replace("AVP 8", "AVP 8 ")),
        ("small letters", good.replace("RTP/AVP", "rtp/avp")),
        (
            "a TTL",
            good.replace("c=IN IP4 10.0.0.7", "c=IN IP4 10.0.0.7/127"),
        ),
        ("an empty attribute", good.to_owned() + "a=\r\n"),
        ("a b= of nonsense", good.to_owned() + "b=AS:fast\r\n"),
        ("blank lines", format!("\r\n{good}\r\n\r\n")),
    ] {
        assert_eq!(read(&text).as_ref(), Ok(&expected), "{what}");
    }
    let mut latin = good.replace("s=-", "s=T?r").into_bytes();
    let at = latin.iter().position(|b| *b == b'?').unwrap();
    latin[at] = 0xfc;
    assert_eq!(Description::parse(&latin), Ok(expected));
}

#[test]
fn a_host_name_is_kept_for_its_owner_to_resolve() {
    let text = "v=0\r\nc=IN IP4 door.example\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:4007\r\n";
    let stream = read(text).unwrap().streams.remove(0);
    assert_eq!(stream.host.as_deref(), Some("door.example"));
    let at = |port| Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    assert_eq!((stream.rtp, stream.rtcp), (at(4000), at(4007)));
    assert!(stream.direction.receives());
    let gone = "v=0\r\nc=IN IP6 hold.invalid\r\nm=audio 4000 RTP/AVP 8\r\n";
    assert!(!read(gone).unwrap().streams[0].direction.receives());
}

#[test]
fn a_zone_is_left_to_the_receiving_interface() {
    for address in ["fe80::1%eth0", "[fe80::1%eth0]", "fe80::1"] {
        let text = format!("v=0\r\nc=IN IP6 {address}\r\nm=audio 4000 RTP/AVP 8\r\n");
        let rtp = read(&text).unwrap().streams[0].rtp;
        assert_eq!(rtp, Some("[fe80::1]:4000".parse().unwrap()));
    }
}

#[test]
fn a_port_that_is_none_refuses_the_stream_only() {
    let text = "v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 70000 RTP/AVP 8\r\nm=audio x RTP/AVP 8\r\nm=audio 4000 RTP/AVP 8\r\n";
    let ports: Vec<_> = read(text)
        .unwrap()
        .streams
        .iter()
        .map(|s| s.rtp.is_some())
        .collect();
    assert_eq!(ports, [false, false, true]);
}

#[test]
fn what_cannot_be_used_says_where() {
    let head = "v=0\r\nc=IN IP4 10.0.0.7\r\n";
    let formats = (0..100)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    for (text, error) in [
        (head.to_owned(), DescriptionError::NoStream),
        (
            format!("{head}m=audio 1 RTP/AVP\r\n"),
            DescriptionError::MediaLine(1),
        ),
        (
            "v=0\r\nm=audio 1 RTP/AVP 8\r\n".into(),
            DescriptionError::NoAddress(1),
        ),
        (
            format!("{head}{}", "m=audio 1 RTP/AVP 8\r\n".repeat(17)),
            DescriptionError::TooManyStreams(17),
        ),
        (
            format!("{head}{}", "a=x\r\n".repeat(2000)),
            DescriptionError::TooLong,
        ),
    ] {
        assert_eq!(read(&text), Err(error));
    }
    let mapped: String = (0..100)
        .map(|n| format!("a=rtpmap:{n} c{n}/8000\r\n"))
        .collect();
    let text = format!("{head}m=audio 1 RTP/AVP {formats}\r\n{mapped}");
    assert_eq!(read(&text), Err(DescriptionError::TooManyFormats(1)));
}

/// The shape of what baresip 1.0.0 sends.
#[test]
fn baresip() {
    let text = "v=0\r\no=- 1234 567 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        a=tool:baresip 1.0.0\r\nm=audio 40000 RTP/AVP 96 9 0 8 101\r\nb=AS:125\r\n\
        a=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1;sprop-stereo=1\r\na=rtpmap:9 G722/8000\r\n\
        a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=rtcp:40001\r\na=sendrecv\r\na=label:1\r\na=rtcp-rsize\r\n\
        a=ssrc:1 cname:sip:a@b\r\na=ptime:20\r\n";
    let offered = read(text).unwrap();
    let codecs: Vec<_> = offered.streams[0]
        .formats
        .iter()
        .filter_map(|f| f.codec())
        .collect();
    use Codec::{G722, Opus, Pcma, Pcmu, TelephoneEvent};
    assert_eq!(codecs, [Opus, G722, Pcmu, Pcma, TelephoneEvent]);
    let made = written(&offer_from(&offered, &ours(20_000, 1)));
    for end_to_end in ["127.0.0.1", "ssrc", "label", "tool", "a=rtcp:"] {
        assert!(!made.contains(end_to_end), "{made}");
    }
    assert!(made.contains("b=AS:125\n") && made.contains("a=ptime:20\n"));
    assert!(made.contains("a=fmtp:96 stereo=1;sprop-stereo=1\n"));
}

/// The shape of what a browser sends; nothing of it can be carried without DTLS.
#[test]
fn a_browser() {
    let text = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0 1\r\na=msid-semantic: WMS\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r\n\
        c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\n\
        a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n\
        a=rtpmap:111 opus/48000/2\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n\
        a=rtpmap:96 VP8/90000\r\n";
    let offered = read(text).unwrap();
    assert_eq!(offered.streams.len(), 2);
    assert!(!offered.streams.iter().any(|stream| stream.is_relayable()));
    assert!(offered.live(&Kind::Audio).is_none());
}

/// An intercom camera of the plain kind: video first, no rtpmap for its audio.
#[test]
fn a_door_station_with_video_first() {
    let text = "v=0\no=door 1 1 IN IP4 10.0.0.7\ns=Talk\nc=IN IP4 10.0.0.7\nt=0 0\n\
        m=video 5002 RTP/AVP 104\na=rtpmap:104 H264/90000\n\
        a=fmtp:104 packetization-mode=1;profile-level-id=4d001f;sprop-parameter-sets=Z00AH52oFAFum4CAgKAAAAMAIAAAAwHwgA==,aO48gA==\n\
        a=sendonly\nm=audio 5000 RTP/AVP 0 8\na=ptime:30\n";
    let offered = read(text).unwrap();
    let made = written(&offer_from(&offered, &ours(20_000, 2)));
    assert!(made.starts_with("m=video 20000 RTP/AVP 104\n"));
    assert!(made.contains("sprop-parameter-sets=Z00AH52oFAFum4CAgKAAAAMAIAAAAwHwgA==,aO48gA==\n"));
    assert!(made.contains("a=sendonly\nm=audio 20002 RTP/AVP 0 8 101\n"));
}
