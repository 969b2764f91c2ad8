//! How a leg sounds, in the words of the control socket: milliseconds and per cent.

use std::time::Duration;

use model::{Carried, Decoded, FarEnd, LegAudio, Level, Mos};

use crate::control::protocol::{AudioView, DecodedView, FarEndView, ReceivedView, SentView};
use crate::diagnosis::diagnose;

/// A device that speaks leaves no such gap, even one that sends nothing while it is silent.
const SILENT: Duration = Duration::from_secs(5);

pub(super) fn view(shown: &exchange::AudioView) -> AudioView {
    let audio = &shown.audio;
    let (received, sent) = (&audio.received, &audio.sent);
    AudioView {
        codec: audio.codec.map(|codec| codec.name().to_owned()),
        bandwidth: audio.band.map(|band| band.name().to_owned()),
        transcoded: audio.carried == Carried::Transcoded,
        round_trip_ms: audio.round_trip.map(ms),
        // It was as silent as that when it was looked at.
        silent_ms: audio.silent_for.map(ms),
        received: ReceivedView {
            packets: received.packets,
            lost: received.lost,
            loss_percent: percent(received.lost, received.packets + received.lost),
            jitter_ms: ms(received.jitter),
            delay_ms: received.delay.map(ms),
            mos: received.mos.map(score),
            decoded: received.decoded.as_ref().map(decoded),
        },
        sent: SentView {
            packets: sent.packets,
            far_end: sent.far.map(|far| far_end(&far, sent.packets)),
        },
        remark: remark(audio),
    }
}

/// Silence first: whoever is not heard has no other trouble that matters.
fn remark(audio: &LegAudio) -> Option<String> {
    match audio.silent_for {
        Some(silent) if silent > SILENT => {
            Some(format!("nothing heard for {} s", silent.as_secs()))
        }
        Some(_) | None => diagnose(audio).map(|cause| cause.text().to_owned()),
    }
}

fn decoded(decoded: &Decoded) -> DecodedView {
    DecodedView {
        late: decoded.late,
        concealed_ms: ms(decoded.concealed),
        buffer_ms: ms(decoded.buffer),
        buffer_most_ms: ms(decoded.buffer_most),
        level_dbfs: decoded.level.map(level),
    }
}

fn far_end(far: &FarEnd, sent: u64) -> FarEndView {
    FarEndView {
        lost: far.lost,
        loss_percent: percent(far.lost, sent),
        jitter_ms: ms(far.jitter),
        mos: far.mos.map(score),
    }
}

/// To a hundredth: more would be noise.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    (part as f64 * 10_000.0 / of as f64).round() / 100.0
}

fn score(mos: Mos) -> f64 {
    f64::from(mos.hundredths()) / 100.0
}

fn level(level: Level) -> f64 {
    f64::from(level.tenths()) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_as_people_say_them() {
        assert_eq!(ms(Duration::from_micros(20_126)), 20.13);
        assert_eq!([percent(1, 3), percent(0, 0)], [33.33, 0.0]);
        assert_eq!(score(Mos::from_hundredths(437)), 4.37);
        assert_eq!(level(Level::from_tenths(-264)), -26.4);
    }
}
