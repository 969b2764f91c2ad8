//! Writes pcapng (draft-ietf-opsawg-pcapng): a section, its interfaces, packets with comments.
//!
//! It knows no protocol. Invariant: an interface stands before its first packet.

use std::io::{self, Write};

/// What a packet begins with (draft-ietf-opsawg-pcaplinktype).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkType(pub(crate) u16);

/// Which way a packet went, as the gateway saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

/// A packet to be written.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) interface: u32,
    pub(crate) microseconds: u64,
    pub(crate) direction: Direction,
    pub(crate) octets: &'a [u8],
    pub(crate) comments: &'a [String],
}

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const COMMENT: u16 = 1;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION: u16 = 3;
const PACKET_FLAGS: u16 = 2;

/// Longer comments are cut: the length of an option is 16 bits.
const LONGEST_OPTION: usize = 60_000;

pub(crate) struct Pcapng<W> {
    out: W,
    interfaces: u32,
}

impl<W: Write> Pcapng<W> {
    pub(crate) fn begin(mut out: W, application: &str) -> io::Result<Self> {
        let mut body = Vec::new();
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // The length of the section is not known yet.
        body.extend((-1_i64).to_le_bytes());
        option(USER_APPLICATION, application.as_bytes(), &mut body);
        end_of_options(&mut body);
        block(SECTION, &body, &mut out)?;
        Ok(Self { out, interfaces: 0 })
    }

    /// Adds an interface; its number. Times count microseconds, as they do unless said otherwise.
    pub(crate) fn interface(
        &mut self,
        link: LinkType,
        name: &str,
        description: &str,
    ) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend(link.0.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // Packets are not cut.
        body.extend(0_u32.to_le_bytes());
        option(INTERFACE_NAME, name.as_bytes(), &mut body);
        option(INTERFACE_DESCRIPTION, description.as_bytes(), &mut body);
        end_of_options(&mut body);
        block(INTERFACE, &body, &mut self.out)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    pub(crate) fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut body = Vec::with_capacity(packet.octets.len() + 64);
        let length = u32::try_from(packet.octets.len()).map_err(io::Error::other)?;
        let [high, low] = [packet.microseconds >> 32, packet.microseconds & 0xFFFF_FFFF];
        body.extend(packet.interface.to_le_bytes());
        for half in [high, low] {
            body.extend(u32::try_from(half).unwrap_or(u32::MAX).to_le_bytes());
        }
        body.extend(length.to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(packet.octets);
        pad(&mut body);
        for comment in packet.comments {
            option(COMMENT, comment.as_bytes(), &mut body);
        }
        let flags: u32 = match packet.direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        option(PACKET_FLAGS, &flags.to_le_bytes(), &mut body);
        end_of_options(&mut body);
        block(ENHANCED_PACKET, &body, &mut self.out)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn option(code: u16, value: &[u8], to: &mut Vec<u8>) {
    let mut length = value.len().min(LONGEST_OPTION);
    // A text is not cut within a character.
    while length < value.len() && value[length] & 0xC0 == 0x80 {
        length -= 1;
    }
    to.extend(code.to_le_bytes());
    to.extend((length as u16).to_le_bytes());
    to.extend(&value[..length]);
    pad(to);
}

fn end_of_options(to: &mut Vec<u8>) {
    to.extend([0; 4]);
}

fn pad(to: &mut Vec<u8>) {
    to.resize(to.len().next_multiple_of(4), 0);
}

fn block(kind: u32, body: &[u8], out: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(body)?;
    out.write_all(&length.to_le_bytes())
}
