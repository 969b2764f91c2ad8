//! Messages that are wrong: each gets the answer the standard wants, or none,
//! and the next right one is served.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use e2e::raw::{self, Request};
use e2e::{Gateway, Site, at_site, house};

struct Peer {
    socket: UdpSocket,
    local: SocketAddr,
    gateway: Gateway,
}

impl Peer {
    fn new(site: &Site) -> Result<Self> {
        let gateway = house::gateway(site)?;
        let socket = raw::socket_at(house::attacker(site))?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            gateway,
        })
    }

    fn request(&self, method: &'static str, call: &str) -> Request<'static> {
        let mut request = Request::new(method, self.gateway.address, "102", self.local);
        request.call = call.to_owned();
        request
    }

    /// The status that a request is answered with.
    fn status(&self, request: &Request<'_>) -> Result<u16> {
        let answer = raw::ask(&self.socket, self.gateway.sip(), request)?;
        Ok(raw::status(&answer).unwrap_or_default())
    }

    fn must_answer(&self, request: &Request<'_>, wanted: u16) -> Result<()> {
        let status = self.status(request)?;
        ensure!(
            status == wanted,
            "{status} instead of {wanted} to {}",
            request.text()
        );
        Ok(())
    }
}

#[test]
fn wrong_requests_get_the_answer_that_the_standard_wants() {
    at_site(|site| {
        let peer = Peer::new(site)?;
        peer.must_answer(&peer.request("OPTIONS", "fine"), 200)?;
        // RFC 3261 21.4.6, 21.5.2: known nowhere.
        let unknown = peer.status(&peer.request("DANCE", "unknown-method"))?;
        ensure!(
            unknown == 405 || unknown == 501,
            "{unknown} to an unknown method"
        );
        // RFC 3261 8.1.1.5: the methods of start line and CSeq must match.
        let mut mismatch = peer.request("OPTIONS", "mismatch");
        mismatch.more = "CSeq: 1 INVITE\r\n".to_owned();
        peer.must_answer(&mismatch, 400)?;
        // Two lengths that disagree are how messages are smuggled.
        let mut lengths = peer.request("OPTIONS", "two-lengths");
        lengths.more = "Content-Length: 7\r\n".to_owned();
        peer.must_answer(&lengths, 400)?;
        // RFC 3261 20.32: an extension that must be understood.
        let mut required = peer.request("OPTIONS", "required");
        required.more = "Require: telepathy\r\n".to_owned();
        peer.must_answer(&required, 420)?;
        // RFC 3261 12.2.2: within no dialog.
        peer.must_answer(&peer.request("BYE", "no-dialog"), 481)?;
        peer.must_answer(&peer.request("OPTIONS", "still-fine"), 200)
    });
}

#[test]
fn garbage_is_counted_and_not_answered() {
    at_site(|site| {
        let peer = Peer::new(site)?;
        let to = peer.gateway.sip();
        for garbage in [
            &b"\x00\xff\x00\xff"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"SIP/2.0 200 OK\r\n\r\n",
            &[b'A'; 60_000],
        ] {
            peer.socket.send_to(garbage, to)?;
        }
        peer.must_answer(&peer.request("OPTIONS", "fine"), 200)?;
        peer.gateway
            .wait_for_metric(&["sip_refused", "malformed"], 4.0)
    });
}
