//! Announcements: WAV files that are played in place of tones.
//!
//! Read once, at the start, so that no call ever waits for a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exchange::Announcements;
use media::Recording;

use super::fields::{MediaSection, PlayedSection};
use super::problems::Problems;
use super::section::{Located, Optional, Repeated};
use super::wav::wav;

pub(super) fn read(media: &MediaSection, folder: &Path, problems: &mut Problems) -> Announcements {
    let section = &media.announcements;
    let messages = numbered(&media.messages, folder, problems);
    let programmes = numbered(&media.programmes, folder, problems);
    let mut recording = |field: &Optional<PathBuf>| {
        let file = field.as_ref()?;
        recording(file, folder, problems)
    };
    Announcements {
        auto_answer: recording(&section.auto_answer),
        time_limit: recording(&section.time_limit),
        hold: recording(&section.hold),
        door_sent: recording(&section.door_sent),
        door_refused: recording(&section.door_refused),
        busy: recording(&section.busy),
        unavailable: recording(&section.unavailable),
        unknown_number: recording(&section.unknown_number),
        echo_test: recording(&section.echo_test),
        messages,
        programmes,
    }
}

/// Those that are asked for by their numbers.
fn numbered(
    sections: &Repeated<PlayedSection>,
    folder: &Path,
    problems: &mut Problems,
) -> BTreeMap<u8, Recording> {
    let mut all = BTreeMap::new();
    for section in sections.iter() {
        // The bounds of the field have been checked when it was read.
        let number = u8::try_from(section.number.value.0).unwrap_or(u8::MAX);
        let Some(recording) = recording(&section.file, folder, problems) else {
            continue;
        };
        if all.insert(number, recording).is_some() {
            problems.report(
                &section.number.place,
                format!("{number} is there already"),
                "give each its own number",
            );
        }
    }
    all
}

fn recording(file: &Located<PathBuf>, folder: &Path, problems: &mut Problems) -> Option<Recording> {
    let path = folder.join(&file.value);
    match wav(&path) {
        Ok((samples, rate)) => Some(Recording::new(&samples, rate)),
        Err((what, remedy)) => {
            let what = format!("{} cannot be played: {what}", path.display());
            problems.report(&file.place, what, remedy);
            None
        }
    }
}
