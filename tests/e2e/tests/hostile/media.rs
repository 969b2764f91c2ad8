//! A station that is out of its mind: its packets come from the right address, and between them
//! comes what must neither end its call nor be heard in it. Its listener has another codec, so that
//! what passes is decoded.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::raw::{self, Request};
use e2e::{Baresip, Codec, Gateway, at_site, house, sound, wait};

use crate::packets::JUNK;

const HERTZ: u32 = 700;
/// 20 ms of A-law.
const FRAME: usize = 160;
const PACE: Duration = Duration::from_millis(20);

/// A station made by hand, in a call.
struct Station {
    media: UdpSocket,
    gateway: SocketAddr,
    /// Its tone, as A-law.
    tone: Vec<u8>,
    spoken: u16,
}

impl Station {
    /// It calls 103, which answers. The gateway trusts its host.
    fn in_a_call(host: IpAddr, gateway: &Gateway, folder: &Path) -> Result<Self> {
        let (signalling, media) = (raw::socket_at(host)?, raw::socket_at(host)?);
        let mut invite = Request::new("INVITE", gateway.address, "102", signalling.local_addr()?);
        invite.uri = gateway.uri("103");
        invite.to_user = "103".to_owned();
        invite.more = "Content-Type: application/sdp\r\n".to_owned();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 8\r\n",
            media.local_addr()?.port()
        );
        invite.body = &body;
        let answer = raw::ask(&signalling, gateway.sip(), &invite)?;
        let port = answer
            .split("m=audio ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .with_context(|| format!("no audio in {answer}"))?;
        let tag = answer
            .lines()
            .find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1))
            .context("an answer without a tag")?;
        let mut ack = Request {
            method: "ACK",
            more: String::new(),
            body: "",
            ..invite.clone()
        };
        ack.to_tag = Some(tag.to_owned());
        signalling.send_to(ack.text().as_bytes(), gateway.sip())?;
        let tone = folder.join("tone.al");
        sound::raw_tone(&tone, 10, HERTZ)?;
        Ok(Self {
            media,
            gateway: (gateway.address, port.parse()?).into(),
            tone: std::fs::read(tone)?,
            spoken: 0,
        })
    }

    fn send(&self, packet: &[u8]) -> Result<()> {
        match self.media.send_to(packet, self.gateway) {
            // The gateway's kernel has said that nobody listens, or that its queue is full.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            sent => sent.map(drop).context("sending"),
        }
    }

    /// The next 20 ms of its tone, under this header.
    fn packet(&self, payload_type: u8, ssrc: u32) -> Vec<u8> {
        let frames = self.tone.len() / FRAME;
        let frame = usize::from(self.spoken) % frames * FRAME;
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.spoken.to_be_bytes());
        packet.extend((u32::from(self.spoken) * 160).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(&self.tone[frame..frame + FRAME]);
        packet
    }

    fn speak(&mut self) -> Result<()> {
        self.send(&self.packet(8, 0x0102_0304))?;
        self.spoken = self.spoken.wrapping_add(1);
        Ok(())
    }
}

/// The station speaks, every 20 ms, and each time does `nonsense`; the listener hears its tone and
/// nothing else, and the gateway counts what it refused for this reason.
fn speaks_amid(why: &str, nonsense: impl Fn(&Station) -> Result<()>) {
    at_site(|site| {
        let host = house::attacker(site);
        let setup = house::setup(site).trusted(&host.to_string());
        let gateway = Gateway::start(&setup, site.folder())?;
        let listener = Setup {
            codecs: Codec::G722.in_baresip(),
            answers: Answers::ByItself,
            ..house::baresip(site, &gateway, "103")
        };
        let mut listener = Baresip::start(&listener, site.folder())?;
        let mut station = Station::in_a_call(host, &gateway, site.folder())?;
        let before = gateway.resident_kib()?;
        wait::paced("enough of a recording", PACE, || {
            station.speak()?;
            nonsense(&station)?;
            Ok(listener.seconds_heard()? >= 3.0)
        })?;
        gateway.wait_for_metric(&["media_packets_refused", why], 50.0)?;
        let grown = gateway.resident_kib()?.saturating_sub(before);
        ensure!(grown < 4 * 1024, "memory grew by {grown} KiB");
        listener.hang_up()?;
        sound::measure(&listener.heard()?, 0.5)?.must_be_tone(f64::from(HERTZ), 1.5)
    });
}

#[test]
fn what_is_no_rtp() {
    speaks_amid("malformed", |station| {
        JUNK.iter().try_for_each(|junk| station.send(junk))
    });
}

#[test]
fn datagrams_without_a_byte_and_of_the_greatest_length() {
    speaks_amid("malformed", |station| {
        station.send(&[])?;
        let mut jumbo = station.packet(8, 0x0102_0304);
        jumbo.resize(65_000, 0x2a);
        station.send(&jumbo)?;
        station.send(&[0])
    });
}

#[test]
fn another_source_in_every_packet() {
    speaks_amid("foreign_ssrc", |station| {
        let ssrc = 0x5000_0000 + u32::from(station.spoken);
        station.send(&station.packet(8, ssrc))
    });
}

#[test]
fn payload_types_that_nobody_agreed_on() {
    speaks_amid("unknown_payload", |station| {
        [0, 9, 3, 96, 101, 127]
            .iter()
            .try_for_each(|number| station.send(&station.packet(*number, 0x0102_0304)))
    });
}

#[test]
fn each_packet_many_times_over() {
    speaks_amid("duplicate", |station| {
        let mut again = station.packet(8, 0x0102_0304);
        let last = station.spoken.wrapping_sub(1);
        again[2..4].copy_from_slice(&last.to_be_bytes());
        (0..3).try_for_each(|_| station.send(&again))
    });
}

#[test]
fn a_storm_of_reports() {
    speaks_amid("flood", |station| {
        let mut report = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
        report.resize(28, 0);
        let mut reports = station.gateway;
        reports.set_port(reports.port() + 1);
        (0..50).try_for_each(|_| {
            station.media.send_to(&report, reports)?;
            station.send(&report)
        })
    });
}
