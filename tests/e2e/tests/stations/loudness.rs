//! Gain and mute, as stations are set and as an operator wants it.

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::gateway::Gateway;
use e2e::{Baresip, at_site, house, sound};

/// A sine at half of full scale, as each station says it.
const SAID: f64 = 0.5 / std::f64::consts::SQRT_2;

fn db(rms: f64) -> f64 {
    20.0 * (rms / SAID).log10()
}

/// What was heard in a stretch of two seconds, beside what was said.
fn heard(station: &Baresip, from: f64) -> Result<f64> {
    let course = sound::course(&station.heard()?, 630.0, from)?;
    Ok(db(course.loudness_of_first(2.0) / std::f64::consts::SQRT_2))
}

fn must_be(found: f64, wanted: f64) -> Result<()> {
    ensure!((found - wanted).abs() < 1.0, "{found:.1} dB, not {wanted}");
    Ok(())
}

/// The number of the leg of a station.
fn leg_of(gateway: &Gateway, number: &str) -> Result<String> {
    let calls = gateway.calls()?;
    let legs = calls[0]["legs"].as_array().context("legs")?;
    let is_it = |leg: &&serde_json::Value| {
        let party = leg["party"].as_str();
        party.is_some_and(|party| party.contains(number))
    };
    let leg = legs.iter().find(is_it).context("a leg of the station")?;
    Ok(leg["leg"].to_string())
}

#[test]
fn stations_are_as_loud_as_they_are_set_although_they_share_a_codec() {
    at_site(|site| {
        let setup = house::setup(site)
            .station("106", "microphone_gain = -6")
            .station("107", "loudspeaker_gain = -12");
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = Baresip::start(
            &Setup {
                hertz: 630,
                ..house::baresip(site, &gateway, "106")
            },
            site.folder(),
        )?;
        let callee = Setup {
            hertz: 630,
            answers: Answers::ByItself,
            ..house::baresip(site, &gateway, "107")
        };
        let mut callee = Baresip::start(&callee, site.folder())?;
        caller.dial(&gateway.uri("107"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(3.5)?;
        callee.wait_until_heard(3.5)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        must_be(heard(&caller, 1.0)?, 0.0).context("106 hears 107")?;
        must_be(heard(&callee, 1.0)?, -18.0).context("107 hears 106")
    });
}

#[test]
fn an_operator_makes_a_leg_softer_mutes_it_lets_it_be_heard_again_and_plays_a_tone() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut caller = Baresip::start(
            &Setup {
                hertz: 630,
                ..house::baresip(site, &gateway, "102")
            },
            site.folder(),
        )?;
        let callee = Setup {
            hertz: 630,
            answers: Answers::ByItself,
            ..house::baresip(site, &gateway, "103")
        };
        let mut callee = Baresip::start(&callee, site.folder())?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(1.0)?;
        let leg = leg_of(&gateway, "103")?;
        let steps: [(&[&str], f64); 4] = [
            (&["media", "gain", &leg, "-6"], -6.0),
            (&["media", "mute", &leg], f64::NEG_INFINITY),
            (&["media", "unmute", &leg], -6.0),
            (&["media", "gain", &leg, "0"], 0.0),
        ];
        let mut changes = Vec::new();
        for (words, wanted) in steps {
            gateway.run(words)?;
            let from = caller.seconds_heard()? + 0.5;
            caller.wait_until_heard(from + 2.5)?;
            changes.push((from, wanted));
        }
        let before_tone = caller.seconds_heard()?;
        let listener = leg_of(&gateway, "102")?;
        gateway.run(&["media", "tone", &listener, "--seconds", "2"])?;
        caller.wait_until_heard(before_tone + 3.0)?;
        let refused = gateway.run(&["media", "gain", "999", "3"]);
        ensure!(refused.is_err(), "there is no such leg");
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        let tone = sound::course(&caller.heard()?, 1000.0, before_tone)?;
        tone.must_be_heard(1.7).context("the tone of a test")?;
        for (from, wanted) in changes {
            let found = heard(&caller, from)?;
            if wanted.is_finite() {
                must_be(found, wanted)?;
            } else {
                ensure!(found < -50.0, "{found:.1} dB of a muted station");
            }
        }
        Ok(())
    });
}
