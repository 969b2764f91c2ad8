//! A ring group rings all its members, and whoever answers first gets the call.

use e2e::{Capture, at_site, house};

#[test]
fn the_first_to_answer_gets_the_call_and_the_others_stop_ringing() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let capture = Capture::start(site.folder())?;
        let mut caller = house::station(site, &gateway, "102")?;
        let mut members = Vec::new();
        for number in ["103", "104", "105"] {
            members.push(house::station(site, &gateway, number)?);
        }
        caller.dial(&gateway.uri("200"))?;
        for member in &mut members {
            member.event("CALL_INCOMING")?;
        }
        members[1].answer()?;
        caller.event("CALL_ESTABLISHED")?;
        members[1].event("CALL_ESTABLISHED")?;
        members[0].event("CALL_CLOSED")?;
        members[2].event("CALL_CLOSED")?;
        caller.wait_until_heard(1.0)?;
        caller.hang_up()?;
        members[1].event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;

        let wire = capture.stop()?;
        wire.must_be_well_formed(gateway.address)?;
        let from_gateway = wire.sip_from(gateway.address)?;
        let cancels = from_gateway.iter().filter(|sent| *sent == "CANCEL").count();
        assert_eq!(cancels, 2, "{from_gateway:?}");
        // RFC 3326: so that a phone does not show a missed call.
        let told = "sip.Method == \"CANCEL\" && sip.Reason contains \"200\"";
        assert_eq!(wire.count(told)?, 2);
        Ok(())
    });
}
