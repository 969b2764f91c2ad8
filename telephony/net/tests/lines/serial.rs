//! Serial lines on pseudo-terminals: the master is the cable and whatever is at its end.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use net::lines::{Duplex, Electric, Level, LineEnd, Medium, Parity, SerialSettings};
use nix::pty::openpty;
use tempfile::TempDir;

use crate::support::{Line, PATIENCE};

struct Cable {
    master: std::fs::File,
    /// Keeps the pair alive until the line has it open.
    slave: Option<OwnedFd>,
    device: PathBuf,
}

impl Cable {
    fn new() -> Self {
        let pair = openpty(None, None).unwrap();
        let device = nix::unistd::ttyname(&pair.slave).unwrap();
        Self {
            master: pair.master.into(),
            slave: Some(pair.slave),
            device,
        }
    }

    fn say(&mut self, octets: &[u8]) {
        self.master.write_all(octets).unwrap();
    }

    fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        self.master.read_exact(&mut octets).unwrap();
        octets
    }
}

fn settings(device: &Path) -> SerialSettings {
    SerialSettings {
        device: device.to_owned(),
        baud: 19_200,
        parity: Parity::None,
        electric: Electric::Rs232,
    }
}

fn line(device: &Path) -> Line {
    let line = Line::over(Medium::Serial(settings(device)));
    line.handle.open();
    line
}

#[tokio::test]
async fn all_octets_pass_both_ways_as_they_are() {
    let mut cable = Cable::new();
    let mut line = line(&cable.device);
    assert_eq!(line.opened().await, cable.device.display().to_string());
    let all: Vec<u8> = (0..=255).collect();
    cable.say(&all);
    assert_eq!(line.received(256).await, all);
    line.send(&all);
    let heard = tokio::task::spawn_blocking(move || cable.hear(256)).await;
    assert_eq!(heard.unwrap(), all);
    let counters = line.counters();
    assert_eq!((counters.octets_in, counters.octets_out), (257, 256));
    assert_eq!(counters.wrong_octets, 0);
    line.finish().await;
}

#[tokio::test]
async fn a_device_that_is_pulled_out_is_told_and_can_be_opened_when_it_is_back() {
    let folder = TempDir::new().unwrap();
    let name = folder.path().join("adapter");
    let cable = Cable::new();
    symlink(&cable.device, &name).unwrap();
    let mut line = line(&name);
    line.opened().await;
    // Pulled out.
    drop(cable);
    assert!(matches!(line.closed().await, LineEnd::ByPeer));
    // Nothing is there.
    std::fs::remove_file(&name).unwrap();
    line.handle.open();
    let LineEnd::NotOpened(why) = line.closed().await else {
        panic!("nothing was opened");
    };
    assert!(why.contains("No such file"), "{why}");
    // Put in again.
    let mut cable = Cable::new();
    symlink(&cable.device, &name).unwrap();
    line.handle.open();
    line.opened().await;
    cable.say(b"back");
    assert_eq!(line.received(4).await, b"back");
    assert_eq!(line.counters().failures, 1);
}

#[tokio::test]
async fn what_lay_in_the_driver_before_the_line_was_opened_is_not_heard() {
    let mut cable = Cable::new();
    cable.say(b"of a time before");
    let mut line = line(&cable.device);
    line.opened().await;
    cable.say(b"now");
    assert_eq!(line.received(3).await, b"now");
}

#[tokio::test]
async fn a_device_belongs_to_one_line() {
    let cable = Cable::new();
    let mut first = line(&cable.device);
    first.opened().await;
    let mut second = line(&cable.device);
    assert!(matches!(second.closed().await, LineEnd::NotOpened(_)));
}

#[tokio::test]
async fn what_is_no_serial_device_is_not_opened() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"no device").unwrap();
    let mut line = line(&file);
    assert!(matches!(line.closed().await, LineEnd::NotOpened(_)));
    assert_eq!(std::fs::read(&file).unwrap(), b"no device");
}

#[tokio::test]
async fn a_driver_that_cannot_switch_directions_says_what_to_do() {
    let cable = Cable::new();
    let electric = Electric::Rs485 {
        duplex: Duplex::Half,
        before_sending: Duration::ZERO,
        after_sending: Duration::ZERO,
        rts_while_sending: Level::High,
    };
    let mut line = Line::over(Medium::Serial(SerialSettings {
        electric,
        ..settings(&cable.device)
    }));
    line.handle.open();
    let LineEnd::NotOpened(why) = line.closed().await else {
        panic!("a pseudo-terminal has no direction");
    };
    assert!(why.contains("rs422"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_takes_nothing_for_long_is_given_up() {
    let cable = Cable::new();
    let mut line = line(&cable.device);
    line.opened().await;
    // Far more than the driver holds; nobody reads.
    for _ in 0..100 {
        line.send(&[0x55; 1024]);
    }
    assert!(matches!(line.closed().await, LineEnd::Stalled));
    assert_eq!(line.counters().stalls, 1);
    drop(cable);
}

#[tokio::test]
async fn more_than_may_wait_is_refused_and_counted() {
    let cable = Cable::new();
    let mut line = line(&cable.device);
    line.opened().await;
    let piece = bytes::Bytes::from_static(&[0x55; 1024]);
    let refused = (0..2_000).filter(|_| line.handle.send(piece.clone()).is_err());
    let refused = refused.count() as u64;
    assert!(refused > 1_000, "{refused}");
    assert_eq!(line.counters().refused, refused);
    drop(cable);
}

#[tokio::test]
async fn the_last_words_leave_before_the_line_is_closed_and_nothing_is_heard_after() {
    let mut cable = Cable::new();
    let slave = cable.slave.take();
    let mut line = line(&cable.device);
    line.opened().await;
    line.send(b"good");
    line.send(b"bye");
    line.handle.close();
    let said = tokio::task::spawn_blocking(move || (cable.hear(7), cable));
    let (said, mut cable) = said.await.unwrap();
    assert_eq!(said, b"goodbye");
    cable.say(b"too late");
    drop(slave);
    line.handle.open();
    line.opened().await;
    cable.say(b"again");
    assert_eq!(line.received(5).await, b"again");
}

#[tokio::test]
async fn what_was_to_be_sent_on_an_opening_is_not_sent_on_the_next() {
    let folder = TempDir::new().unwrap();
    let name = folder.path().join("adapter");
    let cable = Cable::new();
    symlink(&cable.device, &name).unwrap();
    let mut line = line(&name);
    line.opened().await;
    drop(cable);
    line.closed().await;
    line.send(b"open the door");
    std::fs::remove_file(&name).unwrap();
    let mut cable = Cable::new();
    symlink(&cable.device, &name).unwrap();
    line.handle.open();
    line.opened().await;
    line.send(b"hello");
    let heard = tokio::task::spawn_blocking(move || cable.hear(5));
    let heard = tokio::time::timeout(PATIENCE, heard).await.unwrap();
    assert_eq!(heard.unwrap(), b"hello");
}
