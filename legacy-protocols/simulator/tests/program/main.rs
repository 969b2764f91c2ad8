//! The program as a whole: a gateway's port on its line, orders at its socket, sound in and out.

mod world;

use std::net::UdpSocket;
use std::time::Duration;

use legacy_protocols::command::{Command, Verdict};
use legacy_protocols::event::{CallConnected, Event};
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use world::{Gateway, Program, Way};

/// G.722 and telephone sound have as many octets in 20 ms (RFC 3551).
const OCTETS: usize = 12 + 160;
const G722: u8 = 9;

#[test]
fn c9_a_button_is_pressed_and_what_is_said_there_is_heard_in_wideband() {
    let program = Program::start(Way::Unix);
    let mut gateway = Gateway::connect(&program);
    gateway.until_up();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut orders = program.orders();
    orders.ok("play gate speech.wav");
    orders.ok("press gate 1");
    let setup = gateway.asked(|command| match command {
        Command::CallSetup(setup) => Some(setup),
        _ => None,
    });
    gateway.answer(Verdict::Accepted);
    let address = phone.local_addr().unwrap();
    gateway.tell(Event::CallConnected(CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: Some(SoundEnd {
            address,
            codecs: SoundCodecs::ALL,
            keys: SoundKeys::OnTheLine,
        }),
    }));
    gateway.pump_until(|_| orders.try_ok("wait with gate 2/104 within 0"));
    let mut packet = [0; 2048];
    let mut payloads = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let (length, from) = phone.recv_from(&mut packet).unwrap();
        assert_eq!(length, OCTETS);
        assert_eq!(packet[1] & 0x7F, G722);
        assert_eq!(from, setup.sound.unwrap().address);
        payloads.insert(packet[12..length].to_vec());
        // What is said comes back to the station.
        phone.send_to(&packet[..length], from).unwrap();
    }
    assert!(payloads.len() > 25, "it is speech, not one tone or silence");
    orders.ok("record gate heard.wav");
    for _ in 0..25 {
        let (length, from) = phone.recv_from(&mut packet).unwrap();
        phone.send_to(&packet[..length], from).unwrap();
    }
    orders.ok("record gate off");
    let mut heard = hound::WavReader::open(program.path("heard.wav")).unwrap();
    let samples = heard.samples::<i16>().map(Result::unwrap);
    let loud = samples
        .filter(|sample| sample.unsigned_abs() > 1000)
        .count();
    assert!(loud > 1000, "what came was not heard: {loud}");
    orders.ok("hangup gate");
    gateway.asked(|command| matches!(command, Command::CallRelease { .. }).then_some(()));
}

#[test]
fn b9_the_same_site_over_a_serial_cable_that_is_cut_and_heals() {
    let program = Program::start(Way::Serial);
    let mut gateway = Gateway::connect(&program);
    gateway.until_up();
    let mut orders = program.orders();
    orders.ok("wait line gateway up");
    orders.ok("line gateway cut");
    orders.ok("wait line gateway down");
    gateway.closed();
    orders.ok("line gateway heal");
    gateway.until_up();
    orders.ok("press gate 2");
    gateway.event(|event| matches!(event, Event::RequestNew(_)));
}

#[test]
fn what_is_wrong_is_said_and_the_program_goes_on() {
    let program = Program::start(Way::Unix);
    let mut orders = program.orders();
    assert_eq!(
        orders.order("press gate 9"),
        Err("Gate East has no button 9".to_owned())
    );
    assert!(orders.order("play gate nothing.wav").is_err());
    let vain = orders.order("wait station gate ringing within 0");
    assert!(vain.unwrap_err().starts_with("waited in vain"));
    let status = orders.order("status").unwrap();
    assert!(status.contains("gate 1/2101: idle"), "{status}");
}
