//! Where the sound of a line's call goes: told in the protocol, or through a B channel.
//!
//! Either way it is an end of RTP for the media plan, like every other. What cannot be heard is
//! refused with its cause, not connected in silence.

use std::net::{IpAddr, Ipv4Addr};

use calls::{Origin, StartLeg, Target};
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};
use model::{Encryption, EndCause, LegId, StationId};
use sip::sdp::Codec;

use super::legs::LineLeg;
use super::{LineId, LineSound};
use crate::io::{LineCommand, Output};
use crate::plan::{End, Signalling, Start, Taker, Terms};
use crate::state::Exchange;

/// What a B channel carries.
const CHANNEL: [Codec; 1] = [Codec::Pcma];
/// What the protocols of lines can name.
const NAMED: [Codec; 4] = [Codec::G722, Codec::Pcma, Codec::Pcmu, Codec::TelephoneEvent];

impl Exchange {
    /// Ports for a call that has arrived over a line.
    pub(super) fn plan_from_line(
        &mut self,
        leg: LegId,
        entry: &LineLeg,
        told: Option<SoundEnd>,
        from: &Origin,
        taker: Taker,
    ) -> Result<(), EndCause> {
        let end = match self.sound_way(entry.line) {
            LineSound::Rtp => end(&told.ok_or(EndCause::MediaMismatch)?),
            LineSound::Channels => self.channel_end(entry)?.1,
            LineSound::Sip(_) | LineSound::None => return Err(EndCause::MediaMismatch),
        };
        let station = match from {
            Origin::Station(station) => Some(*station),
            Origin::CloudUser { .. } | Origin::Outside { .. } | Origin::Node { .. } => None,
        };
        let start = Start {
            taker,
            local: self.config.local_for(end.rtp.ip()),
            peer: end.rtp.ip(),
            terms: self.line_terms(entry.line, station),
        };
        let planned = self.plan.end_arrived(leg, start, &end);
        planned.map(drop).map_err(|error| error.cause())
    }

    /// Ports for a call that shall go over a line, and what its other end is told of them.
    pub(super) fn plan_towards_line(
        &mut self,
        start: &StartLeg,
        entry: &LineLeg,
    ) -> Result<Option<SoundEnd>, EndCause> {
        let understood: &[Codec] = match self.sound_way(entry.line) {
            LineSound::Rtp => &NAMED,
            LineSound::Channels => &CHANNEL,
            LineSound::Sip(_) | LineSound::None => return Err(EndCause::MediaMismatch),
        };
        let station = match start.to {
            Target::Station(station) => Some(station),
            Target::Elsewhere(_) => None,
        };
        let terms = self.line_terms(entry.line, station);
        if terms.encryption == Encryption::Required {
            return Err(EndCause::EncryptionMismatch);
        }
        let peer = self.lines.get(entry.line).and_then(|line| line.config.peer);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let begin = Start {
            taker: match start.priority.is_alarm() {
                true => Taker::Alarm,
                false => Taker::Usual,
            },
            local: self.config.local_for(peer),
            peer,
            terms,
        };
        let offered = self
            .plan
            .offer_end(start.leg, begin, start.offer_of, understood);
        let end = offered.map_err(|error| error.cause())?;
        match self.sound_way(entry.line) {
            LineSound::Rtp => Ok(sound_end(&end)),
            LineSound::Channels | LineSound::Sip(_) | LineSound::None => Ok(None),
        }
    }

    /// The other end has said where it takes sound, or its channel is known now. False: neither yet.
    pub(super) fn hear_line(
        &mut self,
        leg: LegId,
        told: Option<SoundEnd>,
    ) -> Result<bool, EndCause> {
        let Some(entry) = self.lines.legs.get(leg).cloned() else {
            return Ok(false);
        };
        let (channel, end) = match (self.sound_way(entry.line), told) {
            (LineSound::Rtp, Some(told)) => (None, end(&told)),
            // What was said before still holds.
            (LineSound::Rtp, None) => return Ok(self.plan.is_agreed(leg)),
            (LineSound::Channels, _) => {
                let (channel, end) = self.channel_end(&entry)?;
                (Some(channel), end)
            }
            (LineSound::Sip(_) | LineSound::None, _) => return Ok(false),
        };
        let answered = self.plan.end_answered(leg, &end, end.rtp.ip());
        answered.map_err(|error| error.cause())?;
        if let Some(channel) = channel {
            self.join_channel(leg, channel);
        }
        Ok(true)
    }

    /// What an arrived call's other end is told of our sound; a channel is joined instead.
    pub(super) fn sound_for_line(&mut self, leg: LegId) -> Option<SoundEnd> {
        let entry = self.lines.legs.get(leg).cloned()?;
        match self.sound_way(entry.line) {
            LineSound::Rtp => sound_end(&self.plan.own_end(leg)?),
            LineSound::Channels => {
                if let Ok((channel, _)) = self.channel_end(&entry) {
                    self.join_channel(leg, channel);
                }
                None
            }
            LineSound::Sip(_) | LineSound::None => None,
        }
    }

    pub(super) fn leave_channel(&mut self, line: LineId, channel: u8) {
        let command = LineCommand::Leave { channel };
        self.out(Output::Line { line, command });
    }

    fn join_channel(&mut self, leg: LegId, channel: u8) {
        let Some(ours) = self.plan.own_end(leg).map(|end| end.rtp) else {
            return;
        };
        let Some(entry) = self.lines.legs.get_mut(leg) else {
            return;
        };
        let line = entry.line;
        let before = entry.channel.replace(channel);
        if before == Some(channel) {
            return;
        }
        if let Some(before) = before {
            self.leave_channel(line, before);
        }
        let command = LineCommand::Join { channel, ours };
        self.out(Output::Line { line, command });
    }

    /// The channel of a call, and where the shell takes its sound.
    fn channel_end(&self, entry: &LineLeg) -> Result<(u8, End), EndCause> {
        let line = self.lines.get(entry.line).ok_or(EndCause::Unreachable)?;
        let channel = line.port().and_then(|port| port.channel(entry.call));
        let channel = channel.ok_or(EndCause::MediaMismatch)?;
        let at = line.channels.get(&channel).ok_or(EndCause::Overload)?;
        let end = End {
            rtp: *at,
            rtcp: None,
            codecs: CHANNEL.to_vec(),
        };
        Ok((channel, end))
    }

    fn sound_way(&self, line: LineId) -> LineSound {
        let line = self.lines.get(line);
        line.map_or(LineSound::None, |line| line.config.sound.clone())
    }

    /// Channels end in this machine; what goes over a network can only go in the clear.
    fn line_terms(&self, line: LineId, station: Option<StationId>) -> Terms {
        match self.sound_way(line) {
            LineSound::Channels => Terms {
                encryption: Encryption::Off,
                signalling: Signalling::Readable,
            },
            LineSound::Rtp | LineSound::Sip(_) | LineSound::None => {
                self.terms(station, Signalling::Readable)
            }
        }
    }
}

fn end(told: &SoundEnd) -> End {
    let codecs = told.codecs.as_slice().iter().map(|codec| match codec {
        SoundCodec::G722 => Codec::G722,
        SoundCodec::Pcma => Codec::Pcma,
        SoundCodec::Pcmu => Codec::Pcmu,
    });
    let events = match told.keys {
        SoundKeys::Events => Some(Codec::TelephoneEvent),
        SoundKeys::OnTheLine => None,
    };
    let mut above = told.address;
    // RFC 3550 11: RTCP goes to the port above.
    let rtcp = told.address.port().checked_add(1).map(|port| {
        above.set_port(port);
        above
    });
    End {
        rtp: told.address,
        rtcp,
        codecs: codecs.chain(events).collect(),
    }
}

fn sound_end(end: &End) -> Option<SoundEnd> {
    let codecs = end.codecs.iter().filter_map(|codec| match codec {
        Codec::G722 => Some(SoundCodec::G722),
        Codec::Pcma => Some(SoundCodec::Pcma),
        Codec::Pcmu => Some(SoundCodec::Pcmu),
        Codec::Opus | Codec::H264 | Codec::Vp8 | Codec::TelephoneEvent | Codec::ComfortNoise => {
            None
        }
    });
    let keys = match end.codecs.contains(&Codec::TelephoneEvent) {
        true => SoundKeys::Events,
        false => SoundKeys::OnTheLine,
    };
    Some(SoundEnd {
        address: end.rtp,
        codecs: SoundCodecs::new(codecs)?,
        keys,
    })
}
