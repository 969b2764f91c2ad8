//! RTCP of one leg in the terms of another (RFC 3550 7.2).
//!
//! A leg's sender report goes to those who hear it, on the time and under the
//! SSRC of the stream they hear; its reception report and its feedback go to
//! the leg that it hears, about that leg's own stream. Descriptions are
//! replaced by our CNAME, so that no name of a person or device passes. BYE
//! ends here: the stream a receiver hears goes on. Anything else is dropped.

use std::time::Instant;

use crate::leg::Leg;
use crate::rtcp::{Compound, FIR, FeedbackKind, NACK, PLI, Packet, SenderInfo, Writer, word};
use crate::stream::Origin;

/// Who is who between two legs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relation {
    /// The leg whose peer wrote the compound.
    pub(crate) from: u8,
    /// The leg it shall be translated for.
    pub(crate) to: u8,
    /// `to` gets the packets of `from`.
    pub(crate) heard: bool,
    /// `from` gets the packets of `to`.
    pub(crate) hears: bool,
}

/// What `to` is told, or nothing if nothing concerns it.
pub(crate) fn translate(
    compound: Compound<'_>,
    relation: Relation,
    from: &Leg,
    to: &mut Leg,
    cname: &[u8; 16],
    now: Instant,
) -> Option<Writer> {
    let ssrc = to.out.ssrc();
    let behind = Origin {
        leg: relation.to,
        epoch: to.source.epoch(),
    };
    let sender = compound
        .packets()
        .find_map(|packet| sender_info(packet, relation, from, to));
    let block = to
        .source
        .ssrc()
        .filter(|_| relation.hears)
        .and_then(|original| {
            let mut blocks = compound.packets().filter_map(reports).flatten();
            let about_us = blocks.find(|block| block.ssrc == from.out.ssrc())?;
            from.out.block_for(behind, original, &about_us)
        });

    let mut writer = Writer::new();
    writer.report(ssrc, sender, block.as_ref());
    writer.cname(ssrc, cname);
    let without_feedback = writer.written().len();
    if relation.hears {
        for packet in compound.packets() {
            feedback(packet, behind, from, to, &mut writer);
        }
    }
    let says_something =
        sender.is_some() || block.is_some() || writer.written().len() > without_feedback;
    if let Some(info) = sender {
        to.out.reported(info.ntp_middle(), now);
    }
    says_something.then_some(writer)
}

fn sender_info(packet: Packet<'_>, relation: Relation, from: &Leg, to: &Leg) -> Option<SenderInfo> {
    let Packet::Report {
        ssrc,
        sender: Some(info),
        ..
    } = packet
    else {
        return None;
    };
    if !relation.heard || from.source.ssrc() != Some(ssrc) {
        return None;
    }
    let origin = Origin {
        leg: relation.from,
        epoch: from.source.epoch(),
    };
    Some(SenderInfo {
        ntp: info.ntp,
        timestamp: to.out.timestamp_of(origin, info.timestamp)?,
        // What was sent under this SSRC, whoever spoke.
        packets: to.out.packets() as u32,
        octets: to.out.octets() as u32,
    })
}

fn reports(packet: Packet<'_>) -> Option<crate::rtcp::Blocks<'_>> {
    match packet {
        Packet::Report { blocks, .. } => Some(blocks),
        Packet::Feedback { .. } | Packet::SourceDescription | Packet::Bye | Packet::Other(_) => {
            None
        }
    }
}

/// PLI, FIR and NACK about the stream that `from` hears.
fn feedback(packet: Packet<'_>, behind: Origin, from: &Leg, to: &Leg, writer: &mut Writer) {
    let Packet::Feedback {
        kind,
        format,
        media,
        control,
        ..
    } = packet
    else {
        return;
    };
    let (ours, sender) = (from.out.ssrc(), to.out.ssrc());
    let Some(original) = to.source.ssrc() else {
        return;
    };
    match (kind, format) {
        (FeedbackKind::Payload, PLI) if media == ours => {
            writer.feedback(kind, format, sender, original, std::iter::empty());
        }
        // RFC 5104 4.3.1: whom it concerns stands in the entries.
        (FeedbackKind::Payload, FIR) => {
            let entry = control.chunks_exact(8).find(|entry| word(entry, 0) == ours);
            if let Some(entry) = entry {
                let control = [original, word(entry, 1)].into_iter();
                writer.feedback(kind, format, sender, 0, control);
            }
        }
        // RFC 4585 6.2.1: a packet number and a mask of the sixteen after it.
        (FeedbackKind::Transport, NACK) if media == ours => {
            let lost = control.chunks_exact(4).filter_map(|entry| {
                let [number, mask] = [word(entry, 0) >> 16, word(entry, 0) & 0xffff];
                let number = from.out.sequence_for(behind, number as u16)?;
                Some(u32::from(number) << 16 | mask)
            });
            let mut lost = lost.peekable();
            if lost.peek().is_some() {
                writer.feedback(kind, format, sender, original, lost);
            }
        }
        (FeedbackKind::Payload | FeedbackKind::Transport, _) => {}
    }
}
