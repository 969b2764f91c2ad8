//! `decode` from outside: text in, JSON lines and a verdict out.

use serde_json::Value;

use super::*;

const OPTIONS: &str = "OPTIONS sip:gate@192.0.2.4 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n\
    f: \"Desk\" <sip:102@192.0.2.4>;tag=7\r\nt: <sip:gate@192.0.2.4>\r\ni: abc\r\nCSeq: 3 OPTIONS\r\n\
    Authorization: Digest username=\"102\", response=\"0123456789abcdef0123456789abcdef\"\r\nl: 0\r\n\r\n";

fn decoded(input: &[u8]) -> (Verdict, Vec<Value>) {
    let mut out = Vec::new();
    let verdict = decode(input, None, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (verdict, lines.collect())
}

#[test]
fn a_message_is_shown_with_full_names_and_without_secrets() {
    let (verdict, lines) = decoded(OPTIONS.as_bytes());
    assert_eq!(verdict, Verdict::Understood);
    let message = &lines[0];
    assert_eq!(message["kind"], "sip_request");
    assert_eq!(message["method"], "OPTIONS");
    assert_eq!(message["uri"]["host"], "192.0.2.4");
    assert_eq!(message["from"]["display"], "Desk");
    assert_eq!(message["cseq"]["number"], 3);
    assert_eq!(message["headers"][0]["name"], "Via");
    assert!(
        !message.to_string().contains("0123456789abcdef"),
        "{message}"
    );
}

#[test]
fn a_refused_message_tells_where_why_and_what_its_sender_hears() {
    let broken = OPTIONS.replace("CSeq: 3 OPTIONS", "CSeq: 3 INVITE");
    let (verdict, lines) = decoded(broken.as_bytes());
    assert_eq!(verdict, Verdict::Refused);
    assert_eq!(lines[0]["verdict"], "refused");
    assert_eq!(lines[0]["answer"], 400);
    assert!(lines[0]["offset"].as_u64().unwrap() > 0);
    assert!(
        lines[0]["why"].as_str().unwrap().contains("CSeq"),
        "{lines:?}"
    );
}

#[test]
fn a_description_is_shown_as_streams_without_keys() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
               m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let (verdict, lines) = decoded(sdp.as_bytes());
    assert_eq!(verdict, Verdict::Understood);
    assert_eq!(lines[0]["streams"][0]["rtp"], "192.0.2.9:4000");
    assert_eq!(lines[0]["streams"][0]["formats"][0]["codec"], "PCMA/8000");
    assert_eq!(lines[0]["streams"][0]["keys"], 1);
    assert!(!lines[0].to_string().contains("WVNfX19z"));
    let (verdict, lines) = decoded(b"v=0\r\nnonsense");
    assert_eq!(
        (verdict, &lines[0]["kind"]),
        (Verdict::Refused, &Value::from("sdp"))
    );
}

#[test]
fn what_is_nothing_of_ours_is_not_recognised() {
    for input in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"", &[0; 300]] {
        assert_eq!(decoded(input).0, Verdict::NotRecognised);
    }
}

/// A pcap file of Ethernet packets.
fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(65_535_u32.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
        file.extend(1_800_000_000_u32.to_le_bytes());
        file.extend(250_000_u32.to_le_bytes());
        file.extend(length);
        file.extend(length);
        file.extend(packet);
    }
    file
}

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    etherparse::PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([192, 0, 2, 9], [192, 0, 2, 4], 64)
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    ethernet()
        .udp(5062, 5060)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

fn tcp(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let segment = ethernet().tcp(5062, 5060, sequence, 1024);
    segment.write(&mut packet, payload).unwrap();
    packet
}

#[test]
fn a_capture_gives_a_line_for_each_message_and_one_that_sums_up() {
    let file = pcap(&[udp(OPTIONS.as_bytes()), udp(&[0x80; 172]), udp(b"\r\n\r\n")]);
    let (verdict, lines) = decoded(&file);
    assert_eq!(verdict, Verdict::Understood);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(lines[0]["time"], "1800000000.250000");
    assert_eq!(lines[0]["source"], "192.0.2.9:5062");
    assert_eq!(lines[0]["method"], "OPTIONS");
    assert_eq!(
        (&lines[1]["packets"], &lines[1]["other_datagrams"]),
        (&3.into(), &2.into())
    );
}

#[test]
fn a_tcp_stream_is_put_together_whatever_the_order_of_its_segments() {
    let text = OPTIONS.as_bytes();
    // Second before first, the first repeated; the numbers pass zero.
    let start = u32::MAX - 20;
    let cut = 100;
    let second = start.wrapping_add(cut as u32);
    let mut http = Vec::new();
    let segment = ethernet().tcp(40_000, 80, 7, 1024);
    segment.write(&mut http, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let file = pcap(&[
        tcp(start, &text[..20]),
        tcp(second, &text[cut..]),
        tcp(start, &text[..cut]),
        tcp(second, &text[cut..]),
        tcp(second.wrapping_add((text.len() - cut) as u32), text),
        http,
    ]);
    let (verdict, lines) = decoded(&file);
    assert_eq!(verdict, Verdict::Understood, "{lines:#?}");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(
        (&lines[0]["packet"], &lines[1]["packet"]),
        (&3.into(), &5.into())
    );
}

#[test]
fn a_capture_that_is_cut_off_is_read_as_far_as_it_goes() {
    let file = pcap(&[udp(OPTIONS.as_bytes()), udp(OPTIONS.as_bytes())]);
    let (verdict, lines) = decoded(&file[..file.len() - 9]);
    assert_eq!(verdict, Verdict::Refused);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1]["broken"]
            .as_str()
            .unwrap()
            .contains("middle of a packet"),
        "{lines:#?}"
    );
}

fn decoded_as(form: Form, input: &[u8]) -> (Verdict, Vec<Value>) {
    let mut out = Vec::new();
    let verdict = decode(input, Some(form), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (verdict, lines.collect())
}

#[test]
fn frames_of_the_open_link_are_read_as_octets_as_hex_and_as_printed() {
    // Keys "1#4" of station 201 of node 2, in an I frame.
    let keys = "01 01 0F 3A 0002 0001 0007 0009 10 02 02 01 36 03 31 23 34";
    let payload = lines::unhex(keys.as_bytes()).unwrap();
    let octets = legacy_protocols::open_link::frame(&[&[2, 2][..], &payload].concat());
    let noise = [&octets[..], &[0x55, 0x55, 0x7E], &octets[..]].concat();
    let (verdict, read) = decoded(&noise);
    assert_eq!((verdict, read.len()), (Verdict::Refused, 3), "{read:#?}");
    assert_eq!(read[0]["kind"], "open_link");
    assert_eq!(read[0]["message"]["type"], "3a", "{read:#?}");
    assert_eq!(read[0]["link"]["number"], 1);
    assert!(!read[0].to_string().contains("1#4"), "{read:#?}");
    assert_eq!(read[1]["verdict"], "refused");
    assert_eq!(read[1]["offset"], octets.len() - 1);
    let hex = crate::timeline::entry::hex(&octets);
    let (verdict, hex) = decoded_as(Form::OpenLink, hex.as_bytes());
    assert_eq!((verdict, &hex[0]), (Verdict::Understood, &read[0]));
    let printed = b"01010F5300010002010300151002210120010121020BB87E087A7B7C7D7E7F8081*56EA\r\n";
    // The published vector is of a door command without an authority: refused, and said why.
    let (verdict, door) = decoded(printed);
    assert_eq!(
        (verdict, &door[0]["kind"]),
        (Verdict::Refused, &"open_link".into()),
        "{door:#?}"
    );
    let broken = b"01010F5300010002010300151002210120010121020BB87E087A7B7C7D7E7F8081*56EB";
    assert!(
        decoded(broken).1[0]["why"]
            .as_str()
            .unwrap()
            .contains("check")
    );
}

#[test]
fn lines_of_acdp_are_read_and_keys_are_not_shown() {
    let input = b"0101 0141 01 41 1234 0050 3201107F 20102F\r\n0102=44\n";
    let (verdict, read) = decoded_as(Form::Acdp, input);
    assert_eq!((verdict, read.len()), (Verdict::Refused, 2), "{read:#?}");
    assert_eq!(
        (&read[0]["id"], &read[0]["reference"]),
        (&"0050".into(), &0x1234.into())
    );
    assert!(!read[0].to_string().contains("102f"), "{read:#?}");
    assert!(
        read[1]["why"].as_str().unwrap().contains("checksum"),
        "{read:#?}"
    );
}

const SETUP: &str = "0001 0000 08 02 0001 05 04 03 8090a3 18 03 a98381 6c 05 0180 313037 70 05 81 \
    34373131 a1";

#[test]
fn frames_of_d_channels_are_read_down_to_their_elements() {
    let keypad = "0081 0000 08 01 01 7B 2C 03 313223";
    let input = format!("{SETUP}\n{keypad}\n02\n");
    let (verdict, read) = decoded_as(Form::Lapd, input.as_bytes());
    assert_eq!((verdict, read.len()), (Verdict::Refused, 3), "{read:#?}");
    let call = &read[0]["call"];
    assert_eq!(
        (&call["message"], &call["reference"]),
        (&"Setup".into(), &1.into())
    );
    assert_eq!(call["elements"][3]["name"], "called number");
    assert_eq!(read[1]["call"]["elements"][0]["name"], "keypad");
    assert!(!read[1].to_string().contains("313223"), "{read:#?}");
    let (verdict, read) = decoded_as(Form::Q931, b"08 02 0001 05");
    assert_eq!(
        (verdict, &read[0]["message"]),
        (Verdict::Understood, &"Setup".into())
    );
    let l1oip = format!("20 10 0000 {SETUP}");
    let (verdict, read) = decoded_as(Form::L1oip, l1oip.as_bytes());
    assert_eq!(verdict, Verdict::Understood, "{read:#?}");
    assert_eq!(
        read[0]["parts"][0]["d_channel"]["call"]["message"], "Setup",
        "{read:#?}"
    );
}

#[test]
fn telegrams_of_a_table_driver_are_read_by_its_table() {
    let manifest = crate::config::driver::preset("mcip-ascii", Default::default()).unwrap();
    let form = Form::Table(Box::new(manifest));
    let (verdict, read) = decoded_as(form, b"Ical 101 201\r\nWhat 1 2\r\n");
    assert_eq!((verdict, read.len()), (Verdict::Understood, 2), "{read:#?}");
    assert_eq!(read[0]["kind"], "table", "{read:#?}");
    assert_eq!(read[0]["event"], "call_connected", "{read:#?}");
    assert_eq!(read[1]["event"], "opaque", "{read:#?}");
}

#[test]
fn captures_of_d_channels_are_read() {
    let frame = lines::unhex(SETUP.as_bytes()).unwrap();
    for (link, packet) in [(203, frame.clone()), (177, [&[0; 16][..], &frame].concat())] {
        let mut file = pcap(&[packet, vec![1]]);
        file[20] = link;
        let (verdict, lines) = decoded(&file);
        assert_eq!((verdict, lines.len()), (Verdict::Refused, 3), "{lines:#?}");
        assert_eq!(lines[0]["call"]["message"], "Setup");
        assert_eq!(lines[0]["time"], "1800000000.250000");
        let sum = &lines[2];
        let counts = (&sum["frames_understood"], &sum["frames_refused"]);
        assert_eq!(counts, (&1.into(), &1.into()));
    }
}

proptest::proptest! {
    #[test]
    fn no_frame_makes_it_panic(input: Vec<u8>, form in 0..6_usize, link in 0..7_usize) {
        let manifest = crate::config::driver::preset("acdp-simple", Default::default()).unwrap();
        let forms = [
            Form::OpenLink, Form::Acdp, Form::Lapd, Form::Q931, Form::L1oip,
            Form::Table(Box::new(manifest)),
        ];
        decode(input.as_slice(), Some(forms[form].clone()), &mut Vec::new()).unwrap();
        let links = [147, 148, 149, 177, 203, 252, 101];
        let mut file = pcap(&[input]);
        file[20] = links[link];
        decode(file.as_slice(), None, &mut Vec::new()).unwrap();
    }

    #[test]
    fn no_input_makes_it_panic(mut input: Vec<u8>, magic in 0..7_usize) {
        let starts: [&[u8]; 7] = [
            &[0xd4, 0xc3, 0xb2, 0xa1], &[0x0a, 0x0d, 0x0d, 0x0a], &[0xa1, 0xb2, 0x3c, 0x4d],
            b"v=0\r\n", b"SIP/2.0 ", b"INVITE sip:a SIP/2.0\r\n", b"",
        ];
        input.splice(0..0, starts[magic].iter().copied());
        decode(input.as_slice(), None, &mut Vec::new()).unwrap();
    }
}
