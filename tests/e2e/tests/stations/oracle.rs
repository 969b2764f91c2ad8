//! rtpengine as the other side of our SRTP: what goes in plain at one end comes out at the other,
//! octet for octet, by every suite that both know.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use e2e::raw::{self, Request};
use e2e::rtpengine::{PlainEnd, Rtpengine};
use e2e::{Gateway, Site, at_site, house, wait};

const SUITES: [&str; 6] = [
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
];
/// As many as are surely told apart, and more than the replay window holds.
const PACKETS: u16 = 300;
const CALLEE: u8 = 50;
const ORACLE: u8 = 40;

/// A station that is called directly and takes every call with this description.
fn answer_calls(socket: std::net::UdpSocket, description: String) -> Result<()> {
    let local = socket.local_addr()?;
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if request.starts_with("STOP") {
            return Ok(());
        }
        let body = match request.split(' ').next() {
            Some("INVITE") => description.as_str(),
            Some("ACK") => continue,
            Some(_) | None => "",
        };
        socket.send_to(ok(&request, local, body).as_bytes(), from)?;
    }
}

fn ok(request: &str, local: SocketAddr, body: &str) -> String {
    let mut text = "SIP/2.0 200 OK\r\n".to_owned();
    for line in request.split("\r\n").take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "To" if !line.contains(";tag=") => text += &format!("{line};tag=answered\r\n"),
            "Via" | "From" | "To" | "Call-ID" | "CSeq" | "Record-Route" => {
                text += &format!("{line}\r\n");
            }
            _ => {}
        }
    }
    let content = match body {
        "" => String::new(),
        _ => "Content-Type: application/sdp\r\n".to_owned(),
    };
    let length = body.len();
    text + &format!("Contact: <sip:150@{local}>\r\n{content}Content-Length: {length}\r\n\r\n{body}")
}

/// What one end says, the other hears, in order and unchanged.
fn must_pass(from: &PlainEnd, to: &PlainEnd) -> Result<()> {
    // Both ends settle on each other with the first packets.
    wait::until_true("the first packet", || {
        from.say(1, &[0xd5; 160])?;
        Ok(to.hear()?.is_some())
    })?;
    while to.hear()?.is_some() {}
    for number in 100..100 + PACKETS {
        let payload: Vec<u8> = (0..160)
            .map(|i| (i ^ number ^ (number >> 8)) as u8)
            .collect();
        from.say(number, &payload)?;
        let heard = to
            .hear()?
            .with_context(|| format!("packet {number} is lost"))?;
        ensure!(heard == payload, "packet {number} is another one");
    }
    Ok(())
}

fn call(
    gateway: &Gateway,
    oracle: &mut Rtpengine,
    suite: &str,
    (a, b): (&mut PlainEnd, &mut PlainEnd),
    phone: &std::net::UdpSocket,
) -> Result<()> {
    let offer = oracle.protect_offer(suite, &a.description()?, suite)?;
    ensure!(offer.matches("a=crypto:").count() == 1, "{offer}");
    let local = phone.local_addr()?;
    let mut invite = Request::new("INVITE", gateway.address, "102", local);
    invite.uri = gateway.uri("150");
    invite.to_user = "150".to_owned();
    invite.call = suite.to_owned();
    invite.more = "Content-Type: application/sdp\r\n".to_owned();
    invite.body = &offer;
    let answer = raw::ask(phone, gateway.sip(), &invite)?;
    ensure!(raw::status(&answer) == Some(200), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(body.contains(&format!(" {suite} ")), "{body}");
    let tag = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("To:")?.split(";tag=").nth(1));
    let tag = tag.context("no tag")?.to_owned();
    a.aim(&oracle.unprotect_answer(suite, body)?)?;
    let mut in_dialog = Request {
        method: "ACK",
        to_tag: Some(tag),
        more: String::new(),
        body: "",
        ..invite.clone()
    };
    phone.send_to(in_dialog.text().as_bytes(), gateway.sip())?;
    let calls = gateway.calls()?;
    assert_eq!(calls[0]["legs"][0]["encryption"], suite);

    // Where the gateway sends to the callee from is where it listens.
    wait::until_true("the callee's side", || {
        a.say(0, &[0xd5; 160])?;
        b.learn()
    })?;
    must_pass(a, b)?;
    must_pass(b, a)?;
    in_dialog.method = "BYE";
    in_dialog.number = 2;
    let over = raw::ask(phone, gateway.sip(), &in_dialog)?;
    ensure!(raw::status(&over) == Some(200), "{over}");
    gateway.wait_for_calls(0)
}

fn every_suite(site: &Site) -> Result<()> {
    let caller = site.host(2);
    let station = raw::socket_at(site.host(CALLEE))?;
    let setup = house::setup(site)
        .trusted(&caller.to_string())
        .directory(&format!(
            "[[stations]]\nnumber = \"150\"\nuri = \"sip:150@{}\"\n",
            station.local_addr()?
        ));
    let gateway = Gateway::start(&setup, site.folder())?;
    let mut oracle = Rtpengine::start(site.host(ORACLE))?;
    let mut a = PlainEnd::new(caller)?;
    let mut b = PlainEnd::new(site.host(CALLEE))?;
    let description = b.description()?;
    let stop = station.try_clone()?;
    let answering = std::thread::spawn(move || answer_calls(station, description));
    let phone = raw::socket_at(caller)?;
    let talked = SUITES.iter().try_for_each(|suite| {
        call(&gateway, &mut oracle, suite, (&mut a, &mut b), &phone)
            .with_context(|| (*suite).to_owned())
    });
    stop.send_to(b"STOP", stop.local_addr()?)?;
    answering.join().expect("the station does not panic")?;
    talked?;
    assert_eq!(gateway.metric(&["srtp_authentication"])?, 0.0);
    assert_eq!(gateway.metric(&["srtp_replay"])?, 0.0);
    Ok(())
}

#[test]
fn rtpengine_hears_what_we_encrypt_and_we_what_it_encrypts_by_every_suite() {
    at_site(every_suite);
}
