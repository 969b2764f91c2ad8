//! The echo test: whoever calls its number hears themselves, with nothing in between.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::capture::Wire;
use e2e::gateway::Gateway;
use e2e::{Baresip, Capture, at_site, house, sound};

/// The longest sign that is played first, and the time until a call stands.
const SIGN: f64 = 2.5;

/// When each RTP packet left for somebody, and what it carried.
fn packets(wire: &Wire, from: IpAddr, to: IpAddr) -> Result<Vec<(f64, String)>> {
    let filter = format!("rtp && ip.src == {from} && ip.dst == {to}");
    let rows = wire.fields(&filter, &["frame.time_relative", "rtp.payload"])?;
    let row = |row: Vec<String>| {
        let [time, payload] = row.try_into().ok().context("two fields")?;
        Ok((time.parse()?, payload))
    };
    rows.into_iter().map(row).collect()
}

/// C8: an ordinary call; an integrator hears how late and how loud a station is.
#[test]
fn a_station_hears_itself_as_loud_as_it_speaks_and_at_once_in_any_codec() {
    at_site(|site| {
        let mut setup = house::setup(site);
        setup.directory.insert_str(0, "echo_test = \"199\"\n");
        let gateway = Gateway::start(&setup, site.folder())?;
        let capture = Capture::start(site.folder())?;
        let codecs = [
            ("102", "PCMA/8000/1"),
            ("103", "G722/16000/1"),
            ("104", "opus/48000/1"),
            ("105", "PCMU/8000/1"),
        ];
        let mut stations = Vec::new();
        for (number, codec) in codecs {
            let station = Setup {
                codecs: codec,
                hertz: 630,
                answers: Answers::WhenTold,
                ..house::baresip(site, &gateway, number)
            };
            let mut station = Baresip::start(&station, site.folder())?;
            station.dial(&gateway.uri("199"))?;
            station.event("CALL_ESTABLISHED")?;
            stations.push(station);
        }
        let shown = gateway.calls()?;
        ensure!(shown.len() == codecs.len(), "each has a call: {shown:#?}");
        for station in &mut stations {
            station.wait_until_heard(SIGN + 3.0)?;
            station.hang_up()?;
        }
        gateway.wait_for_calls(0)?;
        let wire = capture.stop()?;
        for (station, (number, codec)) in stations.iter().zip(codecs) {
            let sign = sound::course(&station.heard()?, 520.0, 0.0)?;
            let heard = sound::measure(&station.heard()?, SIGN)?;
            let told = sign.must_be_heard(0.5).and_then(|()| {
                heard.must_be_tone(630.0, 2.0)?;
                // It says a sine at half of full scale.
                let gain = 20.0 * (heard.rms / (0.5 / std::f64::consts::SQRT_2)).log10();
                ensure!(gain.abs() < 1.0, "{gain:.1} dB: {heard:?}");
                Ok(())
            });
            told.with_context(|| format!("{number} with {codec}"))?;
        }
        let (host, gateway) = (site.host(house::host_of("102")), gateway.address);
        let said = packets(&wire, host, gateway)?;
        let echoes = packets(&wire, gateway, host)?;
        let begun = echoes.first().context("no echo")?.0;
        let mut counted = 0;
        for (at, payload) in echoes.iter().filter(|(at, _)| *at > begun + SIGN) {
            let mut before = said.iter().rev().skip_while(|(sent, _)| sent > at);
            let original = before.find(|(_, said)| said == payload);
            let (sent, _) = original.context("an echo of what was never said")?;
            ensure!(at - sent < 0.02, "{} ms late", (at - sent) * 1000.0);
            counted += 1;
        }
        ensure!(counted > 100, "{counted} echoes");
        Ok(())
    });
}
