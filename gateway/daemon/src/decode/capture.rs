//! A capture file as JSON lines: each SIP message in it with its packet, time and addresses, and
//! each stream of RTP with how complete and even it was.
//!
//! Reads pcap and pcapng over Ethernet, raw IP, Linux "any" and loopback links, D channels (link types
//! 177 and 203, and L1oIP at its port), and what `timeline export` writes of lines and of SIP that
//! came by TLS. IP fragments are counted, not put together.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{EtherType, NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use serde::Serialize;

use super::lines;
use super::message::{self, Judgement};
use super::rtp::RtpStreams;
use super::streams::{Segment, Streams};
use super::{Verdict, line};

/// Room for the largest packet that capture programs write, and its block.
const BUFFER: usize = 1 << 20;

/// Beginnings of pcap (both byte orders, micro- and nanoseconds) and pcapng files.
const MAGIC: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

pub(super) fn is_capture(start: &[u8]) -> bool {
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// A frame of a line, and when it was seen.
#[derive(Debug, Serialize)]
struct FrameSeen<'a> {
    packet: u64,
    time: String,
    #[serde(flatten)]
    judgement: &'a Judgement,
}

/// Where a message was seen.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    /// Counted from 1, as capture programs do.
    packet: u64,
    /// Seconds since 1970, UTC.
    time: String,
    transport: &'static str,
    source: SocketAddr,
    target: SocketAddr,
    #[serde(flatten)]
    judgement: &'a Judgement,
}

/// What was in the whole file.
#[derive(Debug, Default, Serialize)]
struct Summary {
    kind: &'static str,
    packets: u64,
    sip_understood: u64,
    sip_refused: u64,
    frames_understood: u64,
    frames_refused: u64,
    /// Packets of streams that have a line of their own.
    rtp_packets: u64,
    /// Packets of more streams than are told apart.
    rtp_ignored: u64,
    other_datagrams: u64,
    /// Fragments of IP packets, which are not put together here.
    ip_fragments: u64,
    /// Packets of links or protocols that are not read.
    not_read: u64,
    /// Missing pieces in TCP streams.
    tcp_gaps: u64,
    tcp_ignored: u64,
    /// Why reading ended before the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

pub(super) fn decode(input: impl Read + Send, out: &mut impl Write) -> io::Result<Verdict> {
    let mut reading = Reading {
        summary: Summary {
            kind: "capture",
            ..Summary::default()
        },
        links: Vec::new(),
        streams: Streams::default(),
        rtp: RtpStreams::new(),
        out,
    };
    let broken = reading.read(input)?;
    let Reading {
        mut summary,
        streams,
        rtp,
        out,
        ..
    } = reading;
    summary.rtp_ignored = rtp.ignored;
    let (views, strays) = rtp.finish();
    summary.rtp_packets -= strays;
    summary.other_datagrams += strays;
    for view in views {
        line(&view, out)?;
    }
    summary.tcp_gaps = streams.gaps;
    summary.tcp_ignored = streams.ignored;
    summary.broken = broken;
    line(&summary, out)?;
    let refused = summary.sip_refused + summary.frames_refused;
    Ok(if refused > 0 || summary.broken.is_some() {
        Verdict::Refused
    } else {
        Verdict::Understood
    })
}

/// A kind of link, and in pcapng how its times are counted.
#[derive(Clone, Copy, Debug)]
struct Link {
    kind: Linktype,
    ticks_per_second: u64,
    offset: i64,
}

struct Reading<'o, W> {
    summary: Summary,
    links: Vec<Link>,
    streams: Streams,
    rtp: RtpStreams,
    out: &'o mut W,
}

impl<W: Write> Reading<'_, W> {
    /// Reads to the end; answers why it could not, if it could not.
    fn read(&mut self, input: impl Read + Send) -> io::Result<Option<String>> {
        let mut reader = match create_reader(BUFFER, input) {
            Ok(reader) => reader,
            Err(error) => return Ok(Some(describe(&error))),
        };
        loop {
            let problem = match reader.next() {
                Ok((used, block)) => {
                    self.block(&block)?;
                    reader.consume(used);
                    continue;
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => None,
                Err(error) => Some(describe(&error)),
            };
            if problem.is_some() {
                return Ok(problem);
            }
            if reader.reader_exhausted() {
                return Ok(Some(CUT_OFF.to_owned()));
            }
            if let Err(error) = reader.refill() {
                return Ok(Some(describe(&error)));
            }
        }
    }

    fn block(&mut self, block: &PcapBlockOwned<'_>) -> io::Result<()> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.links.push(Link {
                kind: header.network,
                ticks_per_second: if header.is_nanosecond_precision() {
                    1_000_000_000
                } else {
                    1_000_000
                },
                offset: 0,
            }),
            PcapBlockOwned::Legacy(packet) => {
                let Some(link) = self.links.first().copied() else {
                    return Ok(());
                };
                let second = u64::from(packet.ts_sec) * link.ticks_per_second;
                self.packet(link, second + u64::from(packet.ts_usec), packet.data)?;
            }
            // A new section counts its interfaces anew.
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.links.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => self.links.push(Link {
                kind: interface.linktype,
                ticks_per_second: interface.ts_resolution().unwrap_or(1_000_000),
                offset: interface.ts_offset(),
            }),
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let link = usize::try_from(packet.if_id)
                    .ok()
                    .and_then(|id| self.links.get(id).copied());
                let Some(link) = link else {
                    self.summary.not_read += 1;
                    return Ok(());
                };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let length = usize::try_from(packet.caplen).unwrap_or(usize::MAX);
                let data = packet.data.get(..length).unwrap_or(packet.data);
                self.packet(link, ticks, data)?;
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(())
    }

    fn packet(&mut self, link: Link, ticks: u64, data: &[u8]) -> io::Result<()> {
        self.summary.packets += 1;
        if let Some(judgements) = frames(link.kind, data) {
            return self.tell_frames(link, ticks, &judgements);
        }
        if let (UPPER_PDU, Some(upper)) = (link.kind.0, UpperPdu::read(data)) {
            let judgement = message::judge_datagram(upper.message);
            return self.tell(link, ticks, ("tls", upper.source, upper.target), &judgement);
        }
        let Some(packet) = sliced(link.kind, data) else {
            self.summary.not_read += 1;
            return Ok(());
        };
        let Some((source, target)) = packet.net.as_ref().and_then(addresses) else {
            self.summary.not_read += 1;
            return Ok(());
        };
        if packet.is_ip_payload_fragmented() {
            self.summary.ip_fragments += 1;
            return Ok(());
        }
        match &packet.transport {
            Some(TransportSlice::Udp(udp)) => {
                let from = SocketAddr::new(source, udp.source_port());
                let to = SocketAddr::new(target, udp.destination_port());
                if self
                    .rtp
                    .take(from, to, udp.payload(), since_1970(link, ticks))
                {
                    self.summary.rtp_packets += 1;
                    return Ok(());
                }
                if [from.port(), to.port()].contains(&L1OIP) && message::is_no_sip(udp.payload()) {
                    return self.tell_frames(link, ticks, &[lines::l1oip(udp.payload())]);
                }
                if message::is_no_sip(udp.payload()) {
                    self.summary.other_datagrams += 1;
                    return Ok(());
                }
                self.rtp.learn(udp.payload());
                let judgement = message::judge_datagram(udp.payload());
                self.tell(link, ticks, ("udp", from, to), &judgement)
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let segment = Segment {
                    from: SocketAddr::new(source, tcp.source_port()),
                    to: SocketAddr::new(target, tcp.destination_port()),
                    sequence: tcp.sequence_number(),
                    opens: tcp.syn(),
                    data: tcp.payload(),
                };
                for judgement in self.streams.take(segment) {
                    self.tell(link, ticks, ("tcp", segment.from, segment.to), &judgement)?;
                }
                Ok(())
            }
            Some(_) | None => {
                self.summary.not_read += 1;
                Ok(())
            }
        }
    }

    fn tell_frames(&mut self, link: Link, ticks: u64, judgements: &[Judgement]) -> io::Result<()> {
        for judgement in judgements {
            match judgement.verdict() {
                Verdict::Understood => self.summary.frames_understood += 1,
                Verdict::Refused | Verdict::NotRecognised => self.summary.frames_refused += 1,
            }
            let seen = FrameSeen {
                packet: self.summary.packets,
                time: time(link, ticks),
                judgement,
            };
            line(&seen, self.out)?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        link: Link,
        ticks: u64,
        (transport, source, target): (&'static str, SocketAddr, SocketAddr),
        judgement: &Judgement,
    ) -> io::Result<()> {
        match judgement.verdict() {
            Verdict::Understood => self.summary.sip_understood += 1,
            Verdict::Refused | Verdict::NotRecognised => self.summary.sip_refused += 1,
        }
        let seen = Seen {
            packet: self.summary.packets,
            time: time(link, ticks),
            transport,
            source,
            target,
            judgement,
        };
        line(&seen, self.out)
    }
}

/// Port of L1oIP.
const L1OIP: u16 = 931;
/// draft-ietf-opsawg-pcaplinktype; the last three are of `timeline export`.
const LINUX_LAPD: i32 = 177;
const LAPD: i32 = 203;
const USER_OPEN_LINK: i32 = 147;
const USER_ACDP: i32 = 148;
const UPPER_PDU: i32 = 252;

/// What a packet of a line holds; nothing for other kinds of packets.
fn frames(link: Linktype, data: &[u8]) -> Option<Vec<Judgement>> {
    match link.0 {
        // A pseudo header of 16 octets stands before the frame.
        LINUX_LAPD => Some(vec![lines::lapd(data.get(16..).unwrap_or_default())]),
        LAPD => Some(vec![lines::lapd(data)]),
        USER_OPEN_LINK => {
            // The flag that the frame before ended with may have begun this one.
            let whole = [&[0x7E], data].concat();
            Some(lines::open_link(&whole))
        }
        USER_ACDP => Some(lines::acdp(data)),
        _ => None,
    }
}

/// SIP without the packet that it came in.
struct UpperPdu<'a> {
    source: SocketAddr,
    target: SocketAddr,
    message: &'a [u8],
}

impl<'a> UpperPdu<'a> {
    /// Tags with their lengths, an empty one, the message (epan/exported_pdu.h of Wireshark).
    fn read(mut data: &'a [u8]) -> Option<Self> {
        let (mut source, mut target) = (None, None);
        let (mut source_port, mut target_port) = (0, 0);
        let mut is_sip = false;
        loop {
            let (head, rest) = data.split_first_chunk::<4>()?;
            let [kind, length] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
            let (value, rest) = rest.split_at_checked(usize::from(length))?;
            data = rest;
            let ip = || match value.len() {
                4 => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
                16 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
                _ => None,
            };
            let port = || Some(u16::from_be_bytes([*value.get(2)?, *value.get(3)?]));
            match kind {
                0 => break,
                12 => is_sip = value.starts_with(b"sip"),
                20 | 22 => source = ip(),
                21 | 23 => target = ip(),
                25 => source_port = port()?,
                26 => target_port = port()?,
                _ => {}
            }
        }
        is_sip.then_some(Self {
            source: SocketAddr::new(source?, source_port),
            target: SocketAddr::new(target?, target_port),
            message: data,
        })
    }
}

fn sliced(link: Linktype, data: &[u8]) -> Option<SlicedPacket<'_>> {
    match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(data).ok(),
        Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(data).ok(),
        // tcpdump's LINKTYPE_LINUX_SLL2: 20 bytes, the first two are the protocol.
        Linktype::LINUX_SLL2 => {
            let (head, payload) = data.split_first_chunk::<20>()?;
            let protocol = EtherType(u16::from_be_bytes([head[0], head[1]]));
            SlicedPacket::from_ether_type(protocol, payload).ok()
        }
        // Four bytes of address family, then IP.
        Linktype::NULL | Linktype::LOOP => SlicedPacket::from_ip(data.get(4..)?).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => SlicedPacket::from_ip(data).ok(),
        _ => None,
    }
}

fn addresses(net: &NetSlice<'_>) -> Option<(IpAddr, IpAddr)> {
    match net {
        NetSlice::Ipv4(ip) => Some((
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        )),
        NetSlice::Ipv6(ip) => Some((
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        )),
        NetSlice::Arp(_) => None,
    }
}

fn since_1970(link: Link, ticks: u64) -> Duration {
    let per_second = link.ticks_per_second.max(1);
    let nanos = u128::from(ticks % per_second) * 1_000_000_000 / u128::from(per_second);
    Duration::new(ticks / per_second, u32::try_from(nanos).unwrap_or(0))
}

/// Seconds with six digits behind the point.
fn time(link: Link, ticks: u64) -> String {
    let per_second = link.ticks_per_second.max(1);
    let seconds = i64::try_from(ticks / per_second).unwrap_or(i64::MAX);
    let part = u128::from(ticks % per_second) * 1_000_000 / u128::from(per_second);
    format!("{}.{part:06}", seconds.saturating_add(link.offset))
}

const CUT_OFF: &str = "the file ends in the middle of a packet";

fn describe(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => CUT_OFF.to_owned(),
        PcapError::BufferTooSmall => "a block is larger than 1 MiB".to_owned(),
        PcapError::Eof
        | PcapError::ReadError
        | PcapError::HeaderNotRecognized
        | PcapError::NomError(..)
        | PcapError::OwnedNomError(..) => "this is not a sound capture file".to_owned(),
    }
}
