//! Peers that do exactly what a script says, down to the races: sipp.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use e2e::gateway::{Gateway, password};
use e2e::sipp::Load;
use e2e::{Capture, Sipp, Site, at_site, house, sound};

/// Host of the scripted peer; it is called as 110 and may call without a password.
const SCRIPTED: u8 = 10;

fn gateway(site: &Site) -> Result<Gateway> {
    let peer = site.host(SCRIPTED);
    let setup = house::setup(site)
        .station("106", "")
        .directory(&format!(
            "[[stations]]\nnumber = \"110\"\nuri = \"sip:110@{peer}:5060\"\n"
        ))
        .trusted(&peer.to_string())
        .more("[sip.timers]\nt1 = \"50ms\"\nt2 = \"400ms\"\nt4 = \"500ms\"\n");
    Gateway::start(&setup, site.folder())
}

fn called(site: &Site, scenario: &str) -> Result<Sipp> {
    let local = SocketAddr::new(site.host(SCRIPTED), 5060);
    Sipp::start(scenario, local.into(), None, Load::ONCE, &[], site.folder())
}

fn calling(
    site: &Site,
    gateway: &Gateway,
    scenario: &str,
    from: &str,
    to: &str,
    load: Load,
) -> Result<Sipp> {
    let local = SocketAddr::new(site.host(SCRIPTED), 5062);
    let password = password(from);
    // sipp puts one URI into all its answers to challenges: that of the call.
    let uri = format!("{to}@{}", gateway.address);
    let registrar = gateway.sip().to_string();
    let registers = scenario == "register";
    let keys = [
        ("from", from),
        ("to", to),
        ("user", from),
        ("password", password.as_str()),
        (
            "uri",
            if registers {
                registrar.as_str()
            } else {
                uri.as_str()
            },
        ),
    ];
    Sipp::start(
        scenario,
        local.into(),
        Some(gateway.sip().into()),
        load,
        &keys,
        site.folder(),
    )
}

#[test]
fn a_station_registers_and_calls_with_its_password() {
    at_site(|site| {
        // From a host that is not trusted, so that the password counts.
        let gateway = house::gateway(site)?;
        let _callee = house::answering_station(site, &gateway, "103")?;
        for scenario in ["register", "call_with_password"] {
            calling(site, &gateway, scenario, "104", "103", Load::ONCE)?.must_succeed()?;
        }
        gateway.wait_for_calls(0)
    });
}

#[test]
fn twenty_calls_follow_each_other_without_a_gap() {
    at_site(|site| {
        let gateway = gateway(site)?;
        // One after the other: a station has one conversation at a time.
        let load = Load {
            calls: 20,
            per_second: 50,
            at_once: 1,
        };
        let local = SocketAddr::new(site.host(SCRIPTED), 5060);
        let answerer = Sipp::start("answer", local.into(), None, load, &[], site.folder())?;
        calling(site, &gateway, "call", "109", "110", load)?.must_succeed()?;
        answerer.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_the_call() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        let caller = calling(site, &gateway, "never_acks", "109", "103", Load::ONCE)?;
        callee.event("CALL_ESTABLISHED")?;
        callee.event("CALL_CLOSED")?;
        caller.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn of_two_answers_behind_a_forking_proxy_one_is_ended() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let target = called(site, "two_answers")?;
        let mut caller = house::station(site, &gateway, "102")?;
        caller.dial(&gateway.uri("110"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.hang_up()?;
        target.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn reliable_progress_is_acknowledged() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let target = called(site, "reliable_progress")?;
        let mut caller = house::station(site, &gateway, "102")?;
        caller.dial(&gateway.uri("110"))?;
        caller.event("CALL_ESTABLISHED")?;
        caller.hang_up()?;
        target.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn a_caller_that_gives_up_is_told_487_and_the_target_is_cancelled() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let target = called(site, "ring")?;
        calling(site, &gateway, "give_up", "109", "110", Load::ONCE)?.must_succeed()?;
        target.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let target = called(site, "silent")?;
        let mut caller = house::station(site, &gateway, "102")?;
        caller.dial(&gateway.uri("110"))?;
        caller.event("CALL_CLOSED")?;
        target.must_succeed()?;
        gateway.wait_for_calls(0)
    });
}

/// Calls the station at the gate with a script that dials its code.
fn dial_the_code(script: &str, more: &str) {
    at_site(|site| {
        let peer = site.host(SCRIPTED);
        let setup = house::setup(site)
            .directory(&format!(
                "[[stations]]\nnumber = \"109\"\nuri = \"sip:109@{peer}:5062\"\n{more}"
            ))
            .trusted(&peer.to_string());
        let gateway = Gateway::start(&setup, site.folder())?;
        let device = house::door_device(site)?;
        let _door_station = house::answering_station(site, &gateway, "102")?;
        sound::raw_keys(&site.folder().join("keys.al"), "#1")?;
        calling(site, &gateway, script, "109", "102", Load::ONCE)?.must_succeed()?;
        device.must_open()?;
        gateway.wait_for_calls(0)?;
        device.must_not_have_opened()
    });
}

#[test]
fn the_code_as_tones_of_an_old_telephone_opens_the_door() {
    dial_the_code("dial_tones", "");
}

#[test]
fn the_code_as_tones_opens_the_door_where_the_station_is_to_dial_so() {
    dial_the_code("dial_tones", "dtmf = \"inband\"\n");
}

#[test]
fn the_code_by_info_in_either_form_opens_the_door() {
    dial_the_code("dial_info", "");
}

/// B6: tshark sees each key as one event, and no INFO beside it.
#[test]
fn keys_by_info_reach_a_station_that_has_events_as_events() {
    at_site(|site| {
        let gateway = gateway(site)?;
        let mut callee = house::answering_station(site, &gateway, "103")?;
        let capture = Capture::start(site.folder())?;
        calling(site, &gateway, "dial_info", "109", "103", Load::ONCE)?.must_succeed()?;
        for key in ["#", "1"] {
            assert_eq!(callee.event("CALL_DTMF_START")?["param"], key);
        }
        callee.event("CALL_CLOSED")?;
        let wire = capture.stop()?;
        let to_callee = format!("ip.dst == {}", site.host(3));
        let ends = format!("{to_callee} && rtpevent.end_of_event == 1");
        let ends = wire.fields(&ends, &["rtpevent.event_id", "rtp.timestamp"])?;
        let keys: Vec<&str> = ends.iter().map(|end| end[0].as_str()).collect();
        assert_eq!(keys, ["11", "11", "11", "1", "1", "1"]);
        let times: BTreeSet<&str> = ends.iter().map(|end| end[1].as_str()).collect();
        assert_eq!(times.len(), 2, "each key has its own time: {ends:?}");
        let by_info = format!("{to_callee} && sip.Method == \"INFO\"");
        assert_eq!(wire.count(&by_info)?, 0);
        wire.must_be_well_formed(gateway.address)
    });
}
