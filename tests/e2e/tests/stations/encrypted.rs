//! G2: what is said is encrypted on each leg, with clients that nobody here wrote.

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::capture::Wire;
use e2e::{Capture, EncryptedHouse, Pjsua2, Site, at_site, house, not_run, sound};

fn answering(setup: Setup<'_>) -> Setup<'_> {
    Setup {
        answers: Answers::ByItself,
        hertz: 1000,
        ..setup
    }
}

/// What the payloads of RTP between the gateway and a host look like, in bits per octet: encrypted
/// ones as random, those of a tone not at all.
fn entropy(wire: &Wire, site: &Site, host: u8) -> Result<f64> {
    let address = site.host(host);
    let filter = format!("rtp && rtp.version == 2 && ip.addr == {address}");
    let mut seen = [0u64; 256];
    for row in wire.fields(&filter, &["rtp.payload"])? {
        let digits: Vec<u8> = row[0].bytes().filter(u8::is_ascii_hexdigit).collect();
        for pair in digits.chunks_exact(2) {
            let octet = u8::from_str_radix(std::str::from_utf8(pair)?, 16)?;
            seen[usize::from(octet)] += 1;
        }
    }
    let all: u64 = seen.iter().sum();
    ensure!(
        all > 10_000,
        "too little was said to {address}: {all} octets"
    );
    let share = |count: &u64| *count as f64 / all as f64;
    let bits = seen.iter().filter(|count| **count > 0).map(share);
    Ok(-bits.map(|share| share * share.log2()).sum::<f64>())
}

fn must_be_encrypted(wire: &Wire, site: &Site, host: u8) -> Result<()> {
    let bits = entropy(wire, site, host)?;
    ensure!(bits > 7.9, "{bits} bits per octet: that is no encryption");
    Ok(())
}

fn must_be_plain(wire: &Wire, site: &Site, host: u8) -> Result<()> {
    let bits = entropy(wire, site, host)?;
    ensure!(bits < 7.5, "{bits} bits per octet: that is no tone");
    Ok(())
}

#[test]
fn two_encrypted_stations_talk_and_nobody_on_the_wire_hears_them() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let capture = Capture::start(site.folder())?;
        let mut caller = house.baresip("102", |setup| setup)?;
        let mut callee = house.baresip("103", answering)?;
        caller.dial(&house.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(2.5)?;
        callee.wait_until_heard(2.5)?;
        // It offers one suite, and takes the first that it has of those offered.
        assert_eq!(
            house.suites()?,
            ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"]
        );
        caller.digit('7')?;
        callee.digit_heard('7')?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        sound::measure(&caller.heard()?, 0.5)?.must_be_tone(1000.0, 1.5)?;
        sound::measure(&callee.heard()?, 0.5)?.must_be_tone(440.0, 1.5)?;
        let wire = capture.stop()?;
        assert_eq!(wire.count("sip || sdp")?, 0, "keys went over the wire");
        must_be_encrypted(&wire, site, 2)?;
        must_be_encrypted(&wire, site, 3)?;
        assert_eq!(house.gateway.metric(&["srtp_no_keys"])?, 0.0);
        Ok(())
    });
}

#[test]
fn an_encrypted_station_talks_with_a_plain_one_in_another_codec() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "preferred")?;
        let capture = Capture::start(site.folder())?;
        let mut secure = house.baresip("102", |setup| Setup {
            codecs: "G722/16000/1",
            ..setup
        })?;
        let plain = answering(house::baresip(site, &house.gateway, "103"));
        let mut plain = e2e::Baresip::start(&plain, site.folder())?;
        secure.dial(&house.uri("103"))?;
        secure.event("CALL_ESTABLISHED")?;
        secure.wait_until_heard(2.5)?;
        plain.wait_until_heard(2.5)?;
        let suites = house.suites()?;
        assert!(!suites[0].is_empty() && suites[1].is_empty(), "{suites:?}");
        secure.hang_up()?;
        plain.event("CALL_CLOSED")?;
        sound::measure(&secure.heard()?, 0.5)?.must_be_tone(1000.0, 1.5)?;
        sound::measure(&plain.heard()?, 0.5)?.must_be_tone(440.0, 1.5)?;
        let wire = capture.stop()?;
        must_be_encrypted(&wire, site, 2)?;
        must_be_plain(&wire, site, 3)
    });
}

/// Keys are offered beside plain RTP (`RTP/AVP`), and taken in `RTP/SAVPF`.
#[test]
fn where_encryption_is_preferred_whoever_can_is_encrypted() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "preferred")?;
        let mut caller = house.baresip("102", |setup| Setup {
            encryption: "srtp-mandf",
            ..setup
        })?;
        let mut callee = house.baresip("103", |setup| Setup {
            encryption: "srtp",
            ..answering(setup)
        })?;
        caller.dial(&house.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.wait_until_heard(1.5)?;
        caller.wait_until_heard(1.5)?;
        assert!(house.suites()?.iter().all(|suite| !suite.is_empty()));
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        sound::measure(&callee.heard()?, 0.5)?.must_be_tone(440.0, 0.5)
    });
}

#[test]
fn hold_and_resume_keep_an_encrypted_call() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let mut caller = house.baresip("102", |setup| setup)?;
        let mut callee = house.baresip("103", answering)?;
        caller.dial(&house.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.wait_until_heard(0.5)?;
        for _ in 0..2 {
            caller.hold()?;
            house.gateway.wait_for_state("held")?;
            let before = callee.seconds_heard()?;
            caller.resume()?;
            house.gateway.wait_for_state("talking")?;
            callee.wait_until_heard(before + 1.0)?;
        }
        assert!(house.suites()?.iter().all(|suite| !suite.is_empty()));
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        Ok(())
    });
}

#[test]
fn linphone_with_mandatory_srtp_calls_and_is_called() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let mut linphone = house.linphone("102", "")?;
        let mut baresip = house.baresip("103", answering)?;
        let call = linphone.dial(&house.uri("103"))?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        baresip.wait_until_heard(1.5)?;
        assert!(house.suites()?.iter().all(|suite| !suite.is_empty()));
        linphone.hold(call)?;
        linphone.wait_for_state(call, "Paused")?;
        linphone.resume(call)?;
        linphone.wait_for_state(call, "StreamsRunning")?;
        linphone.speak(call)?;
        baresip.wait_until_heard(baresip.seconds_heard()? + 1.0)?;
        linphone.hang_up(call)?;
        baresip.event("CALL_CLOSED")?;

        baresip.dial(&house.uri("102"))?;
        let call = call + 1;
        linphone.wait_for_state(call, "IncomingReceived")?;
        linphone.answer(call)?;
        linphone.speak(call)?;
        baresip.wait_until_heard(1.0)?;
        Ok(())
    });
}

/// Each suite that linphone has, chosen by it alone.
#[test]
fn linphone_talks_by_each_of_its_suites() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let baresip = house.baresip("103", answering)?;
        for (offered, agreed) in [
            ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80"),
            ("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32"),
            ("AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80"),
            ("AES_256_CM_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_32"),
        ] {
            let mut linphone = house.linphone("102", offered)?;
            let call = linphone.dial(&house.uri("103"))?;
            linphone.wait_for_state(call, "StreamsRunning")?;
            linphone.speak(call)?;
            let heard = baresip.seconds_heard()?;
            baresip.wait_until_heard(heard.min(0.1) + 1.0)?;
            assert_eq!(house.suites()?[0], agreed);
            linphone.hang_up(call)?;
            house.gateway.wait_for_calls(0)?;
        }
        assert_eq!(house.gateway.metric(&["srtp_authentication"])?, 0.0);
        Ok(())
    });
}

/// Each suite that pjsip has (its package is built without GCM), chosen by it alone.
#[test]
fn pjsua2_talks_by_each_of_its_suites() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let baresip = house.baresip("103", answering)?;
        for suite in [
            "AES_256_CM_HMAC_SHA1_80",
            "AES_256_CM_HMAC_SHA1_32",
            "AES_CM_128_HMAC_SHA1_80",
            "AES_CM_128_HMAC_SHA1_32",
        ] {
            let mut station = house.pjsua2("102", suite)?;
            station.dial(&house.uri("103"))?;
            station
                .event("call CONFIRMED")
                .with_context(|| suite.to_owned())?;
            assert_eq!(house.suites()?[0], suite);
            baresip.wait_until_heard(1.0)?;
            station.command("hangup")?;
            house.gateway.wait_for_calls(0)?;
        }
        assert_eq!(house.gateway.metric(&["srtp_authentication"])?, 0.0);
        Ok(())
    });
}

#[test]
fn pjsua2_with_mandatory_srtp_is_called() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let mut station = house.pjsua2("103", "")?;
        let mut baresip = house.baresip("102", |setup| setup)?;
        baresip.dial(&house.uri("103"))?;
        station.event("incoming")?;
        station.command("answer")?;
        baresip.event("CALL_ESTABLISHED")?;
        baresip.wait_until_heard(1.5)?;
        station.command("hold")?;
        house.gateway.wait_for_state("held")?;
        station.command("resume")?;
        house.gateway.wait_for_state("talking")?;
        baresip.wait_until_heard(baresip.seconds_heard()? + 1.0)?;
        station.command("hangup")?;
        baresip.event("CALL_CLOSED")?;
        sound::measure(&baresip.heard()?, 0.5)?.must_be_tone(800.0, 0.5)
    });
}

#[test]
fn where_encryption_is_required_plain_calls_are_refused_and_it_is_said_why() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let capture = Capture::start(site.folder())?;
        let mut plain = house::station(site, &house.gateway, "104")?;
        let mut secure = house.baresip("102", |setup| setup)?;
        plain.dial(&house.gateway.uri("102"))?;
        plain.event("CALL_CLOSED")?;
        // A callee that answers plain, or refuses to be offered keys only.
        secure.dial(&house.uri("104"))?;
        secure.event("CALL_CLOSED")?;
        house.gateway.wait_for_calls(0)?;
        house
            .gateway
            .wait_for_metric(&["encryption_refused"], 1.0)?;
        let wire = capture.stop()?;
        let filter = "sip.Status-Code == 488 && sip.Warning";
        let refusals = wire.fields(filter, &["sip.Warning"])?;
        assert!(
            refusals.iter().any(|row| row[0].contains("302")
                && row[0].contains("write RTP/SAVP and a=crypto")),
            "{refusals:?}"
        );
        assert_eq!(wire.count("rtp")?, 0);
        Ok(())
    });
}
