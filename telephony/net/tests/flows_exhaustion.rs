//! A system without file descriptors. A process of its own, for the limit holds for all of it.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use net::flows::{
    FlowEvent, Flows, FlowsConfig, ListenerConfig, ListenerId, ListenerKind, ListenerSocket,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_file_descriptors_listening_rests_and_then_goes_on() {
    let mut flows = Flows::bind(FlowsConfig {
        listeners: vec![ListenerConfig {
            id: ListenerId(1),
            socket: ListenerSocket::Bind("127.0.0.1:0".parse().unwrap()),
            kind: ListenerKind::Tcp,
        }],
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = flows.listeners().next().unwrap().local;

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 100, hard).unwrap();
    let mut station = TcpStream::connect(address).unwrap();
    station.write_all(b"patient").unwrap();
    let mut used_up = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        used_up.push(file);
    }

    while flows.counters().accept_errors < 3 {
        // Nothing is to be had; the rests between the attempts pass all the same.
        let _nothing = timeout(Duration::from_millis(10), flows.ready()).await;
    }
    assert_eq!(flows.counters().accepted, 0);

    used_up.clear();
    let event = timeout(PATIENCE, flows.next()).await.unwrap();
    assert!(matches!(event, FlowEvent::Opened { .. }), "{event:?}");
    let event = timeout(PATIENCE, flows.next()).await.unwrap();
    let FlowEvent::Received { bytes, .. } = event else {
        panic!("expected bytes, got {event:?}");
    };
    assert_eq!(&bytes[..], b"patient");
    // Each rest is twice as long as the one before.
    assert!(flows.counters().accept_errors < 100);
}
