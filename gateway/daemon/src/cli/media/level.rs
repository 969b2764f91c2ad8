//! `media level`: a meter for each leg.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::cli::args::Level;
use crate::cli::ask::{print, table};
use crate::cli::{Exit, Failure};
use crate::control::client::Client;
use crate::control::protocol::{LevelView, MediaReply, Reply, Request, SoundLevel};

/// As often as an eye follows.
const PERIOD: Duration = Duration::from_millis(200);

/// What the bar shows: from here to full scale.
const SOFTEST: f32 = -60.0;
const BAR: usize = 30;

pub(super) fn run(options: &Level) -> Result<Exit, Failure> {
    let mut client = Client::connect(&options.ask.socket)?;
    let request = Request::Level { of: options.of };
    let end = options
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let clear = io::stdout().is_terminal() && !options.ask.json;
    // Listening begins with the first question.
    client.ask(&request)?;
    loop {
        std::thread::sleep(PERIOD);
        let Reply::Media(MediaReply::Level(levels)) = client.ask(&request)? else {
            return Ok(Exit::Fault);
        };
        let mut text = match options.ask.json {
            true => json(&levels)?,
            false => shown(&levels),
        };
        if clear {
            // Home and clear to the end of the screen.
            text.insert_str(0, "\x1b[H\x1b[J");
        }
        print(&text)?;
        if end.is_some_and(|end| end <= Instant::now()) {
            return Ok(Exit::Done);
        }
    }
}

fn json(levels: &[LevelView]) -> Result<String, Failure> {
    let mut text = serde_json::to_string(levels).map_err(|error| Failure::fault(error.into()))?;
    text.push('\n');
    Ok(text)
}

fn shown(levels: &[LevelView]) -> String {
    if levels.is_empty() {
        return "nobody talks\n".to_owned();
    }
    let rows = levels.iter().map(|level| {
        [
            level.call.to_string(),
            level.leg.to_string(),
            level.party.clone(),
            meter(Some(&level.says)),
            meter(level.hears.as_ref()),
        ]
    });
    table(["call", "leg", "party", "says", "hears"], rows)
}

fn meter(level: Option<&SoundLevel>) -> String {
    let Some(level) = level else {
        return "-".to_owned();
    };
    let share = |dbfs: f32| ((dbfs - SOFTEST) / -SOFTEST).clamp(0.0, 1.0);
    let filled = (share(level.rms) * BAR as f32) as usize;
    let peak = ((share(level.peak) * BAR as f32) as usize).min(BAR - 1);
    let mut bar = String::with_capacity(BAR);
    for place in 0..BAR {
        bar.push(match place {
            place if place < filled => '#',
            place if place == peak && level.peak > SOFTEST => '|',
            _ => '.',
        });
    }
    let _ = write!(bar, " {:6.1} rms {:6.1} peak", level.rms, level.peak);
    if level.clipped > 0 {
        bar.push_str(" CLIPPED");
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_shows_mean_and_peak() {
        let level = |rms, peak| SoundLevel {
            rms,
            peak,
            clipped: 0,
        };
        let bar = |rms, peak| meter(Some(&level(rms, peak)))[..BAR].to_owned();
        assert_eq!(bar(-127.0, -127.0), ".".repeat(BAR));
        assert_eq!(
            bar(-30.0, -14.0),
            format!("{}........|......", "#".repeat(15))
        );
        assert_eq!(bar(0.0, 0.0), "#".repeat(BAR));
        assert_eq!(meter(None), "-");
    }
}
