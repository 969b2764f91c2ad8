//! One test: its network, its folder, and what is told when it fails.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result};

use crate::program::Transcript;
use crate::{Network, network};

/// Where a test takes place.
#[derive(Debug)]
pub struct Site {
    _network: Network,
    folder: tempfile::TempDir,
}

/// Runs a test at a site of its own. When it fails, the end of what each of its
/// programs said is printed; with `ANTIPHON_E2E_KEEP` set, its folder is kept.
pub fn at_site(test: impl FnOnce(&Site) -> Result<()>) {
    STARTED.with_borrow_mut(Vec::clear);
    let result = Site::new().and_then(|site| {
        let result = test(&site);
        site.leave();
        result
    });
    if let Err(error) = result {
        print_what_was_said();
        panic!("{error:#}");
    }
}

/// Prints the end of what each program of this thread said.
pub fn print_what_was_said() {
    STARTED.with_borrow(|started| started.iter().for_each(Transcript::print_end));
}

thread_local! {
    /// What the programs of this test say.
    static STARTED: RefCell<Vec<Transcript>> = const { RefCell::new(Vec::new()) };
}

/// Adds a program to those whose words are shown when the test fails.
pub(crate) fn remember(transcript: Transcript) {
    STARTED.with_borrow_mut(|started| started.push(transcript));
}

impl Site {
    fn new() -> Result<Self> {
        let network = Network::new()?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        Ok(Self {
            _network: network,
            folder,
        })
    }

    /// The address of a host, 1 to 99; the gateway is at 1.
    pub fn host(&self, number: u8) -> IpAddr {
        IpAddr::V4(network::ipv4(number))
    }

    /// The same host's link-local address.
    pub fn link_local(&self, number: u8) -> Ipv6Addr {
        network::link_local(number)
    }

    /// Runs `work` at a host and returns what it returns.
    pub fn at<T: Send + 'static>(
        &self,
        number: u8,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        network::at(self.host(number), work)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn leave(mut self) {
        if std::env::var_os("ANTIPHON_E2E_KEEP").is_some() {
            eprintln!("kept: {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}
