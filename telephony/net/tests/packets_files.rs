//! Its own program, because it lowers a limit of the whole process.

use std::net::Ipv4Addr;

use net::packets::{PortRange, Ports, PortsConfig, PortsEvent, PortsTrouble};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[tokio::test]
async fn running_out_of_files_is_told_and_passes() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut ports = Ports::start(PortsConfig {
        addresses: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        range: PortRange::new(21_500, 21_999).unwrap(),
        ready: 100,
        ..PortsConfig::default()
    })
    .unwrap();
    let mut bound = 0;
    let trouble = loop {
        match ports.next().await {
            Some(PortsEvent::Free { .. }) => bound += 1,
            Some(PortsEvent::Trouble { trouble, .. }) => break trouble,
            None => panic!("the pool ended"),
        }
    };
    assert_eq!(trouble, PortsTrouble::TooManyFiles);
    assert!(trouble.to_string().contains("LimitNOFILE"));
    setrlimit(Resource::RLIMIT_NOFILE, 1024.min(hard), hard).unwrap();
    while bound < 100 {
        match ports.next().await {
            Some(PortsEvent::Free { .. }) => bound += 1,
            other => panic!("{other:?}"),
        }
    }
}
