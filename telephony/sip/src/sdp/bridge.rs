//! What two ends without a common codec can agree on when their audio is transcoded between them.
//!
//! [`Description::widened`] makes the offer to a callee from that of a caller; whatever the callee
//! takes of it, [`Description::narrowed`] says what the caller is answered. C9: the widest band that
//! both ends have goes first, and within a band what needs no transcoding. Streams whose keys only
//! the ends know, and video, stay as they are.

use std::cmp::Reverse;

use super::description::Description;
use super::format::{Codec, Format, WIDEBAND_FIRST};
use super::stream::{Kind, Stream};

/// How much of a voice passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Band {
    /// 3.5 kHz.
    Narrow,
    /// 7 kHz.
    Wide,
    /// 20 kHz.
    Full,
}

/// `None`: not ours to decode.
fn band(format: &Format) -> Option<Band> {
    match format.codec()? {
        Codec::Opus => Some(Band::Full),
        Codec::G722 => Some(Band::Wide),
        Codec::Pcma | Codec::Pcmu => Some(Band::Narrow),
        Codec::H264 | Codec::Vp8 | Codec::TelephoneEvent | Codec::ComfortNoise => None,
    }
}

impl Description {
    /// All that can be made of what was offered here: what it offers, and what can be transcoded
    /// from it.
    #[must_use]
    pub fn widened(&self) -> Self {
        let streams = self
            .streams
            .iter()
            .map(|stream| match transcodable(stream) {
                true => Stream {
                    formats: widened(&stream.formats),
                    ..stream.clone()
                },
                false => stream.clone(),
            });
        Self {
            streams: streams.collect(),
        }
    }

    /// What was settled here, in the formats of `offered`: where the two have no codec in common,
    /// the format of the offer that loses least.
    #[must_use]
    pub fn narrowed(&self, offered: &Self) -> Self {
        let mut narrowed = self.clone();
        for (index, stream) in narrowed.streams.iter_mut().enumerate() {
            let same_place = offered
                .streams
                .get(index)
                .filter(|other| other.kind == stream.kind);
            let Some(offer) = same_place.or_else(|| offered.live(&stream.kind)) else {
                continue;
            };
            if transcodable(stream) && transcodable(offer) {
                narrow(&mut stream.formats, &offer.formats);
            }
        }
        narrowed
    }
}

fn transcodable(stream: &Stream) -> bool {
    stream.kind == Kind::Audio
        && stream.is_relayable()
        && !stream.is_verbatim()
        && stream.formats.iter().any(|format| band(format).is_some())
}

fn widened(own: &[Format]) -> Vec<Format> {
    let widest = own.iter().filter_map(band).max().unwrap_or(Band::Narrow);
    let (companions, voices): (Vec<_>, Vec<_>) =
        own.iter().cloned().partition(Format::is_companion);
    let mut all: Vec<(Format, Place)> = voices
        .into_iter()
        .map(|format| {
            // What is not known here is at least a voice.
            let band = band(&format).unwrap_or(Band::Narrow);
            (format, (Reverse(band), Effort::Relayed))
        })
        .collect();
    for (codec, number) in WIDEBAND_FIRST {
        let format = codec.format(number);
        if own.iter().any(|other| other.is_same_as(&format)) {
            continue;
        }
        let taken = |number: u8| {
            let there = all.iter().map(|(format, _)| format).chain(&companions);
            there.into_iter().any(|other| other.payload_type == number)
        };
        // A dynamic number may be taken; a static one may be used for nothing else (RFC 3551 3).
        let mut numbers = std::iter::once(number).chain(96..=127);
        let Some(payload_type) = numbers.find(|number| !taken(*number)) else {
            continue;
        };
        let band = band(&format).unwrap_or(Band::Narrow).min(widest);
        let format = Format {
            payload_type,
            ..format
        };
        all.push((format, (Reverse(band), Effort::Transcoded)));
    }
    all.sort_by_key(|(_, place)| *place);
    let voices = all.into_iter().map(|(format, _)| format);
    voices.chain(companions).collect()
}

type Place = (Reverse<Band>, Effort);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    Relayed,
    Transcoded,
}

fn narrow(settled: &mut Vec<Format>, offered: &[Format]) {
    let voices = || settled.iter().filter(|format| !format.is_companion());
    let common = |format: &Format| offered.iter().any(|other| other.is_same_as(format));
    if voices().any(common) {
        return;
    }
    let Some(chosen) = voices().find_map(band) else {
        return;
    };
    // The narrowest of those that are wide enough, else the widest.
    let loses_least = |format: &&Format| {
        let has = band(format).unwrap_or(Band::Narrow);
        (has.min(chosen), Reverse(has))
    };
    let bridge = offered.iter().filter(|format| band(format).is_some());
    // Of equals the first: the offerer likes it most.
    let best = bridge.rev().max_by_key(loses_least).cloned();
    let Some(best) = best else { return };
    settled.retain(Format::is_companion);
    settled.insert(0, best);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Codec::{G722, H264, Opus, Pcma, Pcmu, TelephoneEvent};

    fn numbered(codecs: &[(Codec, u8)]) -> Vec<Format> {
        codecs.iter().map(|(codec, n)| codec.format(*n)).collect()
    }

    fn offered_to_callee(own: &[(Codec, u8)]) -> Vec<(Codec, u8)> {
        let formats = widened(&numbered(own));
        let pairs = formats.iter().map(|f| (f.codec().unwrap(), f.payload_type));
        pairs.collect()
    }

    #[test]
    fn the_widest_band_of_the_caller_goes_first_and_the_callers_codec_before_others() {
        assert_eq!(
            offered_to_callee(&[(Pcma, 8), (G722, 9), (TelephoneEvent, 101)]),
            [
                (G722, 9),
                (Opus, 96),
                (Pcma, 8),
                (Pcmu, 0),
                (TelephoneEvent, 101)
            ]
        );
        assert_eq!(
            offered_to_callee(&[(Opus, 111)]),
            [(Opus, 111), (G722, 9), (Pcma, 8), (Pcmu, 0)]
        );
        // Nothing is won by a wider codec for a narrow voice, but the callee may have no other.
        assert_eq!(
            offered_to_callee(&[(Pcmu, 0)]),
            [(Pcmu, 0), (Opus, 96), (G722, 9), (Pcma, 8)]
        );
    }

    #[test]
    fn numbers_of_the_caller_are_not_given_away() {
        let offered = offered_to_callee(&[(Pcma, 8), (TelephoneEvent, 96), (Pcmu, 0)]);
        assert_eq!(offered.iter().find(|f| f.0 == Opus), Some(&(Opus, 97)));
    }

    #[test]
    fn what_nobody_here_can_decode_stays_and_is_not_transcoded() {
        let g729 = Format::from_number(18).unwrap();
        let stream = Stream {
            rtp: Some(([10, 0, 0, 7], 4000).into()),
            formats: vec![g729],
            ..Stream::new(Kind::Audio, crate::sdp::Profile::Avp)
        };
        let offer = Description {
            streams: vec![stream],
        };
        assert_eq!(offer.widened(), offer);
    }

    fn answered(settled: &[(Codec, u8)], offered: &[(Codec, u8)]) -> Vec<(Codec, u8)> {
        let mut formats = numbered(settled);
        narrow(&mut formats, &numbered(offered));
        let pairs = formats.iter().map(|f| (f.codec().unwrap(), f.payload_type));
        pairs.collect()
    }

    #[test]
    fn a_common_codec_is_kept() {
        let settled = [(Opus, 96), (Pcma, 8)];
        assert_eq!(answered(&settled, &[(Pcma, 8), (G722, 9)]), settled);
    }

    #[test]
    fn the_caller_is_answered_with_what_loses_least() {
        let events = (TelephoneEvent, 101);
        assert_eq!(
            answered(&[(Opus, 96), events], &[(Pcma, 8), (G722, 9)]),
            [(G722, 9), events]
        );
        assert_eq!(
            answered(&[(Pcmu, 0)], &[(Opus, 111), (G722, 9), (Pcma, 8)]),
            [(Pcma, 8)]
        );
        assert_eq!(answered(&[(G722, 9)], &[(Pcmu, 0), (Pcma, 8)]), [(Pcmu, 0)]);
        assert_eq!(answered(&[(G722, 9)], &[(H264, 99)]), [(G722, 9)]);
    }
}
