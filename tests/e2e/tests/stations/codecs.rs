//! C9: stations without a common codec talk all the same, judged by what each records.

use anyhow::{Context, Result};
use e2e::baresip::{Answers, Setup};
use e2e::{Baresip, Capture, Site, at_site, house, sound};

/// One call between two stations with one codec each; they must hear each other's tone, and
/// nothing on the wire may be missing.
fn talk(site: &Site, caller: &str, callee: &str) -> Result<()> {
    let gateway = house::gateway(site)?;
    let capture = Capture::start(site.folder())?;
    let caller = Setup {
        codecs: caller,
        hertz: 600,
        ..house::baresip(site, &gateway, "102")
    };
    let callee = Setup {
        codecs: callee,
        hertz: 1000,
        answers: Answers::ByItself,
        ..house::baresip(site, &gateway, "103")
    };
    let mut caller = Baresip::start(&caller, site.folder())?;
    let mut callee = Baresip::start(&callee, site.folder())?;
    caller.dial(&gateway.uri("103"))?;
    caller.event("CALL_ESTABLISHED")?;
    caller.wait_until_heard(2.5)?;
    callee.wait_until_heard(2.5)?;
    caller.digit('7')?;
    callee.digit_heard('7')?;
    caller.hang_up()?;
    callee.event("CALL_CLOSED")?;
    gateway.wait_for_calls(0)?;
    let wire = capture.stop()?;
    wire.must_be_well_formed(gateway.address)?;
    for host in [2, 3] {
        let streams = wire.rtp_streams()?;
        let told = streams
            .iter()
            .find(|stream| stream.from == gateway.address && stream.to == site.host(host));
        told.context("nothing was sent on")?.must_be_complete(100)?;
    }
    sound::measure(&caller.heard()?, 0.5)?.must_be_tone(1000.0, 1.5)?;
    sound::measure(&callee.heard()?, 0.5)?.must_be_tone(600.0, 1.5)
}

const PCMA: &str = "PCMA/8000/1";
const PCMU: &str = "PCMU/8000/1";
const G722: &str = "G722/16000/1";
const OPUS: &str = "opus/48000/1";

#[test]
fn a_law_and_mu_law_talk() {
    at_site(|site| talk(site, PCMA, PCMU));
}

#[test]
fn g722_and_a_law_talk() {
    at_site(|site| talk(site, G722, PCMA));
}

#[test]
fn opus_and_a_law_talk() {
    at_site(|site| talk(site, OPUS, PCMA));
}

#[test]
fn g722_and_opus_talk() {
    at_site(|site| talk(site, G722, OPUS));
}
