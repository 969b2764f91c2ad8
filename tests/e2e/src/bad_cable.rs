//! A serial cable of two pseudo-terminals that is as good or as bad as a test wants it.
//!
//! Which octets suffer is counted, not drawn, so that a test does the same every time.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

/// How the cable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Quality {
    Good,
    /// One octet in 397 is lost, one in 251 is another, and one in 547 comes from nowhere.
    Noisy,
    /// The ends have different speeds: whatever is said arrives as something else, and much of it.
    WrongSpeed,
}

#[derive(Debug)]
pub struct BadCable {
    /// The devices at its ends.
    pub ends: [PathBuf; 2],
    quality: Arc<AtomicU8>,
    /// Kept open, so that whoever is at an end may come and go.
    _slaves: [OwnedFd; 2],
}

impl BadCable {
    pub fn new(quality: Quality) -> Result<Self> {
        let (one, other) = (openpty(None, None)?, openpty(None, None)?);
        for end in [&one.slave, &other.slave] {
            let mut settings = tcgetattr(end)?;
            cfmakeraw(&mut settings);
            tcsetattr(end, SetArg::TCSANOW, &settings)?;
        }
        let ends = [ttyname(&one.slave)?, ttyname(&other.slave)?];
        let quality = Arc::new(AtomicU8::new(quality as u8));
        carry(one.master.try_clone()?, other.master.try_clone()?, &quality);
        babble(one.master.try_clone()?, &quality);
        carry(other.master, one.master, &quality);
        Ok(Self {
            ends,
            quality,
            _slaves: [one.slave, other.slave],
        })
    }

    pub fn becomes(&self, quality: Quality) {
        self.quality.store(quality as u8, Ordering::Relaxed);
    }
}

/// One direction, until the cable is gone.
fn carry(from: OwnedFd, to: OwnedFd, quality: &Arc<AtomicU8>) {
    let (mut from, mut to) = (File::from(from), File::from(to));
    let quality = Arc::clone(quality);
    std::thread::spawn(move || {
        let mut piece = [0; 256];
        let mut count = 0_u64;
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let quality = quality.load(Ordering::Relaxed);
            let mut arrives = Vec::with_capacity(length);
            for octet in &piece[..length] {
                count += 1;
                suffer(*octet, count, quality, &mut arrives);
            }
            if to.write_all(&arrives).is_err() {
                return;
            }
        }
    });
}

fn suffer(octet: u8, count: u64, quality: u8, arrives: &mut Vec<u8>) {
    let noisy = quality == Quality::Noisy as u8;
    if quality == Quality::WrongSpeed as u8 {
        arrives.push(octet ^ 0x5A);
    } else if noisy && count.is_multiple_of(397) {
        // Lost.
    } else if noisy && count.is_multiple_of(251) {
        arrives.push(octet ^ 0x10);
    } else if noisy && count.is_multiple_of(547) {
        arrives.extend([octet, 0x55]);
    } else {
        arrives.push(octet);
    }
}

/// With the wrong speed an idle line is not quiet.
fn babble(to: OwnedFd, quality: &Arc<AtomicU8>) {
    let mut to = File::from(to);
    let quality = Arc::downgrade(quality);
    std::thread::spawn(move || {
        while let Some(quality) = quality.upgrade() {
            let wrong = quality.load(Ordering::Relaxed) == Quality::WrongSpeed as u8;
            drop(quality);
            if wrong && to.write_all(&[0x5A; 32]).is_err() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
    });
}
