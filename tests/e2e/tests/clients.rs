//! The clients against each other, without the gateway: what they cannot do
//! among themselves, they must not be blamed on us for.

use std::path::Path;

use anyhow::Result;
use e2e::baresip::{Answers, Setup};
use e2e::network::CABLE;
use e2e::sipp::{Load, Side};
use e2e::{Baresip, Capture, Kamailio, Linphone, Pjsua2, Sipp, Site, at_site, not_run, sound};

fn registered<'a>(user: &'a str, site: &Site, host: u8, registrar: &Kamailio) -> Setup<'a> {
    Setup {
        registrar: Some(registrar.host.clone()),
        ..Setup::new(user, site.host(host))
    }
}

fn must_be_tone(file: &Path, hertz: f64) -> Result<()> {
    sound::measure(file, 0.3)?.must_be_tone(hertz, 1.0)
}

#[test]
fn baresip_calls_baresip_and_tshark_sees_whole_streams() {
    at_site(|site| {
        let kamailio = Kamailio::start(site.host(1), site.folder())?;
        let capture = Capture::start(site.folder())?;
        let alice = registered("alice", site, 2, &kamailio);
        let bob = Setup {
            hertz: 1000,
            answers: Answers::ByItself,
            ..registered("bob", site, 3, &kamailio)
        };
        let mut alice = Baresip::start(&alice, site.folder())?;
        let mut bob = Baresip::start(&bob, site.folder())?;
        alice.dial(&format!("sip:bob@{}", kamailio.host))?;
        alice.event("CALL_ESTABLISHED")?;
        bob.event("CALL_ESTABLISHED")?;
        bob.wait_until_heard(2.0)?;
        alice.digit('5')?;
        assert_eq!(bob.event("CALL_DTMF_START")?["param"], "5");
        alice.hang_up()?;
        bob.event("CALL_CLOSED")?;
        must_be_tone(&bob.heard()?, 440.0)?;
        must_be_tone(&alice.heard()?, 1000.0)?;

        let wire = capture.stop()?;
        wire.must_be_well_formed(site.host(1))?;
        let streams = wire.rtp_streams()?;
        assert_eq!(streams.len(), 2, "{streams:#?}");
        for stream in &streams {
            stream.must_be_complete(75)?;
        }
        Ok(())
    });
}

#[test]
fn linphone_calls_baresip() {
    at_site(|site| {
        let kamailio = Kamailio::start(site.host(1), site.folder())?;
        let bob = Setup {
            answers: Answers::ByItself,
            ..registered("bob", site, 3, &kamailio)
        };
        let mut bob = Baresip::start(&bob, site.folder())?;
        let mut linphone = Linphone::start(site.host(2), site.folder())?;
        linphone.register("lin", "", &kamailio.host)?;
        let call = linphone.dial(&format!("sip:bob@{}", kamailio.host))?;
        bob.event("CALL_ESTABLISHED")?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        linphone.digit('7')?;
        assert_eq!(bob.event("CALL_DTMF_START")?["param"], "7");
        bob.wait_until_heard(2.5)?;
        linphone.hang_up(call)?;
        bob.event("CALL_CLOSED")?;
        sound::measure(&bob.heard()?, 1.0)?.must_be_tone(600.0, 1.0)
    });
}

#[test]
fn pjsua2_calls_baresip() {
    if let Some(why) = Pjsua2::missing() {
        not_run::note("pjsua2", &why);
        return;
    }
    at_site(|site| {
        let kamailio = Kamailio::start(site.host(1), site.folder())?;
        let bob = Setup {
            answers: Answers::ByItself,
            ..registered("bob", site, 3, &kamailio)
        };
        let mut bob = Baresip::start(&bob, site.folder())?;
        let mut station = Pjsua2::start(site.host(2), site.folder())?;
        station.register("pj", "", &kamailio.host)?;
        station.dial(&format!("sip:bob@{}", kamailio.host))?;
        station.event("call CONFIRMED")?;
        bob.event("CALL_ESTABLISHED")?;
        station.command("digit 9")?;
        assert_eq!(bob.event("CALL_DTMF_START")?["param"], "9");
        bob.wait_until_heard(2.0)?;
        station.command("hangup")?;
        station.event("call DISCONN")?;
        bob.event("CALL_CLOSED")?;
        must_be_tone(&bob.heard()?, 800.0)?;
        must_be_tone(station.heard(), 440.0)
    });
}

#[test]
fn sipp_calls_sipp_with_link_local_addresses() {
    at_site(|site| {
        let side = |host, port| Side {
            address: site.link_local(host).into(),
            interface: Some(CABLE),
            port,
        };
        let folder = site.folder();
        let answerer = Sipp::start("answer", side(3, 5070), None, Load::ONCE, &[], folder)?;
        let keys = [("to", "bob"), ("from", "alice")];
        Sipp::start(
            "call",
            side(2, 5080),
            Some(side(3, 5070)),
            Load::ONCE,
            &keys,
            folder,
        )?
        .must_succeed()?;
        answerer.must_succeed()
    });
}
