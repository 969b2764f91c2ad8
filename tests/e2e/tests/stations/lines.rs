//! Lines to an older server with the real gateway: over TLS, a Unix socket and a serial cable.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use e2e::bad_cable::{BadCable, Quality};
use e2e::gateway::{Gateway, Setup};
use e2e::legacy_site::LegacySite;
use e2e::{Certificates, Site, at_site, house, wait};
use serde_json::Value;

/// Where the older server is.
const SERVER: u8 = 40;

/// Stations behind both servers, and a line that runs over `medium`.
fn setup(site: &Site, medium: &str) -> Setup<'static> {
    Setup::new(site.host(house::GATEWAY))
        .station("102", "")
        .directory(
            "[[stations]]\nnumber = \"2001\"\nbehind = \"hall\"\n\
             [[stations]]\nnumber = \"2101\"\nbehind = \"hall\"\nkind = \"door_station\"\n\
             [[stations]]\nnumber = \"3101\"\nbehind = \"annex\"\n",
        )
        .more(&format!(
            "[[line]]\nname = \"hall\"\nkind = \"NET\"\ndriver = \"versicle\"\n\
             version = \"PRO 800 6.4 build 3\"\nsystem = 1\nown_system = 2\n{medium}\n\
             [[line.further_servers]]\nname = \"annex\"\nsystem = 3\n\
             [[line]]\nname = \"tower\"\nkind = \"GEV\"\n"
        ))
}

fn line(gateway: &Gateway, name: &str) -> Result<Value> {
    let lines = gateway.ask(&["lines"])?;
    let all = lines.as_array().context("a list")?.iter();
    let found = all.clone().find(|line| line["name"] == name);
    found.cloned().with_context(|| format!("{name} in {lines}"))
}

fn wait_for_line(gateway: &Gateway, state: &str) -> Result<()> {
    wait::until_true(&format!("the line to be {state}"), || {
        Ok(line(gateway, "hall")?["state"] == state)
    })
}

fn wait_for_station(gateway: &Gateway, number: &str, state: &str) -> Result<()> {
    wait::until_true(&format!("{number} to be {state}"), || {
        let stations = gateway.ask(&["stations"])?;
        let mut all = stations.as_array().context("a list")?.iter();
        Ok(all.any(|station| station["number"] == number && station["state"] == state))
    })
}

/// B2: up, states shown, cut, unknown, back; and a call of one of its stations meanwhile.
fn it_lives_is_cut_and_comes_back(gateway: &Gateway, server: &mut LegacySite) -> Result<()> {
    wait_for_line(gateway, "up")?;
    for number in ["2001", "2101", "3101"] {
        wait_for_station(gateway, number, "idle")?;
    }
    server.order("press gate 1")?;
    wait_for_station(gateway, "2001", "ringing")?;
    server.order("answer porter")?;
    wait_for_station(gateway, "2001", "in_call")?;

    server.order("line gateway cut")?;
    wait::until_true("the line to be lost", || {
        let state = line(gateway, "hall")?["state"].clone();
        Ok(state == "down" || state == "connecting")
    })?;
    for number in ["2001", "2101", "3101"] {
        wait_for_station(gateway, number, "unknown")?;
    }
    server.order("cancel porter")?;

    server.order("line gateway heal")?;
    wait_for_line(gateway, "up")?;
    for number in ["2001", "2101", "3101"] {
        wait_for_station(gateway, number, "idle")?;
    }
    let hall = line(gateway, "hall")?;
    let losses = hall["figures"]["losses"].as_u64();
    ensure!(losses.is_some_and(|losses| losses > 0), "{hall}");
    ensure!(hall["figures"]["malformed"] == 0, "{hall}");
    ensure!(hall["peer"].is_string(), "{hall}");
    Ok(())
}

#[test]
fn a_line_over_tls_with_certificates_of_both_ends_lives_is_cut_and_comes_back() {
    at_site(|site| {
        let certificates = Certificates::new(site.folder())?;
        let at: IpAddr = site.host(SERVER);
        let (ours, theirs) = (
            certificates.issue("gateway-line", site.host(house::GATEWAY))?,
            certificates.issue("server-line", at)?,
        );
        let authority = certificates.authority();
        let mut server = LegacySite::start(
            at,
            &format!(
                "listen = \"{at}:17500\"\ntls = {{ certificate = {:?}, key = {:?}, trust = {authority:?} }}",
                theirs.certificate, theirs.key
            ),
            site.folder(),
        )?;
        let medium = format!(
            "tcp = {{ connect = \"{at}:17500\", certificate = {:?}, key = {:?}, authorities = {authority:?} }}",
            ours.certificate, ours.key
        );
        let mut gateway = Gateway::start(&setup(site, &medium), site.folder())?;
        it_lives_is_cut_and_comes_back(&gateway, &mut server)?;
        what_has_no_driver_says_so(&gateway)?;
        gateway.stop()
    });
}

/// On every surface.
fn what_has_no_driver_says_so(gateway: &Gateway) -> Result<()> {
    let tower = line(gateway, "tower")?;
    let missing = tower["missing"].as_str().unwrap_or_default();
    ensure!(
        missing.contains("no driver speaks on this GEV line"),
        "{tower}"
    );
    let status = gateway.run(&["status"])?;
    ensure!(
        status.contains("tower: GEV by missing, down; no driver"),
        "{status}"
    );
    let lines = gateway.run(&["lines"])?;
    ensure!(lines.contains("no driver"), "{lines}");
    let metric = |name| gateway.metric(&[name]);
    ensure!(
        metric("line_driver_missing{line=\"tower\"}")? == 1.0,
        "metrics"
    );
    ensure!(
        metric("line_driver_missing{line=\"hall\"}")? == 0.0,
        "metrics"
    );
    gateway.wait_for_metric(&["antiphon_line_up{line=\"hall\"}"], 1.0)?;
    ensure!(
        metric("line_losses_total{line=\"hall\"}")? == 1.0,
        "metrics"
    );
    Ok(())
}

#[test]
fn a_line_over_a_unix_socket_lives_is_cut_and_comes_back() {
    at_site(|site| {
        let socket = site.folder().join("line.sock");
        let at = site.host(house::GATEWAY);
        let mut server = LegacySite::start(at, &format!("unix = {socket:?}"), site.folder())?;
        let medium = format!("unix = {{ connect = {socket:?} }}");
        let mut gateway = Gateway::start(&setup(site, &medium), site.folder())?;
        it_lives_is_cut_and_comes_back(&gateway, &mut server)?;
        gateway.stop()
    });
}

#[test]
fn a_serial_line_lives_is_cut_and_comes_back_and_the_adapter_may_be_pulled_out() {
    at_site(|site| {
        let cable = site.folder().join("adapter");
        let line = format!("serial = \"pty:{}\"\nbaud = 19200", cable.display());
        let at = site.host(house::GATEWAY);
        let mut server = LegacySite::start(at, &line, site.folder())?;
        let medium = format!("serial = {{ device = {cable:?}, baud = 19200 }}");
        let mut gateway = Gateway::start(&setup(site, &medium), site.folder())?;
        it_lives_is_cut_and_comes_back(&gateway, &mut server)?;
        // With its power goes the cable, and comes back as another device of the same name.
        server.end()?;
        wait_for_station(&gateway, "2101", "unknown")?;
        let _server = LegacySite::start(at, &line, site.folder())?;
        wait_for_line(&gateway, "up")?;
        wait_for_station(&gateway, "2101", "idle")?;
        gateway.stop()
    });
}

#[test]
fn a_noisy_cable_loses_nothing_and_a_wrong_speed_is_recognised_and_said() {
    at_site(|site| {
        let cable = BadCable::new(Quality::Noisy)?;
        let [ours, theirs] = &cable.ends;
        let at = site.host(house::GATEWAY);
        let line_of_server = format!("serial = \"{}\"\nbaud = 19200", theirs.display());
        let mut server = LegacySite::start(at, &line_of_server, site.folder())?;
        let medium = format!("serial = {{ device = {ours:?}, baud = 19200 }}");
        let mut gateway = Gateway::start(&setup(site, &medium), site.folder())?;
        wait_for_line(&gateway, "up")?;
        // Every state arrives, however often it has to be said.
        for _ in 0..3 {
            server.order("press gate 1")?;
            wait_for_station(&gateway, "2001", "ringing")?;
            server.order("answer porter")?;
            wait_for_station(&gateway, "2001", "in_call")?;
            server.order("cancel porter")?;
            wait_for_station(&gateway, "2001", "idle")?;
        }
        let figures = line(&gateway, "hall")?["figures"].clone();
        ensure!(figures["bad_checksums"].as_u64() > Some(0), "{figures}");

        cable.becomes(Quality::WrongSpeed);
        wait_for_station(&gateway, "2001", "unknown")?;
        wait::until_true("the wrong speed to be said", || {
            let trouble = line(&gateway, "hall")?["trouble"].clone();
            Ok(trouble
                .as_str()
                .is_some_and(|text| text.contains("is the speed right")))
        })?;
        let status = gateway.run(&["status"])?;
        ensure!(status.contains("is the speed right"), "{status}");
        gateway.wait_for_metric(&["line_unreadable{line=\"hall\"}"], 1.0)?;

        cable.becomes(Quality::Good);
        wait_for_line(&gateway, "up")?;
        wait_for_station(&gateway, "2001", "idle")?;
        wait::until_true("the trouble to be over", || {
            Ok(line(&gateway, "hall")?["trouble"].is_null())
        })?;
        gateway.stop()
    });
}
