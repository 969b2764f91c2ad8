//! Packets with a false sender in an encrypted call: replayed, forged, plain.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context, Result};
use e2e::baresip::{Answers, Setup};
use e2e::raw::Spoofer;
use e2e::{Capture, EncryptedHouse, at_site, house, sound};

/// A packet of the call as it was on the wire.
struct Overheard {
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

fn overheard(row: &[String]) -> Result<Overheard> {
    let [from, from_port, to, to_port, digits] = row else {
        anyhow::bail!("tshark says {row:?}");
    };
    let address = |host: &str, port: &str| -> Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(host.parse::<Ipv4Addr>()?, port.parse()?))
    };
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octets = digits.chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    Ok(Overheard {
        from: address(from, from_port)?,
        to: address(to, to_port)?,
        bytes: octets.collect::<Result<_>>()?,
    })
}

/// G2: whoever sees the wire and lies about its address is not heard, and the call goes on.
#[test]
fn replayed_forged_and_plain_packets_change_nothing_in_an_encrypted_call() {
    at_site(|site| {
        let house = EncryptedHouse::new(site, "required")?;
        let mut caller = house.baresip("102", |setup| setup)?;
        let mut callee = house.baresip("103", |setup| Setup {
            answers: Answers::ByItself,
            hertz: 1000,
            ..setup
        })?;
        let capture = Capture::start(site.folder())?;
        caller.dial(&house.uri("103"))?;
        caller.event("CALL_ESTABLISHED")?;
        callee.wait_until_heard(2.0)?;
        let wire = capture.stop()?;
        let fields = [
            "ip.src",
            "udp.srcport",
            "ip.dst",
            "udp.dstport",
            "udp.payload",
        ];
        let filter = format!(
            "ip.src == {} && ip.dst == {} && udp.length > 150",
            site.host(2),
            site.host(house::GATEWAY)
        );
        let rows = wire.fields(&filter, &fields)?;
        let packets: Vec<_> = rows
            .iter()
            .map(|row| overheard(row))
            .collect::<Result<_>>()?;
        let first = packets.first().context("nothing was overheard")?;
        let rtcp = SocketAddrV4::new(*first.to.ip(), first.to.port() + 1);
        let rtcp_from = SocketAddrV4::new(*first.from.ip(), first.from.port() + 1);
        let before = house.gateway.metric(&["srtp_authentication"])?;

        let attacker = Spoofer::new(house::attacker(site))?;
        let mut forged = 0.0;
        for round in 0..4 {
            for packet in &packets {
                attacker.send(packet.from, packet.to, &packet.bytes)?;
                let mut damaged = packet.bytes.clone();
                let at = 12 + round * 20;
                damaged[at] ^= 1;
                attacker.send(packet.from, packet.to, &damaged)?;
                // As if the call had not been encrypted at all, louder and further on.
                let mut plain = packet.bytes[..172].to_vec();
                plain[2] ^= 0x10;
                plain[12..].fill(0xaa);
                attacker.send(packet.from, packet.to, &plain)?;
                let bye = [&[0x81, 203, 0, 1], &packet.bytes[8..12], &[0; 24]].concat();
                attacker.send(rtcp_from, rtcp, &bye)?;
                forged += 1.0;
            }
        }
        let least = packets.len() as f64;
        house.gateway.wait_for_metric(&["srtp_replay"], least)?;
        house
            .gateway
            .wait_for_metric(&["srtp_authentication"], before + forged)?;
        let heard = callee.seconds_heard()?;
        callee.wait_until_heard(heard + 1.5)?;
        caller.wait_until_heard(heard + 1.0)?;
        caller.hang_up()?;
        callee.event("CALL_CLOSED")?;
        sound::measure(&callee.heard()?, 0.5)?.must_be_tone(440.0, 3.0)?;
        sound::measure(&caller.heard()?, 0.5)?.must_be_tone(1000.0, 2.0)
    });
}
