//! SIGHUP, SIGTERM, and two gateways in one folder.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::gateway::{Gateway, PATIENCE, Site, directory, run, text};
use crate::station::registered;

#[test]
fn sighup_takes_over_a_new_directory_and_refuses_a_wrong_one() {
    let site = Site::new(&directory(&["101"]));
    let mut gateway = site.start();
    let _station = registered("101", gateway.sip("udp"));
    site.write_directory(&directory(&["101", "102", "103"]));
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("the configuration was read again");
    // The registration of a station that is still there stays.
    let status = wait_for_stations(&gateway, 3);
    assert_eq!(status["stations_registered"], 1);

    site.write_directory("[[stations]]\nnumber = \"x\"\n");
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for("digits only");
    let output = gateway.command(["reload"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("directory.toml:2:10"), "{told}");
    assert_eq!(gateway.json(["status"])["stations"], 3);
}

/// The signal is handled beside the main loop; `reload` is answered when it is done.
fn wait_for_stations(gateway: &Gateway, stations: usize) -> serde_json::Value {
    gateway.json(["reload"]);
    let status = gateway.json(["status"]);
    assert_eq!(status["stations"], stations);
    status
}

#[test]
fn a_directory_that_changes_is_read_without_being_told() {
    let site = Site::new(&directory(&["101"]));
    let mut gateway = site.start();
    site.write_directory(&directory(&["101", "102"]));
    gateway.wait_for("the configuration was read again");
}

#[test]
fn sigterm_ends_a_gateway_without_calls_at_once_and_cleans_up() {
    let site = Site::new(&directory(&["101"]));
    let gateway = site.start();
    let socket = gateway.socket().to_owned();
    assert!(socket.exists());
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.wait(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused_with_its_own_code() {
    let site = Site::new(&directory(&["101"]));
    let _gateway = site.start();
    let configuration = site.path("gateway.toml");
    let second = run(["serve", "--config", configuration.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(10));
    let told = text(&second.stderr);
    assert!(
        told.contains("another gateway is using the state folder"),
        "{told}"
    );
}

#[test]
fn figures_and_health_are_served_over_http() {
    let site = Site::new(&directory(&["101"]));
    let gateway = site.start();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(gateway.metrics()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let metrics = get("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    assert!(
        metrics.contains("\nantiphon_main_loop_stuck 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nantiphon_store_degraded{file=\"journal\"} 0\n"),
        "{metrics}"
    );
    assert!(get("/healthz").ends_with("well\n"));
    assert!(get("/other").starts_with("HTTP/1.1 404"));
}
