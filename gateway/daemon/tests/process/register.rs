//! Registration through the real program, and what survives its death.

use std::os::unix::fs::PermissionsExt;

use sip::message::StatusCode;

use crate::gateway::{PASSWORD, Site, directory};
use crate::station::{Station, registered};

#[test]
fn a_registration_that_was_confirmed_survives_kill_9() {
    let site = Site::new(&directory(&["101", "102"]));
    let gateway = site.start();
    let station = registered("101", gateway.sip("udp"));
    assert_eq!(gateway.json(["status"])["stations_registered"], 1);
    let contacts = gateway.json(["stations"])[0]["contacts"].clone();
    assert_eq!(contacts[0], format!("udp:{}", station.address()));
    gateway.kill();

    let again = site.start();
    assert_eq!(again.json(["stations"])[0]["contacts"], contacts);
    assert_eq!(again.json(["status"])["stations_registered"], 1);
}

#[test]
fn a_wrong_password_is_refused_and_counted() {
    let site = Site::new(&directory(&["101"]));
    let gateway = site.start();
    let mut station = Station::new("101", gateway.sip("udp"));
    let refused = station.register("guess").status;
    assert!(refused.code() >= 400, "{refused:?}");
    assert_eq!(gateway.json(["status"])["stations_registered"], 0);
}

#[test]
fn neither_passwords_nor_digests_nor_names_get_into_the_log() {
    let site = Site::new(&directory(&["101"]));
    let mut gateway = site.start();
    let mut station = Station::new("101", gateway.sip("udp"));
    assert_ne!(station.register("wrong guess").status, StatusCode::OK);
    let mut station = registered("101", gateway.sip("udp"));
    let again = station.register(PASSWORD);
    assert_eq!(again.status, StatusCode::OK);
    gateway.signal(nix::sys::signal::Signal::SIGTERM);
    gateway.wait_for("stopped");
    for secret in [PASSWORD, "wrong guess", "response=", "Gruber", "ha1"] {
        assert!(
            !gateway.log.contains(secret),
            "{secret} in\n{}",
            gateway.log
        );
    }
    assert!(
        gateway.log.contains("DEBUG"),
        "the log was not at its most talkative"
    );
}

#[test]
fn nobody_else_can_read_what_is_stored() {
    let site = Site::new(&directory(&["101"]));
    let _gateway = site.start();
    let mode = |name: &str| {
        std::fs::metadata(site.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("state"), 0o700);
    assert_eq!(
        (mode("state/bindings.db"), mode("state/journal.db")),
        (0o600, 0o600)
    );
    assert_eq!(mode("control.sock"), 0o660);
}
