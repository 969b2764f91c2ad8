//! Offers and answers of one side made from those of the other (RFC 3264), with our addresses.
//!
//! Both legs keep the caller's payload type numbers where the callee lets them, so that a relay
//! only has to map numbers where a callee answers with numbers of its own. Which formats are
//! agreed, the callee decides; nothing is transcoded here.

use std::net::{IpAddr, SocketAddr};

use super::description::{Description, DescriptionError, Direction, Kind, Profile, Stream};
use super::format::{Codec, Format, WIDEBAND_FIRST};

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
        self.rtp.is_some()
            && self.profile.is_rtp()
            && matches!(self.kind, Kind::Audio | Kind::Video)
            && self.formats.iter().any(|format| !format.is_companion())
    }

    fn at(&self, local: LocalStream, formats: Vec<Format>, direction: Direction) -> Self {
        Self {
            rtp: Some(local.rtp),
            rtcp: Some(if self.rtcp_mux { local.rtp } else { local.rtcp }),
            formats,
            direction,
            ..self.clone()
        }
    }
}

/// The offer to a callee: what the caller offered, at our addresses.
pub fn offer_from(offered: &Description, local: &Local) -> Description {
    let streams = offered.streams.iter().zip(places(local));
    let streams = streams.map(|(stream, place)| match place {
        Some(place) if stream.is_relayable() => {
            stream.at(place, stream.formats.clone(), stream.direction)
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
    formats.push(Codec::TelephoneEvent.format(101));
    let template = Stream {
        ptime: Some(20),
        ..Stream::new(Kind::Audio, Profile::Avp)
    };
    Description {
        streams: vec![template.at(local, formats, Direction::SendRecv)],
    }
}

/// The answer to `offered`, when the other leg has settled on `settled`: for each stream the
/// formats that both have, with the numbers of the offer.
pub fn answer_to(
    offered: &Description,
    settled: &Description,
    local: &Local,
) -> Result<Description, DescriptionError> {
    let mut streams = Vec::with_capacity(offered.streams.len());
    for ((stream, place), index) in offered.streams.iter().zip(places(local)).zip(0..) {
        let other = matching(settled, offered, index);
        let answer = match (place, other) {
            (Some(place), Some(other)) if stream.is_relayable() => {
                let formats = agreed_formats(&stream.formats, &other.formats);
                let media = formats.iter().any(|format| !format.is_companion());
                // What the other leg sends, this leg may receive, and the other way round; never
                // more than was offered (RFC 3264 6.1).
                let direction = Direction::new(
                    other.direction.sends() && stream.direction.receives(),
                    other.direction.receives() && stream.direction.sends(),
                );
                media.then(|| Stream {
                    // The keys of an answer are those of the one who really answers.
                    crypto: other.crypto.clone(),
                    ptime: other.ptime.or(stream.ptime),
                    ..stream.at(place, formats, direction)
                })
            }
            (Some(_) | None, _) => None,
        };
        streams.push(answer.unwrap_or_else(|| stream.refused()));
    }
    if streams.iter().all(|stream| stream.rtp.is_none()) {
        return Err(DescriptionError::NothingAccepted);
    }
    Ok(Description { streams })
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

/// How payload types are to be rewritten from one leg to the other; only those that differ.
pub fn payload_map(from: &[Format], to: &[Format]) -> Vec<(u8, u8)> {
    let pairs = from.iter().filter_map(|format| {
        let other = to.iter().find(|other| other.is_same_as(format))?;
        Some((format.payload_type, other.payload_type))
    });
    pairs.filter(|(from, to)| from != to).collect()
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
        let map = payload_map(&answer.streams[0].formats, &settled.streams[0].formats);
        assert_eq!(map, [(96, 111), (101, 100)]);
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
        assert!(text(&made).contains("m=audio 20000 RTP/AVP 96 9 8 0 101\r\n"));
        assert_eq!(Description::parse(text(&made).as_bytes()), Ok(made));
    }

    #[test]
    fn a_secure_stream_carries_the_keys_of_its_ends() {
        let offered = offer(
            "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:caller\r\n",
        );
        let made = offer_from(&offered, &local(&[Some(20_000)]));
        assert!(text(&made).contains("RTP/SAVP 8\r\n") && text(&made).contains("inline:caller"));
        let settled = offer(
            "m=audio 5000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:callee\r\n",
        );
        let answer = answer_to(&offered, &settled, &local(&[Some(20_000)])).unwrap();
        assert!(
            text(&answer).contains("inline:callee") && !text(&answer).contains("inline:caller")
        );
    }
}
