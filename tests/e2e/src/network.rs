//! A network of its own for each test.
//!
//! The calling thread leaves the machine's network for a new, empty namespace;
//! threads and processes it starts afterwards are in there with it. So every
//! test may use port 5060, and a capture sees this test's packets alone. All of
//! 127.0.0.0/8 and ::1 are there; a [`Neighbour`] across a cable gives link-local
//! IPv6 and a wire that can be cut.
//!
//! Needs the right to make namespaces: root, or a user namespace around the
//! tests (`unshare --user --map-root-user cargo test -p e2e`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::wait;

/// Hosts 1 to 40 of the loopback network have an address of their own.
const HOSTS: u8 = 40;

#[derive(Debug)]
pub struct Network {
    _private: (),
}

impl Network {
    /// Moves the calling thread into a new network.
    pub fn new() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context(
            "a network of its own needs root; or run: unshare --user --map-root-user cargo test -p e2e",
        )?;
        // Programs that list the addresses of an interface find these.
        let mut batch = "link set lo up\n".to_owned();
        for host in 2..=HOSTS {
            batch += &format!("address add 127.0.0.{host}/8 dev lo\n");
        }
        ip_batch(&batch)?;
        Ok(Self { _private: () })
    }

    /// The address of a host, 1 to 40.
    pub fn host(&self, number: u8) -> IpAddr {
        assert!(
            (1..=HOSTS).contains(&number),
            "hosts are numbered from 1 to {HOSTS}"
        );
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, number))
    }

    /// Lays a cable to a second network: `cable0` here, `cable1` there. Both
    /// ends have nothing but a link-local address.
    pub fn neighbour(&self) -> Result<Neighbour> {
        let (work, orders) = mpsc::channel::<Order>();
        let (ready, tid) = mpsc::channel();
        std::thread::spawn(move || {
            let moved = unshare(CloneFlags::CLONE_NEWNET).context("a second network");
            if ready.send(moved.map(|()| nix::unistd::gettid())).is_ok() {
                for order in orders {
                    order();
                }
            }
        });
        let tid = tid.recv().context("the neighbour's thread")??;
        ip(&[
            "link", "add", "cable0", "type", "veth", "peer", "name", "cable1",
        ])?;
        ip(&["link", "set", "cable1", "netns", &tid.to_string()])?;
        let neighbour = Neighbour { work };
        neighbour.run(|| ip_batch("link set lo up\nlink set cable1 up\n"))??;
        ip(&["link", "set", "cable0", "up"])?;
        Ok(neighbour)
    }

    /// The link-local address of an interface here, once it may be used.
    pub fn link_local(&self, interface: &str) -> Result<Ipv6Addr> {
        link_local(interface)
    }
}

type Order = Box<dyn FnOnce() + Send>;

/// A host across the cable.
#[derive(Debug)]
pub struct Neighbour {
    work: mpsc::Sender<Order>,
}

impl Neighbour {
    /// Runs `work` over there and returns what it returns.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, result) = mpsc::channel();
        let order: Order = Box::new(move || {
            // Nobody waits for the answer any more when the test has failed.
            let _ = answer.send(work());
        });
        self.work
            .send(order)
            .ok()
            .context("the neighbour is gone")?;
        result
            .recv()
            .context("the work over there did not end well")
    }

    /// Its link-local address, once it may be used.
    pub fn link_local(&self) -> Result<Ipv6Addr> {
        self.run(|| link_local("cable1"))?
    }
}

/// A fresh address is checked for duplicates first and cannot be bound until then.
fn link_local(interface: &str) -> Result<Ipv6Addr> {
    wait::until("a link-local address", || {
        let shown = ip(&[
            "-6", "-oneline", "address", "show", "dev", interface, "scope", "link",
        ])?;
        if shown.contains("tentative") {
            return Ok(None);
        }
        let address = shown
            .split_whitespace()
            .find_map(|word| word.strip_suffix("/64"));
        address
            .map(|address| address.parse().context("an address from ip"))
            .transpose()
    })
}

fn ip(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("could not run ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {said}", arguments.join(" "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ip_batch(lines: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new().context("a file for ip")?;
    std::fs::write(file.path(), lines)?;
    let path = file.path().to_str().context("a path in UTF-8")?;
    ip(&["-batch", path]).map(|_| ())
}
