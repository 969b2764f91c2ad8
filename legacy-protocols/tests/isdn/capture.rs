//! The frames of a D channel as a capture file, and tshark's judgement of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// LINKTYPE_LINUX_LAPD: each frame behind sixteen octets that say where it came from.
const LINK_TYPE: u32 = 177;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// Who captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    User,
    Network,
}

/// All that was said in one test, on however many lines.
pub(crate) struct Capture {
    path: PathBuf,
    file: Vec<u8>,
    frames: u32,
}

/// What was said on one line.
pub(crate) struct Frames {
    place: Place,
    frames: Vec<(Direction, Vec<u8>)>,
}

impl Frames {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            frames: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, direction: Direction, frame: &[u8]) {
        self.frames.push((direction, frame.to_vec()));
    }
}

impl Capture {
    pub(crate) fn new(test: &str) -> Self {
        let mut file = Vec::new();
        for word in [0xA1B2_C3D4_u32, 0x0002_0004, 0, 0, 65_535, LINK_TYPE] {
            file.extend(word.to_be_bytes());
        }
        Self {
            path: Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("isdn-{test}.pcap")),
            file,
            frames: 0,
        }
    }

    pub(crate) fn add(&mut self, line: Frames) {
        assert!(!line.frames.is_empty(), "nothing was said");
        let network = u8::from(line.place == Place::Network);
        for (direction, frame) in line.frames {
            let length = (16 + frame.len()) as u32;
            for word in [1_700_000_000, self.frames, length, length] {
                self.file.extend(word.to_be_bytes());
            }
            let kind = if direction == Direction::Out { 4 } else { 0 };
            self.file.extend([0, kind, 0x20, 0, 0, 1, network]);
            self.file.extend([0; 7]);
            self.file.extend([0x00, 0x30]);
            self.file.extend(frame);
            self.frames += 1;
        }
    }

    /// Writes the file and lets tshark look for anything malformed or erroneous.
    pub(crate) fn judge(self) {
        let path = &self.path;
        fs::write(path, &self.file).expect("the folder for captures");
        let printed = |filter: &str| {
            let output = Command::new("tshark")
                .args(["-n", "-r"])
                .arg(path)
                .args(["-Y", filter])
                .output()
                .expect("tshark is missing: scripts/setup.sh test installs it");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let faults = printed("_ws.malformed || _ws.expert.severity>=error");
        assert_eq!(faults, "", "{} has faults", path.display());
        // It did read them all.
        let read = printed("lapd").lines().count();
        assert_eq!(read, self.frames as usize, "{}", path.display());
    }
}
