//! Every codec into every other, over a perfect network, beside the bare codecs.

use audio::near_end::{self, Voip};
use audio::network::Network;
use audio::{Spoken, bare, chain, far_end};

use super::report::{Report, score_of};

/// So much less than the bare codecs may a pair have.
const MARGIN: f64 = 0.1;

/// A score for the pair and, over all its segments, the least one.
struct Gate {
    mean: f64,
    least: f64,
}

fn gate(from: Spoken, to: Spoken) -> Gate {
    let (mean, least) = match from.is_narrow() || to.is_narrow() {
        true => (3.4, 0.0),
        false => (3.6, 3.2),
    };
    Gate { mean, least }
}

#[test]
fn c9_every_codec_is_heard_in_every_other_as_well_as_without_us() {
    let Some(mut report) = Report::begin("pairs") else {
        return;
    };
    let speech = report.speech.clone();
    let mut pairs = Vec::new();
    for from in Spoken::ALL {
        let payloads = near_end::payloads(from, &speech, Voip::default()).expect("ffmpeg encodes");
        for to in Spoken::ALL {
            let sent =
                chain::carry(from, to, &payloads, &Network::PERFECT).expect("the relay carries");
            let ours = far_end::listen(to, &sent, &Network::PERFECT, speech.rate);
            let ours = ours.expect("ffmpeg decodes");
            let name = format!("{} to {}", from.name(), to.name());
            if from == to {
                let untouched = sent.iter().map(|packet| &packet.payload).eq(&payloads);
                assert!(
                    untouched,
                    "{name}: the relay changed what it only passes on"
                );
            }
            let bare = bare::pair(from, to, &speech, Voip::default()).expect("ffmpeg is there");
            report.add(&name, &ours, score_of(from, to));
            report.add(&format!("{name} bare"), &bare, score_of(from, to));
            pairs.push((from, to, name));
        }
    }
    let mut verdicts = report.judge("every pair of codecs, a perfect network");
    for (from, to, name) in pairs {
        let Gate { mean, least } = gate(from, to);
        let pesq = verdicts.pesq(&name);
        verdicts.at_least(&name, "PESQ", pesq.mean, mean);
        verdicts.at_least(&name, "least PESQ", pesq.least, least);
        if from != to {
            let bare = verdicts.pesq(&format!("{name} bare"));
            verdicts.at_least(&name, "PESQ beside bare", pesq.mean, bare.mean - MARGIN);
        }
        let verdict = verdicts.of(&name);
        verdicts.at_least(&name, "STOI", verdict.stoi, 0.97);
        verdicts.must(verdict.gaps == 0, format!("{name}: {} gaps", verdict.gaps));
    }
    verdicts.close();
}
