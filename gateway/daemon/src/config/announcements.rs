//! Announcements: WAV files that are played in place of tones.
//!
//! Read once, at the start, so that no call ever waits for a disk.

use std::path::{Path, PathBuf};

use gateway_core::Announcements;
use media::Recording;

use super::fields::AnnouncementsSection;
use super::problems::Problems;
use super::section::{Located, Optional};
use super::wav::wav;

pub(super) fn read(
    section: &AnnouncementsSection,
    folder: &Path,
    problems: &mut Problems,
) -> Announcements {
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
    }
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
