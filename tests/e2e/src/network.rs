//! A network of its own for each test: a switch, the gateway at it, and hosts.
//!
//! The calling thread leaves the machine's network for a new namespace, in which
//! the gateway runs. Every other host is a namespace too, on a cable of its own
//! to the switch, so that each program has one address like a device has: every
//! test may use port 5060, and a capture sees this test's packets alone.
//!
//! Needs the right to make namespaces: root, or a user namespace around the
//! tests (`unshare --user --map-root-user --net cargo test -p e2e`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

/// The interface at the switch where the gateway is.
pub const SWITCH: &str = "switch0";
/// The interface of every other host.
pub const CABLE: &str = "eth0";
/// The gateway's host.
const FIRST: u8 = 1;
const LAST: u8 = 99;

thread_local! {
    /// The hosts of this thread's network, by address; `None` without a network.
    static HOSTS: RefCell<Option<BTreeMap<u8, Host>>> = const { RefCell::new(None) };
}

#[derive(Debug)]
pub struct Network {
    _private: (),
}

impl Network {
    /// Moves the calling thread into a new network.
    pub fn new() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context(
            "a network of its own needs root; or run: \
             unshare --user --map-root-user --net cargo test -p e2e",
        )?;
        ip_batch(&[
            "link set lo up".to_owned(),
            format!("link add {SWITCH} type bridge"),
            format!("link set {SWITCH} up"),
            format!("address add {}/24 dev {SWITCH}", ipv4(FIRST)),
            format!("address add {}/64 dev {SWITCH} nodad", link_local(FIRST)),
        ])?;
        HOSTS.set(Some(BTreeMap::new()));
        Ok(Self { _private: () })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        HOSTS.set(None);
    }
}

/// The address of a host, from the block that is for documentation (RFC 5737):
/// nobody else's, even if a packet ever got out.
pub fn ipv4(host: u8) -> Ipv4Addr {
    assert!(
        (FIRST..=LAST).contains(&host),
        "hosts are numbered from {FIRST} to {LAST}"
    );
    Ipv4Addr::new(192, 0, 2, host)
}

/// The same host by its link-local address; it needs an interface to be reached.
pub fn link_local(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into())
}

/// Runs `work` at the host with this address and returns what it returns. A
/// socket made there stays there.
pub fn at<T: Send + 'static>(
    address: IpAddr,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, result) = mpsc::channel();
    let order: Order = Box::new(move || {
        // Nobody waits for the answer any more when the test has failed.
        let _ = answer.send(work());
    });
    let sent = with_host(address, |host| host.work.send(order).ok())?;
    match sent {
        Some(sent) => sent.context("the host is gone")?,
        None => bail!("{address} is no host of this network"),
    }
    result
        .recv()
        .context("the work over there did not end well")
}

/// The file that stands for the namespace of the host with this address; `None`
/// for the namespace that the calling thread is in.
pub(crate) fn namespace(address: IpAddr) -> Result<Option<PathBuf>> {
    with_host(address, |host| {
        PathBuf::from(format!(
            "/proc/{}/task/{}/ns/net",
            std::process::id(),
            host.tid
        ))
    })
}

/// Hands the host to `work`; makes the host when it is needed for the first time.
fn with_host<T>(address: IpAddr, work: impl FnOnce(&Host) -> T) -> Result<Option<T>> {
    let Some(number) = number(address) else {
        return Ok(None);
    };
    HOSTS.with_borrow_mut(|hosts| {
        let Some(hosts) = hosts else { return Ok(None) };
        let host = match hosts.entry(number) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Host::new(number)?),
        };
        Ok(Some(work(host)))
    })
}

/// The number of a host other than the gateway's.
fn number(address: IpAddr) -> Option<u8> {
    (FIRST + 1..=LAST).find(|&host| address == ipv4(host) || address == link_local(host))
}

type Order = Box<dyn FnOnce() + Send>;

/// A thread in a namespace of its own, which lives as long as this does.
#[derive(Debug)]
struct Host {
    work: mpsc::Sender<Order>,
    tid: nix::unistd::Pid,
}

impl Host {
    fn new(number: u8) -> Result<Self> {
        let (work, orders) = mpsc::channel::<Order>();
        let (ready, tid) = mpsc::channel();
        std::thread::spawn(move || {
            let moved = unshare(CloneFlags::CLONE_NEWNET).context("a host's network");
            if ready.send(moved.map(|()| nix::unistd::gettid())).is_ok() {
                for order in orders {
                    order();
                }
            }
        });
        let tid = tid.recv().context("the host's thread")??;
        ip_batch(&[
            format!("link add host{number} type veth peer name {CABLE} netns {tid}"),
            format!("link set host{number} master {SWITCH} up"),
        ])?;
        let (done, wired) = mpsc::channel();
        let wire: Order = Box::new(move || {
            let _ = done.send(ip_batch(&[
                "link set lo up".to_owned(),
                format!("link set {CABLE} up"),
                format!("address add {}/24 dev {CABLE}", ipv4(number)),
                format!("address add {}/64 dev {CABLE} nodad", link_local(number)),
            ]));
        });
        work.send(wire).ok().context("the host's thread")?;
        wired.recv().context("the host's thread")??;
        Ok(Self { work, tid })
    }
}

fn ip_batch(lines: &[String]) -> Result<()> {
    let file = tempfile::NamedTempFile::new().context("a file for ip")?;
    std::fs::write(file.path(), lines.join("\n") + "\n")?;
    let output = Command::new("ip").arg("-batch").arg(file.path()).output();
    let output = output.context("could not run ip; scripts/setup.sh test installs it")?;
    if !output.status.success() {
        bail!("ip {lines:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
