//! Somebody guesses passwords.

use std::net::UdpSocket;

use anyhow::Result;
use e2e::raw::{self, Request};
use e2e::{at_site, house};

use crate::victims::Victims;

/// A login with a made-up answer to the gateway's real challenge.
fn guess(socket: &UdpSocket, gateway: &e2e::Gateway, number: u32) -> Result<Option<u16>> {
    let local = socket.local_addr()?;
    let mut request = Request::new("REGISTER", gateway.address, "104", local);
    request.call = format!("guess{number}");
    socket.send_to(request.text().as_bytes(), gateway.sip())?;
    let Some(challenge) = receive(socket)? else {
        return Ok(None);
    };
    let nonce = challenge
        .split("nonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    request.number = 2;
    request.more = format!(
        "Authorization: Digest username=\"104\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", \
         response=\"{:032x}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"x\"\r\n",
        e2e::gateway::REALM,
        nonce.unwrap_or_default(),
        request.uri,
        number
    );
    socket.send_to(request.text().as_bytes(), gateway.sip())?;
    Ok(receive(socket)?.and_then(|answer| raw::status(&answer)))
}

/// An answer, or nothing when none comes soon.
fn receive(socket: &UdpSocket) -> Result<Option<String>> {
    let mut buffer = [0; 8192];
    Ok(match socket.recv(&mut buffer) {
        Ok(read) => Some(String::from_utf8_lossy(&buffer[..read]).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        Err(error) => return Err(error.into()),
    })
}

#[test]
fn a_source_that_guesses_passwords_is_barred_and_its_victim_is_not() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let mut victims = Victims::new(site, &gateway)?;
        let socket = raw::socket_at(house::attacker(site))?;
        socket.set_read_timeout(Some(std::time::Duration::from_millis(500)))?;
        let mut judged = 0;
        for number in 1..=60 {
            match guess(&socket, &gateway, number)? {
                Some(401) => judged += 1,
                Some(403) | None => break,
                Some(status) => panic!("{status} to a made-up answer"),
            }
        }
        assert!((1..=10).contains(&judged), "{judged} guesses were judged");
        gateway.wait_for_metric(&["registrations_barred"], 1.0)?;
        victims.must_be_served(&gateway)?;
        // The account itself is not locked: whoever has the password gets in.
        let _owner = house::station(site, &gateway, "104")?;
        assert_eq!(gateway.contacts("104")?.len(), 1);
        Ok(())
    });
}
