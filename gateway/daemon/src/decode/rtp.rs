//! Streams of RTP in a capture: how complete and how even each was.
//!
//! RTP says of itself only that it may be RTP, so what is taken for a stream is what keeps it up:
//! one SSRC from one address to another, whose numbers go on. Invariant: the number of streams is
//! bounded; what came of too few packets is no stream.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::Observer;
use media::rtp::{Header, Kind, kind};
use serde::Serialize;

/// More than any capture that a person looks at.
const STREAMS: usize = 4_096;
/// Packets of chance do not go on for so long under one SSRC.
const FEWEST: u64 = 10;
/// Payload types that a description may give a meaning (RFC 3551 6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

#[derive(Debug)]
pub(super) struct RtpStreams {
    /// Any moment will do: times in a capture are told from one to the next.
    start: Instant,
    all: BTreeMap<(SocketAddr, SocketAddr, u32), Stream>,
    /// What descriptions in the capture say of dynamic payload types; the last word counts.
    named: BTreeMap<u8, (String, u32)>,
    /// Packets of streams beyond what is kept.
    pub(super) ignored: u64,
}

#[derive(Debug)]
struct Stream {
    observer: Observer,
    payload_types: [u64; 2],
    first: Duration,
    last: Duration,
    packets: u64,
}

/// A line of the answer.
#[derive(Debug, Serialize)]
pub(super) struct StreamView {
    kind: &'static str,
    source: SocketAddr,
    target: SocketAddr,
    ssrc: String,
    payload_types: Vec<u8>,
    /// Of the first payload type, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<String>,
    seconds: f64,
    packets: u64,
    expected: u64,
    lost: u64,
    loss_percent: f64,
    duplicates: u64,
    reordered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_jitter_ms: Option<f64>,
}

impl RtpStreams {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            all: BTreeMap::new(),
            named: BTreeMap::new(),
            ignored: 0,
        }
    }

    /// Takes a datagram if it can be RTP; `at` counts from the beginning of 1970.
    pub(super) fn take(
        &mut self,
        source: SocketAddr,
        target: SocketAddr,
        datagram: &[u8],
        at: Duration,
    ) -> bool {
        if kind(datagram) != Ok(Kind::Rtp) {
            return false;
        }
        let Ok(header) = Header::parse(datagram) else {
            return false;
        };
        let clock_rate = self.clock_rate(header.payload_type);
        let key = (source, target, header.ssrc);
        if !self.all.contains_key(&key) && self.all.len() == STREAMS {
            self.all.retain(|_, stream| stream.packets >= FEWEST);
            if self.all.len() == STREAMS {
                self.ignored += 1;
                return true;
            }
        }
        let start = self.start;
        let stream = self.all.entry(key).or_insert_with(|| Stream {
            observer: Observer::new(start),
            payload_types: [0; 2],
            first: at,
            last: at,
            packets: 0,
        });
        let since = at.saturating_sub(stream.first);
        stream.packets += 1;
        stream.last = at.max(stream.last);
        let half = usize::from(header.payload_type / 64);
        stream.payload_types[half] |= 1 << (header.payload_type % 64);
        let at = start + since;
        stream.observer.see(&header, datagram.len(), clock_rate, at);
        true
    }

    /// Learns what a message says of payload types.
    pub(super) fn learn(&mut self, message: &[u8]) {
        let lines = message.split(|octet| *octet == b'\n');
        for line in lines {
            let text = line.strip_prefix(b"a=rtpmap:");
            let text = text.and_then(|text| std::str::from_utf8(text).ok());
            let Some((number, name)) = text.and_then(|text| text.trim().split_once(' ')) else {
                continue;
            };
            let mut words = name.split('/');
            let (codec, rate) = (
                words.next(),
                words.next().and_then(|rate| rate.parse().ok()),
            );
            if let (Ok(number), Some(codec), Some(rate)) = (number.parse(), codec, rate)
                && DYNAMIC.contains(&number)
            {
                self.named.insert(number, (codec.to_owned(), rate));
            }
        }
    }

    /// The streams, and how many packets belonged to none.
    pub(super) fn finish(self) -> (Vec<StreamView>, u64) {
        let mut strays = 0;
        let mut views = Vec::new();
        for (key, stream) in &self.all {
            if stream.packets < FEWEST {
                strays += stream.packets;
            } else {
                views.push(self.view(*key, stream));
            }
        }
        (views, strays)
    }

    fn view(
        &self,
        (source, target, ssrc): (SocketAddr, SocketAddr, u32),
        of: &Stream,
    ) -> StreamView {
        let seen = of.observer.observed();
        let has =
            |number: &u8| of.payload_types[usize::from(number / 64)] >> (number % 64) & 1 == 1;
        let payload_types: Vec<u8> = (0..128).filter(has).collect();
        let known = payload_types
            .iter()
            .find_map(|number| self.meaning(*number));
        let ms = |time: Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
        let percent = seen.lost as f64 * 100.0 / seen.expected.max(1) as f64;
        StreamView {
            kind: "rtp_stream",
            source,
            target,
            ssrc: format!("0x{ssrc:08X}"),
            jitter_ms: known.as_ref().map(|_| ms(seen.jitter)),
            max_jitter_ms: known.as_ref().map(|_| ms(seen.most_jitter)),
            codec: known.map(|(name, _)| name),
            payload_types,
            seconds: ms(of.last.saturating_sub(of.first)) / 1000.0,
            packets: seen.packets,
            expected: seen.expected,
            lost: seen.lost,
            loss_percent: (percent * 100.0).round() / 100.0,
            duplicates: seen.duplicates,
            reordered: seen.reordered,
        }
    }

    /// The clock of a payload whose time says when it was spoken: not of key presses.
    fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        let (name, rate) = self.meaning(payload_type)?;
        (!name.eq_ignore_ascii_case("telephone-event")).then_some(rate)
    }

    fn meaning(&self, payload_type: u8) -> Option<(String, u32)> {
        let fixed = match payload_type {
            0 => ("PCMU", 8000),
            3 => ("GSM", 8000),
            8 => ("PCMA", 8000),
            // RFC 3551 4.5.2: 16 kHz of sound on a clock of 8.
            9 => ("G722", 8000),
            13 => ("CN", 8000),
            18 => ("G729", 8000),
            34 => ("H263", 90_000),
            _ => return self.named.get(&payload_type).cloned(),
        };
        Some((fixed.0.to_owned(), fixed.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload_type: u8, number: u16) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend([0xd5; 160]);
        packet
    }

    fn addresses() -> [SocketAddr; 2] {
        ["192.0.2.2:4000", "192.0.2.1:20000"].map(|text| text.parse().unwrap())
    }

    #[test]
    fn what_keeps_up_is_a_stream_with_its_losses_and_jitter() {
        let (mut streams, [from, to]) = (RtpStreams::new(), addresses());
        for number in (0..100).filter(|number| number % 10 != 5) {
            let late = u64::from(number % 2) * 4;
            let at = Duration::from_millis(1_800_000_000_000 + u64::from(number) * 20 + late);
            assert!(streams.take(from, to, &packet(8, number), at));
        }
        for number in 0..5 {
            streams.take(to, from, &packet(0, number * 999), Duration::ZERO);
        }
        assert!(!streams.take(from, to, b"\x00\x01stun", Duration::ZERO));
        let (views, strays) = streams.finish();
        let [view] = &views[..] else {
            panic!("{views:?}")
        };
        assert_eq!((view.packets, view.expected, view.lost), (90, 100, 10));
        assert_eq!(
            (view.loss_percent, view.codec.as_deref()),
            (10.0, Some("PCMA"))
        );
        assert!(
            view.jitter_ms
                .is_some_and(|jitter| (2.5..=4.0).contains(&jitter))
        );
        assert_eq!(strays, 5);
    }

    #[test]
    fn dynamic_payload_types_mean_what_descriptions_say() {
        let (mut streams, [from, to]) = (RtpStreams::new(), addresses());
        streams.learn(b"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:8 X/1\r\n");
        for number in 0..20 {
            let at = Duration::from_millis(u64::from(number) * 20);
            streams.take(from, to, &packet(96, number), at);
        }
        let (views, _) = streams.finish();
        assert_eq!(views[0].codec.as_deref(), Some("opus"));
        assert_eq!(views[0].payload_types, [96]);
    }
}
