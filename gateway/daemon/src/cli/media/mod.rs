//! `media`: the integrator's tools for the sound of calls that are up.
//!
//! Each tool stands in the file of its name.

mod level;
mod loudness;
mod play;
mod quality;
mod record;

pub(super) use quality::{codec, dash, ms, percent, score};

use super::args::MediaTool;
use super::{Exit, Failure};

pub(super) fn run(tool: &MediaTool) -> Result<Exit, Failure> {
    match tool {
        MediaTool::Quality(options) => quality::run(options),
        MediaTool::Level(options) => level::run(options),
        MediaTool::Record(options) => record::run(options),
        MediaTool::Play(options) => play::file(options),
        MediaTool::Tone(options) => play::tone(options),
        MediaTool::Gain(options) => loudness::gain(options),
        MediaTool::Mute(options) => loudness::mute(options, true),
        MediaTool::Unmute(options) => loudness::mute(options, false),
    }
}
