//! A door is opened during a call by its code, and by the operator; once, and
//! only by those who may.

use e2e::{Pjsua2, at_site, house, not_run};

#[test]
fn the_code_dialled_in_the_call_opens_the_door_once() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        let mut door_station = house::station(site, &gateway, "102")?;
        let mut desk = house::answering_station(site, &gateway, "103")?;
        door_station.dial(&gateway.uri("103"))?;
        desk.event("CALL_ESTABLISHED")?;
        desk.digit('#')?;
        desk.digit('1')?;
        device.must_open()?;
        desk.hang_up()?;
        door_station.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;
        device.must_not_have_opened()
    });
}

#[test]
fn linphone_opens_the_door_too() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        let mut door_station = house::answering_station(site, &gateway, "102")?;
        let mut linphone = house::linphone(site, &gateway, "103")?;
        let call = linphone.dial(&gateway.uri("102"))?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        linphone.digit('#')?;
        // Linphone does not queue digits.
        door_station.digit_heard('#')?;
        linphone.digit('1')?;
        device.must_open()
    });
}

#[test]
fn pjsua2_opens_the_door_too() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        let _door_station = house::answering_station(site, &gateway, "102")?;
        let mut desk = house::pjsua2(site, &gateway, "103")?;
        desk.dial(&gateway.uri("102"))?;
        desk.event("call CONFIRMED")?;
        desk.command("digit #1")?;
        device.must_open()
    });
}

#[test]
fn a_wrong_code_opens_nothing() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        let mut door_station = house::answering_station(site, &gateway, "102")?;
        let mut desk = house::station(site, &gateway, "103")?;
        desk.dial(&gateway.uri("102"))?;
        desk.event("CALL_ESTABLISHED")?;
        desk.digit('#')?;
        desk.digit('2')?;
        // The next digit is heard at the door, so the one before was judged.
        desk.digit('9')?;
        door_station.digit_heard('9')?;
        device.must_not_have_opened()
    });
}

#[test]
fn the_operator_opens_the_door_without_a_call() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        gateway.ask(&["open", "gate"])?;
        device.must_open()
    });
}
