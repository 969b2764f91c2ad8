//! Entries as packets: what capture programs need around a message to read it.
//!
//! SIP over UDP and TCP gets the headers of IP that it had, made anew, so that every program reads
//! it; of TCP the numbers are those of a stream that holds nothing else. SIP that came by TLS has no
//! such packet that could be read, so it is given as "exported PDU", which names its dissector.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

use super::pcapng::LinkType;
use crate::timeline::entry::{Frame, SipMessage, Transport, Way};
use crate::timeline::lines::{ACDP, ISDN, OPEN_LINK};

/// Begins with the header of IP, version 4 or 6.
pub(crate) const RAW_IP: LinkType = LinkType(101);
/// D channels, with a header that says the direction ("Linux LAPD").
pub(crate) const LAPD: LinkType = LinkType(177);
/// For the dissectors in tools/wireshark.
pub(crate) const USER_OPEN_LINK: LinkType = LinkType(147);
pub(crate) const USER_ACDP: LinkType = LinkType(148);
pub(crate) const USER_TABLE: LinkType = LinkType(149);
/// Wireshark's "upper PDU".
pub(crate) const EXPORTED: LinkType = LinkType(252);

/// The most of a message that one made packet carries.
const SEGMENT: usize = 60_000;
const HOPS: u8 = 64;

/// The sequence numbers of made TCP streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    next: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

/// The packets of a SIP message, and what they begin with.
pub(crate) fn sip(
    message: &SipMessage,
    octets: &[u8],
    streams: &mut Streams,
) -> (LinkType, Vec<Vec<u8>>) {
    let (source, target) = (message.source, message.target);
    match message.transport {
        Transport::Udp => match udp(source, target, octets) {
            Some(packet) => (RAW_IP, vec![packet]),
            None => (EXPORTED, vec![exported(message, octets)]),
        },
        Transport::Tcp => match streams.tcp(source, target, octets) {
            Some(packets) => (RAW_IP, packets),
            None => (EXPORTED, vec![exported(message, octets)]),
        },
        Transport::Tls => (EXPORTED, vec![exported(message, octets)]),
    }
}

/// A frame of a line, and what its packet begins with.
pub(crate) fn frame(frame: &Frame, octets: &[u8]) -> (LinkType, Vec<u8>) {
    match frame.protocol.as_str() {
        ISDN => (LAPD, lapd(frame.way, octets)),
        OPEN_LINK => (USER_OPEN_LINK, octets.to_vec()),
        ACDP => (USER_ACDP, octets.to_vec()),
        _ => (USER_TABLE, octets.to_vec()),
    }
}

/// Both addresses of one family; an address that is not known is a zero.
fn families(source: SocketAddr, target: SocketAddr) -> Option<Family> {
    match (source.ip(), target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Some(Family::Four(source.octets(), target.octets()))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            Some(Family::Six(source.octets(), target.octets()))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

enum Family {
    Four([u8; 4], [u8; 4]),
    Six([u8; 16], [u8; 16]),
}

impl Family {
    fn packet(self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        match self {
            Self::Four(source, target) => PacketBuilder::ipv4(source, target, HOPS),
            Self::Six(source, target) => PacketBuilder::ipv6(source, target, HOPS),
        }
    }
}

/// Nothing for what fits into no datagram.
fn udp(source: SocketAddr, target: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
    let builder = families(source, target)?.packet();
    let mut packet = Vec::with_capacity(octets.len() + 48);
    let datagram = builder.udp(source.port(), target.port());
    datagram.write(&mut packet, octets).ok()?;
    Some(packet)
}

impl Streams {
    fn tcp(
        &mut self,
        source: SocketAddr,
        target: SocketAddr,
        octets: &[u8],
    ) -> Option<Vec<Vec<u8>>> {
        let acknowledged = self.next.get(&(target, source)).copied().unwrap_or(1);
        let mut packets = Vec::new();
        for segment in octets.chunks(SEGMENT) {
            let sequence = self.next.entry((source, target)).or_insert(1);
            let builder = families(source, target)?.packet();
            let builder = builder
                .tcp(source.port(), target.port(), *sequence, 65_535)
                .ack(acknowledged)
                .psh();
            let mut packet = Vec::with_capacity(segment.len() + 64);
            builder.write(&mut packet, segment).ok()?;
            packets.push(packet);
            *sequence = sequence.wrapping_add(segment.len() as u32);
        }
        Some(packets)
    }
}

/// epan/exported_pdu.h of Wireshark: tags, each with a length, then the message itself.
fn exported(message: &SipMessage, octets: &[u8]) -> Vec<u8> {
    const DISSECTOR: u16 = 12;
    const IPV4_SOURCE: u16 = 20;
    const IPV4_TARGET: u16 = 21;
    const IPV6_SOURCE: u16 = 22;
    const IPV6_TARGET: u16 = 23;
    const PORT_TYPE: u16 = 24;
    const SOURCE_PORT: u16 = 25;
    const TARGET_PORT: u16 = 26;
    const TCP: u32 = 2;
    const UDP: u32 = 3;
    let mut packet = Vec::with_capacity(octets.len() + 64);
    let mut tag = |kind: u16, value: &[u8]| {
        packet.extend(kind.to_be_bytes());
        let padded = value.len().next_multiple_of(4);
        packet.extend((padded as u16).to_be_bytes());
        packet.extend(value);
        packet.resize(packet.len() + padded - value.len(), 0);
    };
    tag(DISSECTOR, b"sip");
    let ways = [
        (message.source, IPV4_SOURCE, IPV6_SOURCE),
        (message.target, IPV4_TARGET, IPV6_TARGET),
    ];
    for (address, four, six) in ways {
        match address.ip() {
            IpAddr::V4(ip) => tag(four, &ip.octets()),
            IpAddr::V6(ip) => tag(six, &ip.octets()),
        }
    }
    let port_type = match message.transport {
        Transport::Udp => UDP,
        Transport::Tcp | Transport::Tls => TCP,
    };
    tag(PORT_TYPE, &port_type.to_be_bytes());
    tag(SOURCE_PORT, &u32::from(message.source.port()).to_be_bytes());
    tag(TARGET_PORT, &u32::from(message.target.port()).to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(octets);
    packet
}

/// The 16 octets of pseudo header before a frame of a D channel: packet type (0 to us, 4 from us),
/// device type 0x2000, the network side's mark, protocol 0x0030.
fn lapd(way: Way, octets: &[u8]) -> Vec<u8> {
    const DEVICE: [u8; 2] = [0x20, 0x00];
    const PROTOCOL: [u8; 2] = [0x00, 0x30];
    let mut packet = vec![0; 16];
    packet[1] = match way {
        Way::In => 0,
        Way::Out => 4,
    };
    packet[2..4].copy_from_slice(&DEVICE);
    packet[14..16].copy_from_slice(&PROTOCOL);
    packet.extend(octets);
    packet
}
