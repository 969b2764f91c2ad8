//! A serial cable of two pseudo-terminals, so that no device is needed: what goes in at one end
//! comes out at the other.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// Lives as long as the line does.
#[derive(Debug)]
pub(super) struct SerialCable {
    /// Where the gateway's end is.
    link: PathBuf,
    /// Where ours is.
    pub(super) own: PathBuf,
    /// Kept open, so that whoever is at an end may come and go.
    _ends: [OwnedFd; 2],
}

impl SerialCable {
    /// The gateway's end has this name.
    pub(super) fn make(link: &Path) -> Result<Self> {
        match std::fs::symlink_metadata(link) {
            Ok(old) if old.is_symlink() => std::fs::remove_file(link)?,
            Ok(_) => bail!("{} is in the way of the serial cable", link.display()),
            Err(_) => {}
        }
        let (ours, theirs) = (openpty(None, None)?, openpty(None, None)?);
        for end in [&ours.slave, &theirs.slave] {
            let mut settings = tcgetattr(end)?;
            cfmakeraw(&mut settings);
            tcsetattr(end, SetArg::TCSANOW, &settings)?;
        }
        symlink(nix::unistd::ttyname(&theirs.slave)?, link)
            .with_context(|| link.display().to_string())?;
        carry(ours.master.try_clone()?, theirs.master.try_clone()?);
        carry(theirs.master, ours.master);
        Ok(Self {
            link: link.to_owned(),
            own: nix::unistd::ttyname(&ours.slave)?,
            _ends: [ours.slave, theirs.slave],
        })
    }
}

impl Drop for SerialCable {
    fn drop(&mut self) {
        // Somebody may have removed it before.
        let _ = std::fs::remove_file(&self.link);
    }
}

/// One direction, until its ends are gone.
fn carry(from: OwnedFd, to: OwnedFd) {
    let (mut from, mut to) = (File::from(from), File::from(to));
    std::thread::spawn(move || {
        let mut octets = [0; 1024];
        while let Ok(count) = from.read(&mut octets)
            && count > 0
            && to.write_all(&octets[..count]).is_ok()
        {}
    });
}
