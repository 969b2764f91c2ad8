//! Two stations talk: three independent SIP stacks, both directions heard.

use std::path::Path;

use anyhow::Result;
use e2e::baresip::{Answers, Setup};
use e2e::{Baresip, Capture, Pjsua2, Site, at_site, house, not_run, sound};

fn must_be_tone(file: &Path, hertz: f64) -> Result<()> {
    sound::measure(file, 0.3)?.must_be_tone(hertz, 1.0)
}

fn answering_with(
    site: &Site,
    gateway: &e2e::Gateway,
    number: &str,
    hertz: u32,
) -> Result<Baresip> {
    let setup = Setup {
        hertz,
        answers: Answers::ByItself,
        ..house::baresip(site, gateway, number)
    };
    Baresip::start(&setup, site.folder())
}

#[test]
fn two_stations_hear_each_other_and_nothing_on_the_wire_is_wrong() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let capture = Capture::start(site.folder())?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut callee = answering_with(site, &gateway, "103", 1000)?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        assert_eq!(gateway.calls()?.len(), 1);
        caller.wait_until_heard(2.0)?;
        callee.wait_until_heard(2.0)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;
        must_be_tone(&callee.heard()?, 440.0)?;
        must_be_tone(&caller.heard()?, 1000.0)?;

        let wire = capture.stop()?;
        wire.must_be_well_formed(gateway.address)?;
        wire.must_have_dscp(gateway.address, 46)?;
        let streams = wire.rtp_streams()?;
        assert_eq!(streams.len(), 4, "two in, two out: {streams:#?}");
        for stream in &streams {
            stream.must_be_complete(75)?;
        }
        assert!(
            streams
                .iter()
                .all(|s| s.from == gateway.address || s.to == gateway.address),
            "all speech goes through the gateway: {streams:#?}"
        );
        Ok(())
    });
}

#[test]
fn linphone_and_baresip_talk() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut linphone = house::linphone(site, &gateway, "102")?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        let call = linphone.dial(&gateway.uri("103"))?;
        callee.event("CALL_ESTABLISHED")?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        callee.wait_until_heard(2.5)?;
        linphone.digit('7')?;
        assert_eq!(callee.event("CALL_DTMF_START")?["param"], "7");
        callee.hang_up()?;
        linphone.wait_for_state(call, "Released")?;
        gateway.wait_for_calls(0)?;
        sound::measure(&callee.heard()?, 1.0)?.must_be_tone(600.0, 1.0)
    });
}

#[test]
fn linphone_is_called() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut linphone = house::linphone(site, &gateway, "103")?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_RINGING")?;
        linphone.wait_for_state(1, "IncomingReceived")?;
        linphone.answer(1)?;
        caller.event("CALL_ESTABLISHED")?;
        linphone.wait_for_state(1, "StreamsRunning")?;
        caller.hang_up()?;
        linphone.wait_for_state(1, "Released")
    });
}

#[test]
fn pjsua2_and_baresip_talk() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut station = house::pjsua2(site, &gateway, "102")?;
        let mut callee = answering_with(site, &gateway, "103", 1000)?;
        station.dial(&gateway.uri("103"))?;
        station.event("call CONFIRMED")?;
        callee.wait_until_heard(2.0)?;
        station.command("digit 9")?;
        assert_eq!(callee.event("CALL_DTMF_START")?["param"], "9");
        station.command("hangup")?;
        callee.event("CALL_CLOSED")?;
        must_be_tone(&callee.heard()?, 800.0)?;
        must_be_tone(station.heard(), 1000.0)
    });
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut callee = house::station(site, &gateway, "103")?;
        caller.dial(&gateway.uri("103"))?;
        callee.event("CALL_INCOMING")?;
        caller.event("CALL_RINGING")?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn whoever_is_not_there_is_said_to_be_not_there() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        for (number, answer) in [("103", "480"), ("999", "404")] {
            caller.dial(&gateway.uri(number))?;
            let closed = caller.event("CALL_CLOSED")?;
            let reason = closed["param"].as_str().unwrap_or_default();
            assert!(reason.starts_with(answer), "{number}: {closed}");
        }
        gateway.wait_for_calls(0)
    });
}

#[test]
fn a_call_ended_by_the_operator_ends_at_both_stations() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        let call = gateway.calls()?[0]["call"].to_string();
        gateway.ask(&["end", &call])?;
        caller.event("CALL_CLOSED")?;
        callee.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}
