//! What stations hear besides one other station: conferences, group calls, tones, announcements.

use anyhow::{Context, Result};
use e2e::baresip::{Answers, Setup};
use e2e::gateway::Gateway;
use e2e::{Baresip, Capture, Site, at_site, house, sound};

const PCMA: &str = "PCMA/8000/1";
const PCMU: &str = "PCMU/8000/1";
const G722: &str = "G722/16000/1";
/// As baresip knows it when it is to be the only one: it is mono here.
const OPUS: &str = "opus/48000/1";

/// A station with one codec that says one tone.
fn station(
    site: &Site,
    gateway: &Gateway,
    (number, codec, hertz): (&str, &str, u32),
) -> Result<Baresip> {
    let setup = Setup {
        codecs: codec,
        hertz,
        answers: Answers::ByItself,
        ..house::baresip(site, gateway, number)
    };
    Baresip::start(&setup, site.folder())
}

/// C8, C9: five stations of all codecs.
#[test]
fn each_in_a_conference_of_five_hears_the_other_four_and_not_itself() {
    at_site(|site| {
        let setup = house::setup(site)
            .station("106", "")
            .directory("[[conferences]]\nnumber = \"300\"\n");
        let gateway = Gateway::start(&setup, site.folder())?;
        let capture = Capture::start(site.folder())?;
        let voices = [
            ("102", PCMA, 410),
            ("103", PCMU, 630),
            ("104", G722, 890),
            ("105", OPUS, 1_370),
            ("106", PCMA, 1_810),
        ];
        let mut members = Vec::new();
        for voice in voices {
            let mut member = station(site, &gateway, voice)?;
            member.dial(&gateway.uri("300"))?;
            member.event("CALL_ESTABLISHED")?;
            members.push(member);
        }
        let mut joined = Vec::new();
        for member in &members {
            let so_far = member.seconds_heard()?;
            member.wait_until_heard(so_far + 4.0)?;
            joined.push(so_far);
        }
        for member in &mut members {
            member.hang_up()?;
        }
        gateway.wait_for_calls(0)?;
        let wire = capture.stop()?;
        for ((member, joined), (number, ..)) in members.iter().zip(joined).zip(voices) {
            let file = member.heard()?;
            for (other, _, hertz) in voices {
                let course = sound::course(&file, f64::from(hertz), joined + 0.5)?;
                let told = if other == number {
                    course.must_end_within(0.3)
                } else {
                    course.must_be_heard(2.0)
                };
                told.with_context(|| format!("{number} listens to {other}"))?;
            }
        }
        for (number, ..) in voices {
            let host = site.host(house::host_of(number));
            let streams = wire.rtp_streams()?;
            let told = streams
                .iter()
                .find(|stream| stream.from == gateway.address && stream.to == host);
            told.context("nothing was sent on")?.must_be_complete(100)?;
        }
        Ok(())
    });
}

/// C8: one talks, the others listen, whatever their codecs.
#[test]
fn the_members_of_a_group_call_hear_its_owner_and_not_each_other() {
    at_site(|site| {
        let setup = house::setup(site).directory(
            "[[group_calls]]\nnumber = \"301\"\nmembers = [\"103\", \"104\", \"105\"]\n",
        );
        let gateway = Gateway::start(&setup, site.folder())?;
        let voices = [("103", PCMA, 630), ("104", G722, 890), ("105", OPUS, 1_370)];
        let mut members = Vec::new();
        for voice in voices {
            members.push(station(site, &gateway, voice)?);
        }
        let mut owner = station(site, &gateway, ("102", PCMA, 410))?;
        owner.dial(&gateway.uri("301"))?;
        owner.event("CALL_ESTABLISHED")?;
        for member in &members {
            member.wait_until_heard(2.5)?;
        }
        owner.hang_up()?;
        gateway.wait_for_calls(0)?;
        for (member, (number, ..)) in members.iter().zip(voices) {
            let file = member.heard()?;
            for (_, _, hertz) in voices {
                let course = sound::course(&file, f64::from(hertz), 0.0)?;
                course.must_end_within(0.2)?;
            }
            let owner = sound::course(&file, 410.0, 0.0)?;
            owner
                .must_be_heard(1.5)
                .with_context(|| format!("{number} listens"))?;
        }
        Ok(())
    });
}

/// C8: both are warned, over a conversation whose packets are passed on as they are.
#[test]
fn both_hear_a_warning_before_the_longest_duration_and_each_other_beneath_it() {
    at_site(|site| {
        let setup = house::setup(site).more("[calls]\nlongest = \"10s\"\nwarning = \"6s\"\n");
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = station(site, &gateway, ("102", PCMA, 630))?;
        let mut callee = station(site, &gateway, ("103", PCMA, 1_370))?;
        caller.dial(&gateway.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        // The gateway ends it.
        caller.event("CALL_CLOSED")?;
        callee.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;
        for (station, other) in [(&caller, 1_370.0), (&callee, 630.0)] {
            let file = station.heard()?;
            let warning = sound::course(&file, 950.0, 0.5)?;
            warning.must_be_heard(0.3)?;
            warning.must_end_within(0.8)?;
            sound::course(&file, other, 0.5)?.must_be_heard(7.0)?;
        }
        Ok(())
    });
}

#[test]
fn a_station_that_opens_by_itself_is_played_the_announcement() {
    at_site(|site| {
        let file = site.folder().join("opened.wav");
        sound::tone(&file, 16_000, 2, 950)?;
        let announcements = format!(
            "[media.announcements]\nauto_answer = \"{}\"\n",
            file.display()
        );
        let setup = house::setup(site)
            .station("106", "auto_answer = \"always\"")
            .more(&announcements);
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = station(site, &gateway, ("102", PCMA, 630))?;
        let mut opened = station(site, &gateway, ("106", G722, 1_370))?;
        caller.dial(&gateway.uri("106"))?;
        caller.event("CALL_ESTABLISHED")?;
        opened.wait_until_heard(4.0)?;
        caller.hang_up()?;
        opened.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;
        let announcement = sound::course(&opened.heard()?, 950.0, 0.0)?;
        announcement.must_be_heard(1.7)?;
        announcement.must_end_within(2.2)?;
        sound::course(&opened.heard()?, 630.0, 0.0)?.must_be_heard(3.0)?;
        sound::course(&caller.heard()?, 950.0, 0.0)?.must_end_within(0.0)
    });
}

/// B9: a message is a call of its own; a programme gives way to every call and comes back.
#[test]
fn b9_a_recorded_message_and_an_audio_programme_are_heard_below_every_call() {
    at_site(|site| {
        let [message, programme] = ["message.wav", "programme.wav"].map(|n| site.folder().join(n));
        sound::tone(&message, 16_000, 2, 950)?;
        sound::tone(&programme, 8_000, 1, 1_810)?;
        let files = format!(
            "[[media.messages]]\nnumber = 7\nfile = \"{}\"\n\
             [[media.programmes]]\nnumber = 3\nfile = \"{}\"\n",
            message.display(),
            programme.display()
        );
        let setup = house::setup(site).more(&files);
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = station(site, &gateway, ("102", PCMA, 630))?;
        let mut listener = station(site, &gateway, ("103", G722, 1_370))?;
        gateway.run(&["lines", "announce", "103", "7"])?;
        listener.event("CALL_ESTABLISHED")?;
        // The gateway ends it with the message.
        listener.event("CALL_CLOSED")?;
        sound::course(&listener.heard()?, 950.0, 0.0)?.must_be_heard(1.6)?;
        gateway.run(&["lines", "programme", "103", "3"])?;
        listener.event("CALL_ESTABLISHED")?;
        let so_far = listener.seconds_heard()?;
        listener.wait_until_heard(so_far + 3.0)?;
        sound::course(&listener.heard()?, 1_810.0, so_far + 0.5)?.must_be_heard(2.0)?;
        caller.dial(&gateway.uri("103"))?;
        listener.event("CALL_CLOSED")?;
        listener.event("CALL_ESTABLISHED")?;
        caller.event("CALL_ESTABLISHED")?;
        let so_far = listener.seconds_heard()?;
        listener.wait_until_heard(so_far + 3.0)?;
        caller.hang_up()?;
        listener.event("CALL_CLOSED")?;
        let talk = listener.heard()?;
        sound::course(&talk, 630.0, so_far + 0.5)?.must_be_heard(1.5)?;
        sound::course(&talk, 1_810.0, so_far + 0.5)?.must_end_within(0.0)?;
        // It comes back by itself, until it is taken away.
        listener.event("CALL_ESTABLISHED")?;
        gateway.run(&["lines", "programme", "103", "off"])?;
        listener.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn a_caller_is_told_in_words_that_there_is_no_such_number_and_then_refused() {
    at_site(|site| {
        let file = site.folder().join("unknown.wav");
        sound::tone(&file, 8_000, 2, 950)?;
        let announcements = format!(
            "[media.announcements]\nunknown_number = \"{}\"\n",
            file.display()
        );
        let setup = house::setup(site).more(&announcements);
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut caller = station(site, &gateway, ("102", OPUS, 630))?;
        caller.dial(&gateway.uri("999"))?;
        let closed = caller.event("CALL_CLOSED")?;
        anyhow::ensure!(
            closed["param"]
                .as_str()
                .is_some_and(|why| why.contains("404")),
            "{closed}"
        );
        sound::course(&caller.heard()?, 950.0, 0.0)?.must_be_heard(1.6)
    });
}
