//! C8: calls are recorded, each side in its channel, whatever becomes of the process; levels are
//! seen while a call is up. Judged by ffmpeg and sox.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::{Baresip, EncryptedHouse, Gateway, Site, at_site, gateway, house, sound, wait};

const PCMA: &str = "PCMA/8000/1";
const G722: &str = "G722/16000/1";

/// A caller who says 600 Hz and a called one who says 1000 Hz, and they talk.
fn talk(site: &Site, gateway: &Gateway, codecs: [&'static str; 2]) -> Result<[Baresip; 2]> {
    let caller = Setup {
        codecs: codecs[0],
        hertz: 600,
        ..house::baresip(site, gateway, "102")
    };
    let called = Setup {
        codecs: codecs[1],
        hertz: 1000,
        answers: Answers::ByItself,
        ..house::baresip(site, gateway, "103")
    };
    let mut caller = Baresip::start(&caller, site.folder())?;
    let called = Baresip::start(&called, site.folder())?;
    caller.dial(&gateway.uri("103"))?;
    caller.event("CALL_ESTABLISHED")?;
    Ok([caller, called])
}

fn hang_up([mut caller, mut called]: [Baresip; 2]) -> Result<()> {
    caller.hang_up()?;
    called.event("CALL_CLOSED")?;
    Ok(())
}

/// The only recording in the folder of the gateway.
fn recorded(site: &Site) -> Result<PathBuf> {
    let folder = site.folder().join("gateway/state/recordings");
    wait::until("a recording", || {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Ok(None);
        };
        Ok(entries.flatten().map(|entry| entry.path()).next())
    })
}

/// The caller is left and the called right, and neither is heard in the other.
fn must_hold_both(site: &Site, recording: &Path, seconds: f64) -> Result<()> {
    for (number, hertz) in [(0, 600.0), (1, 1000.0)] {
        let wav = site.folder().join(format!("channel-{number}.wav"));
        sound::channel(recording, number, &wav)?;
        sound::measure(&wav, 0.7)?
            .must_be_tone(hertz, seconds)
            .with_context(|| format!("channel {number}"))?;
    }
    Ok(())
}

fn wait_for_metric(gateway: &Gateway, name: &str, value: f64) -> Result<()> {
    wait::until_true(name, || Ok(gateway.metrics()?.get(name) == Some(&value)))
}

/// A call of two seconds that is recorded because all are.
fn record_all(codecs: [&'static str; 2]) {
    at_site(|site| {
        let setup = house::setup(site).more("[recording]\ncalls = \"all\"\n");
        let gateway = Gateway::start(&setup, site.folder())?;
        let stations = talk(site, &gateway, codecs)?;
        stations[0].wait_until_heard(2.5)?;
        hang_up(stations)?;
        wait_for_metric(&gateway, "antiphon_recordings_total", 1.0)?;
        wait_for_metric(&gateway, "antiphon_recordings", 0.0)?;
        let file = recorded(site)?;
        let mode = std::fs::metadata(&file)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "others may read {}", file.display());
        must_hold_both(site, &file, 1.3)?;
        let lost = gateway.metrics()?["antiphon_recording_frames_lost_total"];
        ensure!(lost == 0.0, "{lost} frames lost");
        Ok(())
    });
}

/// G2: what is encrypted on the wire is recorded as it was said.
#[test]
fn an_encrypted_call_is_recorded_with_each_side_in_its_channel() {
    at_site(|site| {
        let setup = gateway::Setup {
            srtp: "required",
            ..house::setup(site).more("[recording]\ncalls = \"all\"\n")
        };
        let house = EncryptedHouse::with(site, setup)?;
        let mut caller = house.baresip("102", |setup| Setup {
            hertz: 600,
            ..setup
        })?;
        let called = house.baresip("103", |setup| Setup {
            hertz: 1000,
            answers: Answers::ByItself,
            ..setup
        })?;
        caller.dial(&house.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(2.5)?;
        let suites = house.suites()?;
        ensure!(suites.iter().all(|suite| !suite.is_empty()), "{suites:?}");
        hang_up([caller, called])?;
        wait_for_metric(&house.gateway, "antiphon_recordings", 0.0)?;
        must_hold_both(site, &recorded(site)?, 1.3)
    });
}

#[test]
fn a_relayed_call_is_recorded_with_each_side_in_its_channel() {
    record_all([PCMA, PCMA]);
}

#[test]
fn a_transcoded_call_is_recorded_with_each_side_in_its_channel() {
    record_all([G722, PCMA]);
}

#[test]
fn no_call_is_recorded_unless_somebody_wants_it() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let stations = talk(site, &gateway, [PCMA, PCMA])?;
        stations[0].wait_until_heard(1.0)?;
        hang_up(stations)?;
        gateway.wait_for_calls(0)?;
        let begun = gateway.metrics()?["antiphon_recordings_total"];
        ensure!(begun == 0.0, "{begun} recordings");
        ensure!(!site.folder().join("gateway/state/recordings").exists());
        Ok(())
    });
}

#[test]
fn a_recording_survives_kill_9() {
    at_site(|site| {
        let setup = house::setup(site).more("[recording]\ncalls = \"all\"\n");
        let mut gateway = Gateway::start(&setup, site.folder())?;
        let stations = talk(site, &gateway, [PCMA, PCMA])?;
        stations[0].wait_until_heard(4.0)?;
        gateway.kill_and_restart()?;
        let file = recorded(site)?;
        must_hold_both(site, &file, 1.3)
    });
}

#[test]
fn an_operator_records_a_call_into_a_file_and_sees_its_levels() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let stations = talk(site, &gateway, [G722, PCMA])?;
        gateway.wait_for_state("talking")?;
        let call = gateway.calls()?[0]["call"].to_string();
        let file = site.folder().join("asked.opus");
        let name = file.to_string_lossy();
        gateway.run(&["media", "record", &call, &name, "--seconds", "3"])?;
        must_hold_both(site, &file, 1.5)?;
        // It is not overwritten by accident.
        let again = gateway.run(&["media", "record", &call, &name, "--seconds", "1"]);
        let refused = again.err().context("it was overwritten")?.to_string();
        ensure!(refused.contains("--force"), "{refused}");

        let levels = gateway.run(&["media", "level", &call, "--seconds", "2", "--json"])?;
        let last = levels.lines().last().context("no level")?;
        let legs: serde_json::Value = serde_json::from_str(last)?;
        for leg in legs.as_array().context("no list")? {
            for side in ["says", "hears"] {
                // A sine of half the full scale.
                let rms = leg[side]["rms"].as_f64().context("no level")?;
                ensure!((rms + 9.0).abs() < 1.5, "{side} {rms} dBFS: {leg}");
            }
        }
        let leg = legs[0]["leg"].to_string();
        let alone = site.folder().join("alone.opus");
        let name = alone.to_string_lossy();
        gateway.run(&["media", "record", &leg, &name, "--seconds", "2"])?;
        let wav = site.folder().join("alone.wav");
        sound::channel(&alone, 0, &wav)?;
        let hertz = if legs[0]["party"] == "102" {
            600.0
        } else {
            1000.0
        };
        sound::measure(&wav, 0.7)?.must_be_tone(hertz, 0.8)?;
        hang_up(stations)
    });
}

#[test]
fn an_operator_records_a_call_for_the_site_until_it_is_enough() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let stations = talk(site, &gateway, [PCMA, PCMA])?;
        gateway.wait_for_state("talking")?;
        let call = gateway.calls()?[0]["call"].to_string();
        gateway.ask(&["media", "record", &call])?;
        let before = stations[0].seconds_heard()?;
        stations[0].wait_until_heard(before + 2.5)?;
        gateway.ask(&["media", "record", &call, "--stop"])?;
        wait_for_metric(&gateway, "antiphon_recordings", 0.0)?;
        must_hold_both(site, &recorded(site)?, 1.3)?;
        let again = gateway.ask(&["media", "record", &call, "--stop"]);
        ensure!(again.is_err(), "it was ended twice");
        hang_up(stations)
    });
}

#[test]
fn a_recording_is_played_back_into_a_call_and_heard() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut stations = talk(site, &gateway, [PCMA, PCMA])?;
        gateway.wait_for_state("talking")?;
        let call = gateway.calls()?[0].clone();
        let leg = call["legs"][0]["leg"].to_string();
        let file = site.folder().join("asked.opus");
        let name = file.to_string_lossy();
        // The caller says 600 Hz, and nobody answers; so both sides together are that tone.
        stations[1].command("mute", "")?;
        let number = call["call"].to_string();
        gateway.run(&["media", "record", &number, &name, "--seconds", "3"])?;
        gateway.run(&["media", "play", &leg, &name])?;
        let before = stations[0].seconds_heard()?;
        stations[0].wait_until_heard(before + 2.5)?;
        let heard = stations[0].heard()?;
        hang_up(stations)?;
        sound::measure(&heard, before + 0.8)?.must_be_tone(600.0, 1.0)
    });
}
