//! C9: linphone and pjsua2 with each of their codecs talk with a station that has another one, and
//! turn to another codec within the call.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::{Baresip, Capture, Codec, Gateway, Pjsua2, Site, at_site, house, not_run, sound};

const STATIONS: [&str; 3] = ["103", "104", "105"];
/// What the stations say.
const HERTZ: u32 = 1000;

/// A station for each codec but `codec`, answering by itself.
fn others(site: &Site, gateway: &Gateway, codec: Codec) -> Result<Vec<(Codec, Baresip)>> {
    let others = Codec::ALL.into_iter().filter(|other| *other != codec);
    let started = others.zip(STATIONS).map(|(other, number)| {
        let setup = Setup {
            codecs: other.in_baresip(),
            hertz: HERTZ,
            answers: Answers::ByItself,
            ..house::baresip(site, gateway, number)
        };
        Ok((other, Baresip::start(&setup, site.folder())?))
    });
    started.collect()
}

fn must_be_tone(file: &Path, hertz: u32) -> Result<()> {
    sound::measure(file, 1.0)?.must_be_tone(f64::from(hertz), 1.0)
}

fn linphone_talks(codec: Codec) {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut linphone = house::linphone(site, &gateway, "102")?;
        linphone.speak_only(codec)?;
        for (other, mut station) in others(site, &gateway, codec)? {
            let capture = Capture::start(site.folder())?;
            let call = linphone.dial(&gateway.uri(station.user()))?;
            station.event("CALL_ESTABLISHED")?;
            linphone.wait_for_state(call, "StreamsRunning")?;
            linphone.speak(call)?;
            station.wait_until_heard(2.5)?;
            linphone.digit('7')?;
            station.digit_heard('7')?;
            linphone.hang_up(call)?;
            station.event("CALL_CLOSED")?;
            let talk = || -> Result<()> {
                must_be_tone(&station.heard()?, e2e::linphone::HERTZ)?;
                let wire = capture.stop()?;
                wire.must_be_well_formed(gateway.address)?;
                let heard = wire
                    .rtp_streams()?
                    .into_iter()
                    .find(|stream| stream.from == gateway.address && stream.to == site.host(2));
                heard.context("nothing was sent on")?.must_be_complete(75)
            };
            talk().with_context(|| format!("{codec:?} and {other:?}"))?;
        }
        gateway.wait_for_calls(0)
    });
}

fn pjsua2_talks(codec: Codec) {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let gateway = house::gateway(site)?;
        for (other, mut station) in others(site, &gateway, codec)? {
            let folder = site.folder().join(station.user());
            std::fs::create_dir_all(&folder)?;
            let mut pjsua2 = Pjsua2::start(site.host(2), &folder)?;
            pjsua2.register(
                "102",
                &e2e::gateway::password("102"),
                &gateway.address.to_string(),
            )?;
            pjsua2.speak_only(codec)?;
            pjsua2.dial(&gateway.uri(station.user()))?;
            pjsua2.event("call CONFIRMED")?;
            station.wait_until_heard(2.5)?;
            pjsua2.command("digit 9")?;
            station.digit_heard('9')?;
            station.digit('5')?;
            pjsua2.event("digit 5")?;
            pjsua2.command("hangup")?;
            station.event("CALL_CLOSED")?;
            let talk = || -> Result<()> {
                must_be_tone(&station.heard()?, 800)?;
                must_be_tone(pjsua2.heard(), HERTZ)
            };
            talk().with_context(|| format!("{codec:?} and {other:?}"))?;
        }
        gateway.wait_for_calls(0)
    });
}

#[test]
fn linphone_with_a_law() {
    linphone_talks(Codec::Pcma);
}

#[test]
fn linphone_with_mu_law() {
    linphone_talks(Codec::Pcmu);
}

#[test]
fn linphone_with_g722() {
    linphone_talks(Codec::G722);
}

#[test]
fn linphone_with_opus() {
    linphone_talks(Codec::Opus);
}

#[test]
fn pjsua2_with_a_law() {
    pjsua2_talks(Codec::Pcma);
}

#[test]
fn pjsua2_with_mu_law() {
    pjsua2_talks(Codec::Pcmu);
}

#[test]
fn pjsua2_with_g722() {
    pjsua2_talks(Codec::G722);
}

/// A re-INVITE with another codec: the other end goes on hearing.
#[test]
fn pjsua2_turns_to_another_codec_within_the_call() {
    if let Some(why) = Pjsua2::missing() {
        return not_run::note("pjsua2", &why);
    }
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut station = Baresip::start(
            &Setup {
                codecs: Codec::Opus.in_baresip(),
                hertz: HERTZ,
                answers: Answers::ByItself,
                ..house::baresip(site, &gateway, "103")
            },
            site.folder(),
        )?;
        let mut pjsua2 = house::pjsua2(site, &gateway, "102")?;
        pjsua2.speak_only(Codec::Pcma)?;
        pjsua2.dial(&gateway.uri("103"))?;
        pjsua2.event("call CONFIRMED")?;
        station.wait_until_heard(2.0)?;
        let capture = Capture::start(site.folder())?;
        for codec in [Codec::G722, Codec::Pcmu] {
            pjsua2.speak_only(codec)?;
            pjsua2.command("resume")?;
            pjsua2.event("media 1")?;
            let before = station.seconds_heard()?;
            station.wait_until_heard(before + 1.5)?;
        }
        pjsua2.command("hangup")?;
        station.event("CALL_CLOSED")?;
        let wire = capture.stop()?;
        for (codec, payload_type) in [("G.722", 9), ("PCMU", 0)] {
            let sent = format!("ip.dst == {} && rtp.p_type == {payload_type}", site.host(2));
            ensure!(
                wire.count(&sent)? > 25,
                "nothing was sent as {codec} after it was agreed"
            );
        }
        must_be_tone(&station.heard()?, 800)?;
        must_be_tone(pjsua2.heard(), HERTZ)
    });
}
