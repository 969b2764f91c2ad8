//! What systemd is told, and what it hands over.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::gateway::{PATIENCE, PROGRAM, Site, directory};
use crate::station::registered;

/// The next message to systemd that begins so.
fn told(systemd: &UnixDatagram, begin: &str) -> String {
    loop {
        let mut buffer = [0; 4096];
        let length = systemd
            .recv(&mut buffer)
            .expect("a message to systemd in time");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(begin) {
            return text;
        }
    }
}

#[test]
fn systemd_hears_ready_watchdog_and_stopping() {
    let site = Site::new(&directory(&["101"]));
    let systemd = UnixDatagram::bind(site.path("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.env("NOTIFY_SOCKET", site.path("notify"));
    command.env("WATCHDOG_USEC", "300000");
    let gateway = site.start_by(&mut command);
    assert!(told(&systemd, "READY=1").contains("STATUS=serving calls"));
    for _ in 0..3 {
        told(&systemd, "WATCHDOG=1");
    }
    gateway.signal(Signal::SIGTERM);
    told(&systemd, "STOPPING=1");
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn a_socket_that_systemd_has_bound_is_served() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let site = Site::new(&directory(&["101"]));
    let configuration = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let configuration = configuration.replacen("127.0.0.1:0", &address.to_string(), 1);
    std::fs::write(site.path("gateway.toml"), configuration).unwrap();
    // Handed over as the third file, by the process that becomes the gateway (sd_listen_fds(3)).
    let become_it = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", become_it, PROGRAM]);
    command.stdin(Stdio::from(OwnedFd::from(socket)));
    let gateway = site.start_by(&mut command);
    assert_eq!(gateway.sip("udp"), address);
    let _station = registered("101", address);
    assert_eq!(gateway.json(["status"])["stations_registered"], 1);
}
