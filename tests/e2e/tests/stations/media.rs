//! What is relayed besides plain speech: sound before the answer, video, and a
//! wideband codec untouched.

use std::net::SocketAddr;

use e2e::baresip::{Answers, Setup, Video};
use e2e::sipp::Load;
use e2e::{Baresip, Capture, Gateway, Sipp, at_site, house, sound};

#[test]
fn the_caller_hears_early_media_before_the_answer() {
    at_site(|site| {
        let peer = SocketAddr::new(site.host(10), 5060);
        let setup = house::setup(site).directory(&format!(
            "[[stations]]\nnumber = \"110\"\nuri = \"sip:110@{peer}\"\n"
        ));
        let gateway = Gateway::start(&setup, site.folder())?;
        sound::raw_tone(&site.folder().join("tone.al"), 10, 1000)?;
        let target = Sipp::start(
            "early_media",
            peer.into(),
            None,
            Load::ONCE,
            &[],
            site.folder(),
        )?;
        let mut caller = house::station(site, &gateway, "102")?;
        caller.dial(&gateway.uri("110"))?;
        caller.event("CALL_PROGRESS")?;
        caller.wait_until_heard(1.5)?;
        let state = &gateway.calls()?[0];
        assert_ne!(state["state"], "talking", "nobody has answered: {state}");
        caller.event("CALL_ESTABLISHED")?;
        caller.hang_up()?;
        target.must_succeed()?;
        sound::measure(&caller.heard()?, 0.2)?.must_be_tone(1000.0, 1.0)
    });
}

#[test]
fn g722_passes_untouched() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let wideband = |number| Setup {
            codecs: "G722/16000/1",
            ..house::baresip(site, &gateway, number)
        };
        let mut caller = Baresip::start(&wideband("102"), site.folder())?;
        let callee = Setup {
            hertz: 3000,
            answers: Answers::ByItself,
            ..wideband("103")
        };
        let mut callee = Baresip::start(&callee, site.folder())?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(2.0)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        sound::measure(&caller.heard()?, 0.3)?.must_be_tone(3000.0, 1.0)
    });
}

#[test]
fn video_passes_in_both_directions() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let capture = Capture::start(site.folder())?;
        let with_video = |number| Setup {
            video: Video::TestPicture,
            ..house::baresip(site, &gateway, number)
        };
        let mut caller = Baresip::start(&with_video("102"), site.folder())?;
        let callee = Setup {
            answers: Answers::ByItself,
            ..with_video("103")
        };
        let mut callee = Baresip::start(&callee, site.folder())?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.wait_until_heard(2.0)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;

        let wire = capture.stop()?;
        wire.must_be_well_formed(gateway.address)?;
        let streams = wire.rtp_streams()?;
        for station in [site.host(2), site.host(3)] {
            let video = streams.iter().find(|stream| {
                stream.from == gateway.address
                    && stream.to == station
                    && stream.payload.to_lowercase().contains("vp8")
            });
            let video = video.ok_or_else(|| anyhow::anyhow!("no video: {streams:#?}"))?;
            video.must_be_complete(5)?;
        }
        Ok(())
    });
}
