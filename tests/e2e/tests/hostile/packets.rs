//! Packets at the media ports that nobody asked for.

use e2e::raw::{self, Request};
use e2e::{Flood, at_site, house, sound, wait};

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
pub(crate) const JUNK: [&[u8]; 5] = [
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
