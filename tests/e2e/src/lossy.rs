//! A bad cable: media packets of one host get lost, each so-and-so-manieth, in both directions.

use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::network;

/// From now on every `nth` datagram of media from and to this host is lost, as counted from the
/// first; signalling is not touched.
pub fn lose(host: IpAddr, nth: u32) -> Result<()> {
    // The media ports of the gateway and of the stations are all above this.
    for (chain, port) in [("OUTPUT", "--dport"), ("INPUT", "--sport")] {
        let nth = nth.to_string();
        network::at(host, move || {
            let output = Command::new("iptables")
                .args(["-A", chain, "-p", "udp", port, "10000:65535"])
                .args(["-m", "statistic", "--mode", "nth", "--every", &nth])
                .args(["--packet", "0"])
                .args(["-j", "DROP"])
                .output()
                .context("could not run iptables; scripts/setup.sh test installs it")?;
            if !output.status.success() {
                bail!("iptables: {}", String::from_utf8_lossy(&output.stderr));
            }
            Ok(())
        })??;
    }
    Ok(())
}
