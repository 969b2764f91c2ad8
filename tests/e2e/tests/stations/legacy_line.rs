//! Stations of a legacy site and SIP phones: calls both ways with sound, doors, a line that is cut.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use audio::judge::{Job, Score, judge};
use audio::speech::{Length, speak};
use e2e::baresip::{self, Answers};
use e2e::house::{self, GATEWAY};
use e2e::legacy_site::LegacySite;
use e2e::{Baresip, Gateway, Site, at_site, gateway, sound, wait};

/// The host of the site's server.
const SERVER: u8 = 40;
/// Where its line waits for the gateway.
const LINE: u16 = 18480;
/// Where both ends of a line of ISDN are.
const SPAN: u16 = 931;

/// A reception and a line to the site, whose gate has two doors.
fn setup(site: &Site, line: &str) -> gateway::Setup<'static> {
    gateway::Setup::new(site.host(GATEWAY))
        .station("102", "kind = \"desk_station\"\n")
        .directory(
            "[[desks]]\nnumber = \"500\"\npositions = [\"102\"]\n\
             [[stations]]\nnumber = \"2101\"\nname = \"Gate East\"\nkind = \"door_station\"\n\
             behind = \"works\"\n\
             [[stations.doors]]\nkey = \"gate\"\noutput = 1\ncode = \"#1\"\nstation_confirms = true\n\
             [[stations.doors]]\nkey = \"wicket\"\noutput = 2\ncode = \"#2\"\n",
        )
        .more(&format!(
            "[[line]]\nname = \"works\"\nsystem = 1\nown_system = 2\n{line}\n"
        ))
}

fn reception<'a>(site: &Site, gateway: &Gateway) -> baresip::Setup<'a> {
    baresip::Setup {
        codecs: "G722/16000/1",
        hertz: 1000,
        ..house::baresip(site, gateway, "102")
    }
}

/// Both ends, with the line up: the open link profile over TCP.
pub(crate) fn start(site: &Site) -> Result<(LegacySite, Gateway)> {
    let server = site.host(SERVER);
    start_over(
        site,
        &format!("listen = \"{server}:{LINE}\""),
        &format!(
            "kind = \"LAN\"\ndriver = \"versicle\"\nauthority = \"a token of these tests\"\n\
             tcp = {{ connect = \"{server}:{LINE}\", plain = true }}"
        ),
    )
}

/// A line of ISDN in UDP, and what both ends are told of it.
#[derive(Clone, Copy)]
struct Isdn {
    /// Of the gateway's line.
    kind: &'static str,
    theirs: &'static str,
    ours: &'static str,
}

/// Thirty channels; the site is the exchange.
const PRIMARY: Isdn = Isdn {
    kind: "CNET-E1",
    theirs: "",
    ours: "",
};
/// The site is a private exchange at the other end of ours.
const QSIG: Isdn = Isdn {
    kind: "CNET-E1",
    theirs: ", qsig = true, side = \"user\"",
    ours: "isdn = { dialect = \"qsig\", side = \"network\" }",
};
/// Two channels; the site is the exchange.
const BASIC: Isdn = Isdn {
    kind: "S0",
    theirs: ", basic = true",
    ours: "",
};
/// The site is one terminal of a bus, of which the gateway is the exchange.
const BUS: Isdn = Isdn {
    kind: "S0",
    theirs: ", basic = true, bus = true, side = \"user\"",
    ours: "isdn = { bus = true, side = \"network\" }",
};
/// The gateway is one terminal of a bus.
const TERMINAL: Isdn = Isdn {
    kind: "S0",
    theirs: ", basic = true, bus = true",
    ours: "isdn = { bus = true }",
};

fn start_over_isdn(site: &Site, isdn: Isdn) -> Result<(LegacySite, Gateway)> {
    let (gateway, server) = (site.host(GATEWAY), site.host(SERVER));
    let Isdn { kind, theirs, ours } = isdn;
    start_over(
        site,
        &format!(
            "protocol = \"isdn\"\nl1oip = {{ bind = \"{server}:{SPAN}\", \
             peer = \"{gateway}:{SPAN}\", identity = 7{theirs} }}"
        ),
        &format!(
            "kind = \"{kind}\"\ndriver = \"isdn\"\n{ours}\n\
             l1oip = {{ bind = \"{gateway}:{SPAN}\", peer = \"{server}:{SPAN}\", identity = 7 }}"
        ),
    )
}

/// STOI: on a machine with time to spare it is above 0.9; each 20 ms that a busy one plays late moves
/// the rest of a sentence, which PESQ forgives and STOI does not. Other sound than what was said is
/// below 0.4.
const UNDERSTOOD: f64 = 0.7;

/// Speech is played on the real clock: one story at a time.
static SPEAKING: Mutex<()> = Mutex::new(());

/// How the line gets there, in the words of both ends.
fn start_over(site: &Site, theirs: &str, ours: &str) -> Result<(LegacySite, Gateway)> {
    sound::tone(&site.folder().join("gate.wav"), 16_000, 60, 440)?;
    let mut legacy = LegacySite::start(site.host(SERVER), theirs, site.folder())?;
    let gateway = Gateway::start(&setup(site, ours), site.folder())?;
    legacy.order("wait line gateway up within 20")?;
    Ok((legacy, gateway))
}

fn heard_at_gate(site: &Site, legacy: &mut LegacySite, hertz: f64) -> Result<()> {
    legacy.order("record gate off")?;
    sound::measure(&site.folder().join("heard.wav"), 0.3)?.must_be_tone(hertz, 1.0)
}

/// The button rings the reception, which answers by itself.
pub(crate) fn button_pressed(
    site: &Site,
    legacy: &mut LegacySite,
    gateway: &Gateway,
) -> Result<Baresip> {
    let phone = baresip::Setup {
        answers: Answers::ByItself,
        ..reception(site, gateway)
    };
    let mut phone = Baresip::start(&phone, site.folder())?;
    legacy.order("play gate gate.wav")?;
    legacy.order("press gate 2")?;
    phone.event("CALL_ESTABLISHED")?;
    legacy.order("wait with gate 2/102")?;
    Ok(phone)
}

fn both_hear_each_other(site: &Site, (mut legacy, gateway): (LegacySite, Gateway)) -> Result<()> {
    let mut phone = button_pressed(site, &mut legacy, &gateway)?;
    legacy.order("record gate heard.wav")?;
    phone.wait_until_heard(2.0)?;
    heard_at_gate(site, &mut legacy, 1000.0)?;
    phone.hang_up()?;
    legacy.order("wait station gate idle")?;
    sound::measure(&phone.heard()?, 0.3)?.must_be_tone(440.0, 1.0)
}

#[test]
fn b9_a_button_of_a_legacy_station_rings_a_phone_and_both_hear_each_other() {
    at_site(|site| both_hear_each_other(site, start(site)?));
}

/// A sentence of each of three voices from both ends, through the codecs, the relay and two networks.
///
/// `score` is the one that the line's codec deserves.
fn speech_comes_through(
    site: &Site,
    (mut legacy, gateway): (LegacySite, Gateway),
    score: Score,
) -> Result<()> {
    let said = site.folder().join("gate.wav");
    let mut speech = speak(Length::Short, site.folder())?;
    speech.samples.truncate(14 * 16_000);
    speech.write(&said)?;
    // A phone whose file is at its end hangs up.
    let says = site.folder().join("phone.wav");
    speech.samples.resize(34 * 16_000, 0);
    speech.write(&says)?;
    let phone = baresip::Setup {
        says: Some(&says),
        answers: Answers::ByItself,
        ..reception(site, &gateway)
    };
    let mut phone = Baresip::start(&phone, site.folder())?;
    legacy.order("press gate 2")?;
    phone.event("CALL_ESTABLISHED")?;
    legacy.order("record gate heard.wav")?;
    legacy.order("play gate gate.wav")?;
    phone.wait_until_heard(15.5)?;
    legacy.order("record gate off")?;
    phone.hang_up()?;
    let job = |name: &str, heard| Job {
        name: name.to_owned(),
        reference: said.clone(),
        heard,
        scores: vec![score],
    };
    let at_gate = site.folder().join("heard.wav");
    let jobs = [
        job("at the phone", phone.heard()?),
        job("at the gate", at_gate),
    ];
    for (place, verdict) in judge(&jobs)? {
        let heard = match score {
            Score::Wide => verdict.wide,
            Score::Narrow => verdict.narrow,
        };
        ensure!(
            heard.context("no score")?.mean > 3.0 && verdict.stoi > UNDERSTOOD,
            "{place}: {verdict:?}"
        );
    }
    Ok(())
}

fn judged(start: impl FnOnce(&Site) -> Result<(LegacySite, Gateway)>, score: Score) {
    if let Some(why) = audio::judge::missing() {
        return audio::not_run::note(why);
    }
    // One that failed has said so itself.
    let _one = SPEAKING.lock().unwrap_or_else(PoisonError::into_inner);
    at_site(|site| speech_comes_through(site, start(site)?, score));
}

#[test]
fn b9_speech_of_a_legacy_station_and_of_a_phone_comes_through() {
    judged(start, Score::Wide);
}

/// A line of A-law is no wideband.
fn speech_over(isdn: Isdn) {
    judged(|site| start_over_isdn(site, isdn), Score::Narrow);
}

#[test]
fn b9_speech_comes_through_a_line_of_qsig() {
    speech_over(QSIG);
}

#[test]
fn b9_speech_comes_through_a_bus_with_the_site_as_its_terminal() {
    speech_over(BUS);
}

#[test]
fn b9_the_same_over_isdn_through_a_b_channel() {
    at_site(|site| both_hear_each_other(site, start_over_isdn(site, PRIMARY)?));
}

#[test]
fn b9_the_same_over_a_basic_rate_line() {
    at_site(|site| both_hear_each_other(site, start_over_isdn(site, BASIC)?));
}

fn called_by_a_phone(isdn: Isdn) {
    at_site(|site| {
        let (mut legacy, gateway) = start_over_isdn(site, isdn)?;
        let mut phone = Baresip::start(&reception(site, &gateway), site.folder())?;
        phone.dial(&gateway.uri("2101"))?;
        legacy.order("wait station gate ringing")?;
        legacy.order("answer gate")?;
        phone.event("CALL_ESTABLISHED")?;
        legacy.order("hangup gate")?;
        phone.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn b9_over_isdn_a_phone_calls_a_legacy_station_which_hangs_up() {
    called_by_a_phone(PRIMARY);
}

#[test]
fn b9_over_qsig_a_phone_calls_a_legacy_station_which_hangs_up() {
    called_by_a_phone(QSIG);
}

#[test]
fn b9_over_basic_rate_a_phone_calls_a_legacy_station_which_hangs_up() {
    called_by_a_phone(BASIC);
}

#[test]
fn b9_over_a_bus_a_phone_calls_a_legacy_station_which_hangs_up() {
    called_by_a_phone(BUS);
}

#[test]
fn b9_as_a_terminal_of_a_bus_the_gateway_calls_a_legacy_station_which_hangs_up() {
    called_by_a_phone(TERMINAL);
}

/// The serial line is a cable of two pseudo-terminals.
#[test]
fn b9_over_mcip_a_wish_to_be_called_waits_at_our_desk_and_is_taken_back() {
    at_site(|site| {
        let cable = site.folder().join("cable");
        let cable = cable.display();
        let (mut legacy, gateway) = start_over(
            site,
            &format!("protocol = \"mcip\"\nserial = \"pty:{cable}\"\nbaud = 9600"),
            &format!(
                "kind = \"other\"\ndriver = \"table\"\ndesk = \"500\"\ntable = {{ preset = \"mcip-ascii\" }}\n\
                 serial = {{ device = \"{cable}\", baud = 9600 }}"
            ),
        )?;
        let happened = |event: &str| {
            let entry = format!("\"event\":\"{event}\"");
            wait::until_true(&format!("{event} on the timeline"), || {
                Ok(gateway.run(&["timeline", "--json"])?.contains(&entry))
            })
        };
        legacy.order("press gate 3")?;
        legacy.order("wait station gate requesting")?;
        happened("request_queued")?;
        legacy.order("cancel gate")?;
        happened("line_request_cancelled")
    });
}

/// "Opened" is said only because the contact of the door felt it.
#[test]
fn b9_a_phone_opens_doors_of_a_legacy_station_and_hears_of_one_with_a_contact_only() {
    at_site(|site| {
        let (mut legacy, gateway) = start(site)?;
        let mut phone = button_pressed(site, &mut legacy, &gateway)?;
        for (digit, door) in [('1', 1), ('2', 2)] {
            phone.digit('#')?;
            phone.digit(digit)?;
            legacy.order(&format!("wait door gate {door} open"))?;
        }
        gateway.wait_for_metric(&["antiphon_door_commands_total", "opened"], 1.0)?;
        gateway.wait_for_metric(&["antiphon_door_commands_total", "not_confirmed"], 1.0)?;
        phone.hang_up()?;
        legacy.order("wait station gate idle")
    });
}

#[test]
fn b9_a_phone_calls_a_legacy_station_which_answers_and_hangs_up() {
    at_site(|site| {
        let (mut legacy, gateway) = start(site)?;
        let mut phone = Baresip::start(&reception(site, &gateway), site.folder())?;
        legacy.order("play gate gate.wav")?;
        phone.dial(&gateway.uri("2101"))?;
        legacy.order("wait station gate ringing")?;
        legacy.order("answer gate")?;
        phone.event("CALL_ESTABLISHED")?;
        legacy.order("record gate heard.wav")?;
        phone.wait_until_heard(2.0)?;
        heard_at_gate(site, &mut legacy, 1000.0)?;
        legacy.order("hangup gate")?;
        phone.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn b9_a_line_that_is_cut_ends_its_calls_and_comes_back_by_itself() {
    at_site(|site| {
        let (mut legacy, gateway) = start(site)?;
        let mut phone = Baresip::start(&reception(site, &gateway), site.folder())?;
        legacy.order("press gate 2")?;
        phone.event("CALL_INCOMING")?;
        legacy.order("line gateway cut")?;
        phone.event("CALL_CLOSED")?;
        legacy.order("wait station gate idle")?;
        let lines = gateway.ask(&["lines"])?;
        let text = lines.to_string();
        ensure!(text.contains("works"), "no line in {text}");
        legacy.order("line gateway heal")?;
        legacy.order("wait line gateway up within 20")?;
        legacy.order("press gate 2")?;
        phone
            .event("CALL_INCOMING")
            .context("after the line came back")?;
        Ok(())
    });
}

/// A call is made anew, a request stands in the picture that the gateway asks for.
#[test]
fn b2_what_is_pressed_while_the_line_is_down_arrives_when_it_is_back_as_urgent_as_it_was() {
    at_site(|site| {
        let (mut legacy, gateway) = start(site)?;
        let mut phone = Baresip::start(&reception(site, &gateway), site.folder())?;
        legacy.order("line gateway cut")?;
        legacy.order("wait line gateway down")?;
        legacy.order("press gate 5")?;
        legacy.order("press gate 4")?;
        legacy.order("wait text gate waits for the line")?;
        legacy.order("line gateway heal")?;
        phone.event("CALL_INCOMING")?;
        legacy.order("wait station gate busy")?;
        let happened = |event: &str, priority: u8| {
            let wanted = [
                format!("\"event\":\"{event}\""),
                format!("\"priority\":\"{priority}\""),
            ];
            wait::until_true(&format!("{event} of priority {priority}"), || {
                let told = gateway.run(&["timeline", "--json"])?;
                let mut entries = told.lines();
                Ok(entries.any(|entry| wanted.iter().all(|part| entry.contains(part))))
            })
        };
        happened("call_started", 1)?;
        happened("request_queued", 2)
    });
}

/// No sound and no doors: states, and what waits at desks.
#[test]
fn b9_over_acdp_the_gateway_knows_what_stations_do() {
    at_site(|site| {
        let server = site.host(SERVER);
        let (mut legacy, gateway) = start_over(
            site,
            &format!("protocol = \"acdp\"\nlisten = \"{server}:{LINE}\""),
            &format!(
                "kind = \"GEV\"\ndriver = \"acdp\"\n\
                 tcp = {{ connect = \"{server}:{LINE}\", plain = true }}"
            ),
        )?;
        let is = |state: &str| {
            wait::until_true(&format!("2101 to be {state}"), || {
                let stations = gateway.ask(&["stations"])?;
                let mut all = stations.as_array().context("a list")?.iter();
                Ok(all.any(|station| station["number"] == "2101" && station["state"] == state))
            })
        };
        // This protocol has no picture: nothing is known until something happens.
        is("unknown")?;
        legacy.order("press gate 1")?;
        is("in_call")?;
        legacy.order("cancel gate")?;
        is("idle")?;
        legacy.order("line gateway cut")?;
        is("unknown")
    });
}

/// Its second output is no door here.
fn with_a_lamp(site: &Site) -> Result<(LegacySite, Gateway)> {
    let server = site.host(SERVER);
    let line = format!("listen = \"{server}:{LINE}\"");
    let mut legacy = LegacySite::start(server, &line, site.folder())?;
    let setup = gateway::Setup::new(site.host(GATEWAY))
        .station("102", "kind = \"desk_station\"\n")
        .directory(
            "[[stations]]\nnumber = \"2101\"\nname = \"Gate East\"\nkind = \"door_station\"\n\
             behind = \"works\"\n\
             [[stations.doors]]\nkey = \"gate\"\noutput = 1\ncode = \"#1\"\n",
        )
        .more(&format!(
            "[[line]]\nname = \"works\"\nsystem = 1\nown_system = 2\nkind = \"LAN\"\n\
             driver = \"versicle\"\nauthority = \"a token of these tests\"\n\
             tcp = {{ connect = \"{server}:{LINE}\", plain = true }}\n"
        ));
    let gateway = Gateway::start(&setup, site.folder())?;
    legacy.order("wait line gateway up within 20")?;
    Ok((legacy, gateway))
}

#[test]
fn b9_orders_at_the_command_line_reach_a_legacy_station_or_are_refused_with_the_reason() {
    at_site(|site| {
        let (mut legacy, gateway) = with_a_lamp(site)?;
        let order = |words: &[&str]| gateway.run(&[&["lines"], words].concat());
        let done = |words: &[&str]| {
            let said = order(words)?;
            ensure!(said == "done\n", "{words:?}: {said}");
            Ok(())
        };
        done(&["text", "2101", "please wait"])?;
        legacy.order("wait text gate please wait")?;
        done(&["output", "2101", "2", "--on"])?;
        legacy.order("wait relay gate 2 on")?;
        // An output takes one command a second.
        wait::until_true("the output to be switched off", || {
            Ok(order(&["output", "2101", "2", "--off"]).is_ok())
        })?;
        legacy.order("wait relay gate 2 off")?;
        done(&["test", "2101"])?;
        done(&["programme", "2101", "3"])?;
        done(&["divert", "2101", "always", "102"])?;
        done(&["divert", "2101", "off"])?;
        done(&["privacy", "2101", "on"])?;
        legacy.order("wait station gate privacy")?;
        let refused = |words: &[&str], reason: &str| {
            let said = match order(words) {
                Ok(said) => said,
                Err(error) => error.to_string(),
            };
            ensure!(said.contains(reason), "{words:?}: {said}");
            Ok(())
        };
        refused(&["text", "102", "x"], "not behind a line")?;
        refused(&["text", "999", "x"], "no station 999")?;
        refused(&["output", "2101", "1"], "is a door")?;
        refused(&["announce", "2101", "7"], "cannot do this")?;
        legacy.order("line gateway cut")?;
        wait::until_true("the line to be down", || {
            let said = order(&["text", "2101", "x"]);
            Ok(said.is_err_and(|error| error.to_string().contains("is not up")))
        })
    });
}
