//! SRTP from outside: what others make of the same packets, what must hold for any packet, new keys.

mod corpus;
mod foreign;
mod properties;
mod rekey;
mod survives;

use media::srtp::{MAX_GROWTH, MasterKey, Sender, Suite};

/// A key of a suite; different numbers, different keys.
pub(crate) fn key(suite: Suite, number: u8) -> MasterKey {
    let keying: Vec<u8> = (0..suite.keying_len() as u8).map(|n| n ^ number).collect();
    MasterKey::new(suite, &keying).expect("the length fits")
}

/// An RTP packet with a payload of its own.
pub(crate) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| n as u8 ^ sequence as u8));
    packet
}

/// A receiver report without blocks, and a name.
pub(crate) fn rtcp(ssrc: u32) -> Vec<u8> {
    let ssrc = ssrc.to_be_bytes();
    let report = [&[0x80, 201, 0, 1], ssrc.as_slice()].concat();
    let name = [&[0x81, 202, 0, 3], ssrc.as_slice(), b"\x01\x05codec\0"].concat();
    [report, name].concat()
}

pub(crate) fn protected(sender: &mut Sender, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + MAX_GROWTH, 0);
    let len = match plain[1] {
        192..=223 => sender.protect_rtcp(&mut packet, plain.len()),
        _ => sender.protect_rtp(&mut packet, plain.len()),
    };
    packet.truncate(len.expect("a whole packet that is new"));
    packet
}
