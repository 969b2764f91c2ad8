//! Calls that change while they last.

use e2e::{Capture, Pjsua2, at_site, house, not_run, sound, wait};

/// The gateway holds in place of the other side, which is not asked: it hears
/// nothing until the call goes on.
#[test]
fn a_held_station_hears_nothing_until_the_call_goes_on() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let capture = Capture::start(site.folder())?;
        let mut caller = house::station(site, &gateway, "102")?;
        let callee = house::answering_station(site, &gateway, "103")?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.wait_until_heard(0.5)?;
        caller.hold()?;
        gateway.wait_for_state("held")?;
        let before = callee.seconds_heard()?;
        caller.resume()?;
        gateway.wait_for_state("talking")?;
        callee.wait_until_heard(before + 1.0)?;
        caller.hang_up()?;
        gateway.wait_for_calls(0)?;
        sound::measure(&callee.heard()?, before + 0.3)?.must_be_tone(440.0, 0.5)?;
        capture.stop()?.must_be_well_formed(gateway.address)
    });
}

#[test]
fn linphone_holds_and_resumes() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut linphone = house::linphone(site, &gateway, "102")?;
        let callee = house::answering_station(site, &gateway, "103")?;
        let call = linphone.dial(&gateway.uri("103"))?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        callee.wait_until_heard(0.5)?;
        linphone.hold(call)?;
        linphone.wait_for_state(call, "Paused")?;
        gateway.wait_for_state("held")?;
        linphone.resume(call)?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        gateway.wait_for_state("talking")?;
        // Its player ended with the streams of before.
        linphone.speak(call)?;
        callee.wait_until_heard(callee.seconds_heard()? + 0.5)
    });
}

#[test]
fn pjsua2_holds_and_resumes() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut station = house::pjsua2(site, &gateway, "102")?;
        let callee = house::answering_station(site, &gateway, "103")?;
        station.dial(&gateway.uri("103"))?;
        station.event("call CONFIRMED")?;
        station.command("hold")?;
        gateway.wait_for_state("held")?;
        station.command("resume")?;
        gateway.wait_for_state("talking")?;
        callee.wait_until_heard(callee.seconds_heard()? + 0.5)
    });
}

#[test]
fn a_call_is_transferred_and_the_one_who_did_it_is_out() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut first = house::answering_station(site, &gateway, "103")?;
        let mut second = house::answering_station(site, &gateway, "104")?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        first.event("CALL_ESTABLISHED")?;
        first.transfer(&gateway.uri("104"))?;
        second.event("CALL_ESTABLISHED")?;
        first.event("CALL_CLOSED")?;
        second.wait_until_heard(1.0)?;
        wait::until_true("one call of two stations", || {
            let calls = gateway.calls()?;
            Ok(calls.len() == 1)
        })?;
        caller.hang_up()?;
        second.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn linphone_transfers_a_call() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut linphone = house::linphone(site, &gateway, "103")?;
        let mut second = house::answering_station(site, &gateway, "104")?;
        caller.dial(&gateway.uri("103"))?;
        linphone.wait_for_state(1, "IncomingReceived")?;
        linphone.answer(1)?;
        linphone.wait_for_state(1, "StreamsRunning")?;
        linphone.transfer(1, &gateway.uri("104"))?;
        second.event("CALL_ESTABLISHED")?;
        linphone.wait_for_state(1, "Released")?;
        caller.hang_up()?;
        second.event("CALL_CLOSED")?;
        Ok(())
    });
}
