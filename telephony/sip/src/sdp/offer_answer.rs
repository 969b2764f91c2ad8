//! Offers and answers of one side made from those of the other (RFC 3264), with our addresses.
//!
//! The callee is offered the caller's payload type numbers, so that a relay only has to map numbers
//! where a callee answers with numbers of its own. Which formats are agreed, the callee decides;
//! nothing is transcoded here.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::description::{Description, DescriptionError};
use super::format::{Codec, Format, WIDEBAND_FIRST};
use super::stream::{Direction, Kind, Profile, Stream};

/// Who writes: the id stays over a session, the version counts its descriptions (RFC 8866 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub id: u64,
    pub version: u64,
}

/// Where we receive one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalStream {
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
}

/// Our side of a description: our address, and a place for each stream that we take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    pub address: IpAddr,
    /// By position of the m-line; `None` refuses.
    pub streams: Vec<Option<LocalStream>>,
}

impl Stream {
    /// Whether a relay can carry it.
    pub fn is_relayable(&self) -> bool {
        let keyed = !self.profile.is_secure() || !self.crypto.is_empty();
        self.rtp.is_some()
            && keyed
            && self.profile.is_rtp()
            && matches!(self.kind, Kind::Audio | Kind::Video)
            && self.formats.iter().any(|format| !format.is_companion())
    }

    /// Whether its packets must be passed on unchanged, because only the ends have the keys.
    pub fn is_verbatim(&self) -> bool {
        self.profile.is_secure()
    }

    fn at(&self, local: LocalStream, formats: Vec<Format>, direction: Direction) -> Self {
        Self {
            rtp: Some(local.rtp),
            rtcp: Some(if self.rtcp_mux { local.rtp } else { local.rtcp }),
            host: None,
            formats,
            direction,
            // Keys beside a plain stream are for us, not for the other end.
            crypto: if self.is_verbatim() {
                self.crypto.clone()
            } else {
                Vec::new()
            },
            ..self.clone()
        }
    }
}

/// The offer to a callee: what the caller offered, at our addresses. Key presses are asked for
/// even where the caller sends none, because doors are opened by them.
pub fn offer_from(offered: &Description, local: &Local) -> Description {
    let streams = offered.streams.iter().zip(places(local));
    let streams = streams.map(|(stream, place)| match place {
        Some(place) if stream.is_relayable() => {
            let carried = stream.formats.iter().filter(|format| !format.is_repair());
            let mut formats = carried.cloned().collect();
            if stream.kind == Kind::Audio && !stream.is_verbatim() {
                add_events(&mut formats);
            }
            stream.at(place, formats, stream.direction)
        }
        Some(_) | None => stream.refused(),
    });
    Description {
        streams: streams.collect(),
    }
}

/// An offer of our own, audio only, best bandwidth first (C9).
pub fn fresh_offer(local: LocalStream) -> Description {
    let mut formats: Vec<Format> = WIDEBAND_FIRST
        .iter()
        .map(|(codec, number)| codec.format(*number))
        .collect();
    add_events(&mut formats);
    audio_in(local, formats)
}

/// A description of audio in these formats, and of nothing else.
pub fn audio_in(at: LocalStream, formats: Vec<Format>) -> Description {
    let template = Stream {
        ptime: Some(20),
        ..Stream::new(Kind::Audio, Profile::Avp)
    };
    Description {
        streams: vec![template.at(at, formats, Direction::SendRecv)],
    }
}

/// Telephone events for each clock of the audio formats that has none (RFC 4733 2.1).
fn add_events(formats: &mut Vec<Format>) {
    let media = formats.iter().filter(|format| !format.is_companion());
    let clocks: BTreeSet<u32> = media.map(|format| format.clock_rate).collect();
    for clock_rate in clocks {
        let has = |format: &Format| format.is_event() && format.clock_rate == clock_rate;
        // 101 is what old stations expect; RFC 3551 3 leaves 96 to 127 free.
        let mut numbers = std::iter::once(101).chain(96..=127);
        let free = numbers.find(|number| !formats.iter().any(|f| f.payload_type == *number));
        if let (false, Some(number)) = (formats.iter().any(has), free) {
            formats.push(Format {
                clock_rate,
                ..Codec::TelephoneEvent.format(number)
            });
        }
    }
}

/// The answer to `offered`, when the other leg has settled on `settled`: for each stream the
/// formats that both have, with the numbers of the offer. Key presses are accepted whether or not
/// the other leg takes them.
pub fn answer_to(
    offered: &Description,
    settled: &Description,
    local: &Local,
) -> Result<Description, DescriptionError> {
    let mut streams = Vec::with_capacity(offered.streams.len());
    for ((stream, place), index) in offered.streams.iter().zip(places(local)).zip(0..) {
        let other = matching(settled, offered, index);
        let answer = match (place, other) {
            (Some(place), Some(other)) if stream.is_relayable() => answer(stream, other, place),
            (Some(_) | None, _) => None,
        };
        streams.push(answer.unwrap_or_else(|| stream.refused()));
    }
    if streams.iter().all(|stream| stream.rtp.is_none()) {
        return Err(DescriptionError::NothingAccepted);
    }
    Ok(Description { streams })
}

/// `None` when the two sides have nothing in common.
fn answer(stream: &Stream, other: &Stream, place: LocalStream) -> Option<Stream> {
    if stream.is_verbatim() != other.is_verbatim() || !keys_agree(stream, other) {
        return None;
    }
    let formats = match stream.is_verbatim() {
        // The relay cannot write other numbers into protected packets.
        true => common(&other.formats, &stream.formats),
        false => with_events(agreed_formats(&stream.formats, &other.formats), stream),
    };
    if formats.iter().all(Format::is_companion) {
        return None;
    }
    // What the other leg sends, this leg may receive, and the other way round; never more than
    // was offered (RFC 3264 6.1).
    let direction = Direction::new(
        other.direction.sends() && stream.direction.receives(),
        other.direction.receives() && stream.direction.sends(),
    );
    let crypto = match other.is_verbatim() {
        true => other.crypto.clone(),
        false => Vec::new(),
    };
    Some(Stream {
        // The keys and limits of an answer are those of the one who really answers.
        crypto,
        bandwidth: other.bandwidth.clone(),
        passed: other.passed.clone(),
        ptime: other.ptime.or(stream.ptime),
        ..stream.at(place, formats, direction)
    })
}

/// RFC 4568 5.1.2: a secure answer takes up exactly one of the lines that were offered.
fn keys_agree(stream: &Stream, other: &Stream) -> bool {
    match (stream.is_verbatim(), other.crypto.as_slice()) {
        (false, _) => true,
        (true, [chosen]) => stream.crypto.iter().any(|offered| chosen.accepts(offered)),
        (true, _) => false,
    }
}

/// Telephone events are for us too: those of the offer stay, where they fit an agreed clock; or, of
/// a device that has none which fit, all. Many know them at 8000 only, and name that beside Opus.
fn with_events(mut agreed: Vec<Format>, stream: &Stream) -> Vec<Format> {
    if stream.kind != Kind::Audio {
        return agreed;
    }
    let media = agreed.iter().filter(|format| !format.is_companion());
    let clocks: BTreeSet<u32> = media.map(|format| format.clock_rate).collect();
    let on_clock = |event: &Format| clocks.contains(&event.clock_rate);
    let offered = || stream.formats.iter().filter(|format| format.is_event());
    let any_fits = offered().any(on_clock);
    let stays = |event: &Format| on_clock(event) || !any_fits;
    agreed.retain(|format| !format.is_event() || stays(format));
    for event in offered().filter(|event| stays(event)) {
        let there = agreed
            .iter()
            .any(|format| format.payload_type == event.payload_type);
        if !there {
            agreed.push(event.clone());
        }
    }
    agreed
}

/// The stream of the other leg that belongs to stream `index` of an offer: at the same position
/// where the kinds agree, else the first live one of the kind.
fn matching<'a>(
    settled: &'a Description,
    offered: &Description,
    index: usize,
) -> Option<&'a Stream> {
    let kind = &offered.streams[index].kind;
    let same_place = settled
        .streams
        .get(index)
        .filter(|stream| stream.kind == *kind);
    same_place
        .or_else(|| settled.live(kind))
        .filter(|stream| stream.rtp.is_some())
}

/// Those of `ours` that `theirs` has too, in their order of preference, with our numbers.
pub fn agreed_formats(ours: &[Format], theirs: &[Format]) -> Vec<Format> {
    let mut agreed: Vec<Format> = Vec::new();
    for their in theirs {
        let found = ours.iter().find(|our| {
            our.is_same_as(their) && !agreed.iter().any(|a| a.payload_type == our.payload_type)
        });
        if let Some(our) = found {
            let fmtp = their.fmtp.clone().or_else(|| our.fmtp.clone());
            agreed.push(Format {
                fmtp,
                ..our.clone()
            });
        }
    }
    agreed
}

/// Those of `formats` that `others` have too, unchanged.
fn common(formats: &[Format], others: &[Format]) -> Vec<Format> {
    let shared = formats
        .iter()
        .filter(|format| others.iter().any(|o| o.is_same_as(format)));
    shared.cloned().collect()
}

fn places(local: &Local) -> impl Iterator<Item = Option<LocalStream>> + '_ {
    local.streams.iter().copied().chain(std::iter::repeat(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Description {
        Description::parse(text.as_bytes()).unwrap()
    }

    fn offer(rest: &str) -> Description {
        parse(&format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n{rest}"
        ))
    }

    fn local(ports: &[Option<u16>]) -> Local {
        let address: IpAddr = [10, 0, 0, 1].into();
        let streams = ports.iter().map(|port| {
            port.map(|port| LocalStream {
                rtp: (address, port).into(),
                rtcp: (address, port + 1).into(),
            })
        });
        Local {
            address,
            streams: streams.collect(),
        }
    }

    fn text(description: &Description) -> String {
        String::from_utf8(description.write(7, 1, [10, 0, 0, 1].into()).to_vec()).unwrap()
    }

    #[test]
    fn the_callee_is_offered_what_the_caller_has_at_our_address() {
        let offered = offer(
            "m=audio 4000 RTP/AVP 9 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=candidate:1 1 UDP 1 10.0.0.7 4000 typ host\r\nm=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=rtcp-fb:* nack pli\r\nm=application 4004 UDP/BFCP *\r\n",
        );
        let made = offer_from(&offered, &local(&[Some(20_000), Some(20_002), None]));
        assert_eq!(
            text(&made),
            "v=0\r\no=- 7 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
             m=audio 20000 RTP/AVP 9 8 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n\
             m=video 20002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=rtcp-fb:99 nack pli\r\na=sendrecv\r\n\
             m=application 0 UDP/BFCP *\r\n"
        );
    }

    #[test]
    fn the_caller_is_answered_with_its_own_numbers_in_the_callees_order() {
        let offered = offer(
            "m=audio 4000 RTP/AVP 96 9 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n",
        );
        let settled = offer(
            "m=audio 5000 RTP/AVP 9 111 100\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:100 telephone-event/8000\r\n",
        );
        let answer = answer_to(&offered, &settled, &local(&[Some(20_000)])).unwrap();
        let numbers: Vec<u8> = answer.streams[0]
            .formats
            .iter()
            .map(|f| f.payload_type)
            .collect();
        assert_eq!(numbers, [9, 96, 101]);
    }

    /// baresip 1.0 offers no others beside Opus.
    #[test]
    fn events_on_the_clock_of_telephones_are_taken_beside_opus() {
        let offered = offer(
            "m=audio 4000 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n",
        );
        let answer = answer_to(&offered, &offered, &local(&[Some(20_000)])).unwrap();
        let formats = answer.streams[0].formats.iter();
        let numbers: Vec<u8> = formats.map(|format| format.payload_type).collect();
        assert_eq!(numbers, [96, 101]);
    }

    #[test]
    fn a_refused_video_stays_refused_in_its_place() {
        let offered =
            offer("m=video 4002 RTP/AVP 99\r\na=rtpmap:99 VP8/90000\r\nm=audio 4000 RTP/AVP 8\r\n");
        let settled = offer("m=video 0 RTP/AVP 99\r\nm=audio 5000 RTP/AVP 8\r\n");
        let answer = answer_to(&offered, &settled, &local(&[Some(20_000), Some(20_002)])).unwrap();
        assert_eq!(answer.streams[0].rtp, None);
        assert_eq!(answer.streams[1].rtp.unwrap().port(), 20_002);
        assert!(text(&answer).contains("m=video 0 RTP/AVP 99\r\nm=audio 20002 RTP/AVP 8\r\n"));
    }

    #[test]
    fn a_one_way_answer_stays_one_way() {
        let offered = offer("m=audio 4000 RTP/AVP 8\r\n");
        let settled = offer("m=audio 5000 RTP/AVP 8\r\na=recvonly\r\n");
        let answer = answer_to(&offered, &settled, &local(&[Some(20_000)])).unwrap();
        // The callee only receives, so the caller will only send: we only receive from it.
        assert_eq!(answer.streams[0].direction, Direction::RecvOnly);
    }

    #[test]
    fn nothing_in_common_is_an_error_and_telephone_events_alone_are_nothing() {
        let offered = offer("m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        let settled = offer("m=audio 5000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        let answer = answer_to(&offered, &settled, &local(&[Some(20_000)]));
        assert_eq!(answer, Err(DescriptionError::NothingAccepted));
    }

    #[test]
    fn our_own_offer_has_the_best_bandwidth_first() {
        let place = LocalStream {
            rtp: "10.0.0.1:20000".parse().unwrap(),
            rtcp: "10.0.0.1:20001".parse().unwrap(),
        };
        let made = fresh_offer(place);
        assert!(text(&made).contains("m=audio 20000 RTP/AVP 96 9 8 0 101 97\r\n"));
        assert_eq!(Description::parse(text(&made).as_bytes()), Ok(made));
    }
}
