//! Packets at the media ports that nobody asked for.

use anyhow::Context;
use e2e::raw::{self, Request};
use e2e::{Flood, Gateway, at_site, house, sound, wait};

use crate::victims::Victims;

/// Speech of somebody: well-formed RTP, a-law at full loudness.
fn speech(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend([0xaa; 160]);
    packet
}

/// What is no RTP, or none that was agreed on.
const JUNK: [&[u8]; 5] = [
    &[],
    &[0x80],
    &[0xff; 40],
    // A padding longer than the packet.
    &[0xa0, 8, 0, 9, 0, 0, 0, 160, 1, 2, 3, 4, 0xff],
    // An RTCP report that says it is longer than it is.
    &[0x80, 200, 0xff, 0xff, 0, 0, 0, 1],
];

#[test]
fn junk_and_foreign_speech_are_not_heard_in_a_call() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut victims = Victims::new(site, &gateway)?;
        victims.caller().dial(&gateway.uri("103"))?;
        victims.caller().event("CALL_ESTABLISHED")?;
        victims.callee().wait_until_heard(0.5)?;
        let socket = raw::socket_at(house::attacker(site))?;
        for round in 0..10 {
            for port in 20_000..20_200 {
                for packet in JUNK.into_iter().chain([speech(round).as_slice()]) {
                    socket.send_to(packet, (gateway.address, port))?;
                }
            }
        }
        victims.callee().wait_until_heard(3.0)?;
        victims.caller().hang_up()?;
        victims.callee().event("CALL_CLOSED")?;
        // The last recording is this call's; a foreign voice would change the tone.
        sound::measure(&victims.callee().heard()?, 0.5)?.must_be_tone(440.0, 1.5)?;
        victims.must_be_bounded(&gateway)
    });
}

/// A station may be out of its mind; the packets come from the right address.
#[test]
fn junk_of_a_station_is_counted_and_its_call_goes_on() {
    at_site(|site| {
        let trusted = house::attacker(site);
        let setup = house::setup(site).trusted(&trusted.to_string());
        let gateway = Gateway::start(&setup, site.folder())?;
        let callee = house::answering_station(site, &gateway, "103")?;
        let (signalling, media) = (raw::socket_at(trusted)?, raw::socket_at(trusted)?);
        let mut invite = Request::new("INVITE", gateway.address, "102", signalling.local_addr()?);
        invite.uri = gateway.uri("103");
        invite.to_user = "103".to_owned();
        invite.more = "Content-Type: application/sdp\r\n".to_owned();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {trusted}\r\ns=-\r\nc=IN IP4 {trusted}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 8\r\n",
            media.local_addr()?.port()
        );
        invite.body = &body;
        let answer = raw::ask(&signalling, gateway.sip(), &invite)?;
        let port = answer
            .split("m=audio ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .with_context(|| format!("no audio in {answer}"))?;
        let port: u16 = port.parse()?;
        let tag = answer
            .lines()
            .find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1))
            .context("an answer without a tag")?;
        let mut ack = Request {
            method: "ACK",
            more: String::new(),
            body: "",
            ..invite.clone()
        };
        ack.to_tag = Some(tag.to_owned());
        signalling.send_to(ack.text().as_bytes(), gateway.sip())?;
        let mut number = 0;
        wait::until_true("enough of a recording", || {
            number += 1;
            media.send_to(&speech(number), (gateway.address, port))?;
            media.send_to(
                JUNK[usize::from(number) % JUNK.len()],
                (gateway.address, port),
            )?;
            Ok(callee.seconds_heard()? >= 1.0)
        })?;
        gateway.wait_for_metric(&["media_packets_refused", "malformed"], 10.0)
    });
}

#[test]
fn datagrams_of_the_greatest_length_hold_up_nobody() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut victims = Victims::new(site, &gateway)?;
        let address = gateway.address;
        let flood = Flood::start(
            &[house::attacker(site)],
            gateway.sip(),
            500,
            move |number, local| {
                let mut request = Request::new("OPTIONS", address, "102", local);
                request.call = format!("long{number}");
                request.more = format!("X-Long: {}\r\n", "x".repeat(64_000));
                request.text()
            },
        )?;
        victims.must_be_served(&gateway)?;
        wait::until_true("the flood to be long enough", || Ok(flood.sent() >= 1_000))?;
        flood.end()?;
        victims.must_be_bounded(&gateway)
    });
}
