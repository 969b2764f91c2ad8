//! Kamailio as a registrar and proxy that has nothing to do with us.
//!
//! With it the test clients are checked against each other, so that a failing
//! test of the gateway is known not to be the clients' fault.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{Program, wait};

#[derive(Debug)]
pub struct Kamailio {
    program: Program,
    /// `sip:` address without a user.
    pub host: String,
}

impl Kamailio {
    /// Starts it on `address`, port 5060, UDP and TCP; anybody may register.
    pub fn start(address: IpAddr, folder: &Path) -> Result<Self> {
        let folder = folder.join("kamailio");
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("kamailio.cfg");
        std::fs::write(&config, configuration(address))?;
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(&config).arg("-Y").arg(&folder);
        command
            .arg("-P")
            .arg(folder.join("pid"))
            .args(["-DD", "-E", "-m", "32", "-M", "8"]);
        let program = Program::start("kamailio", address, &command)?;
        wait::until_true("kamailio to answer", || answers(address))?;
        Ok(Self {
            program,
            host: address.to_string(),
        })
    }
}

impl Drop for Kamailio {
    /// Its processes end with the first one only if that is asked to.
    fn drop(&mut self) {
        // What is left of it then is killed with the program.
        let _ = self.program.end();
    }
}

/// Whether an OPTIONS request gets any answer.
fn answers(address: IpAddr) -> Result<bool> {
    let socket = UdpSocket::bind((address, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let local = socket.local_addr()?;
    let request = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKready\r\n\
         Max-Forwards: 1\r\nFrom: <sip:test@{address}>;tag=1\r\nTo: <sip:{address}>\r\n\
         Call-ID: ready\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    // Refused while nobody listens yet; that is an answer for the next try.
    let _ = socket.send_to(request.as_bytes(), (address, 5060));
    Ok(socket.recv(&mut [0; 2048]).is_ok())
}

fn configuration(address: IpAddr) -> String {
    format!(
        r#"#!KAMAILIO
listen=udp:{address}:5060
listen=tcp:{address}:5060
children=1
tcp_children=1
log_stderror=yes
auto_aliases=no
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_mode", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }}
    if (is_method("CANCEL")) {{ t_relay(); exit; }}
    if (is_method("REGISTER")) {{ save("location"); exit; }}
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"#
    )
}
