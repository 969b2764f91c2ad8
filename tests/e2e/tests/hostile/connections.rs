//! Connections that say nothing, too little, too much, or are too many.

use std::io::Write;
use std::net::TcpStream;

use anyhow::Result;
use e2e::raw::{self, Request};
use e2e::{Certificates, Gateway, Site, at_site, gateway, house};

use crate::victims::Victims;

/// Short time-outs, so that the tests are short too.
fn impatient(site: &Site) -> gateway::Setup<'static> {
    house::setup(site).more("[sip.limits]\nhandshake = \"1s\"\nconnections_per_source = 32\n")
}

fn connections(site: &Site, gateway: &Gateway, port: u16, number: usize) -> Result<Vec<TcpStream>> {
    let to = std::net::SocketAddr::new(gateway.address, port);
    (0..number)
        .map(|_| raw::connect_from(house::attacker(site), to))
        .collect()
}

#[test]
fn tls_handshakes_that_never_end_are_ended() {
    at_site(|site| {
        let certificates = Certificates::new(site.folder())?;
        let own = certificates.issue("gateway", site.host(house::GATEWAY))?;
        let setup = gateway::Setup {
            tls: Some(&own),
            ..impatient(site)
        };
        let gateway = Gateway::start(&setup, site.folder())?;
        let mut victims = Victims::new(site, &gateway)?;
        let mut slow = connections(site, &gateway, 5061, 32)?;
        for connection in &mut slow {
            // The first bytes of a ClientHello, and then nothing more.
            connection.write_all(&[0x16, 3, 1, 2, 0, 1])?;
        }
        victims.must_be_served(&gateway)?;
        for connection in &mut slow {
            raw::read_to_close(connection)?;
        }
        gateway.wait_for_metric(&["connections_refused", "handshake"], 32.0)?;
        victims.must_be_bounded(&gateway)
    });
}

#[test]
fn more_connections_than_one_source_may_have_are_refused() {
    at_site(|site| {
        let gateway = Gateway::start(&impatient(site), site.folder())?;
        let mut victims = Victims::new(site, &gateway)?;
        let mut many = connections(site, &gateway, 5060, 100)?;
        for connection in &mut many[32..] {
            raw::read_to_close(connection)?;
        }
        victims.must_be_served(&gateway)?;
        gateway.wait_for_metric(&["connections_refused", "source"], 68.0)?;
        victims.must_be_bounded(&gateway)
    });
}

#[test]
fn half_a_message_holds_up_nobody() {
    at_site(|site| {
        let gateway = Gateway::start(&impatient(site), site.folder())?;
        let mut victims = Victims::new(site, &gateway)?;
        let mut half = connections(site, &gateway, 5060, 32)?;
        for connection in &mut half {
            connection.write_all(b"REGISTER sip:house SIP/2.0\r\nVia: SIP/2.0/TCP")?;
        }
        victims.must_be_served(&gateway)?;
        victims.must_be_bounded(&gateway)
    });
}

#[test]
fn headers_of_a_hundred_kilobytes_end_the_connection() {
    at_site(|site| {
        let gateway = Gateway::start(&impatient(site), site.folder())?;
        let mut victims = Victims::new(site, &gateway)?;
        for mut connection in connections(site, &gateway, 5060, 10)? {
            let mut request =
                Request::new("OPTIONS", gateway.address, "102", connection.local_addr()?);
            request.transport = "TCP";
            request.more = format!("X-Long: {}\r\n", "x".repeat(100_000));
            raw::write_until_closed(&mut connection, request.text().as_bytes());
            raw::read_to_close(&mut connection)?;
        }
        victims.must_be_served(&gateway)?;
        gateway.wait_for_metric(&["sip_refused", "framing"], 10.0)?;
        victims.must_be_bounded(&gateway)
    });
}
