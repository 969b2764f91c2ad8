//! What the command line and the running gateway say to each other: one JSON object per line.
//!
//! Documents only. A field may be added, none changes its meaning: an older command line can ask a
//! newer gateway. Whoever can open the socket may see numbers and names, so they stand here bare.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::driver::Covers;

/// The longest line either side accepts from the other.
pub(crate) const LONGEST_REQUEST: usize = 64 * 1024;

/// What can be asked. After `Watch` the answers do not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// How the gateway is.
    Status,
    /// The calls of this moment.
    Calls,
    /// All stations and whether they can be reached.
    Stations,
    /// The calls of this moment, and again after every change.
    Watch,
    /// End a call.
    End {
        call: u64,
    },
    /// Open a door, named by its key in the directory.
    Open {
        door: String,
    },
    /// All lines to older intercom servers.
    Lines,
    /// Something of a station behind a line; its server's answer is waited for.
    Order {
        station: String,
        order: OrderAsked,
    },
    /// A station's own page is to be asked for, to answer or end its call.
    Remote {
        station: String,
        action: RemoteAction,
    },
    /// Read the directory again.
    Reload,
    /// Record a call into the gateway's own folder.
    RecordCall {
        call: u64,
    },
    StopRecording {
        call: u64,
    },
    /// Record the call, or else the leg, of this number, for the one who asks.
    Record {
        of: u64,
        seconds: u64,
    },
    /// What was recorded since the last time.
    TakeRecorded {
        recording: u64,
    },
    EndRecorded {
        recording: u64,
    },
    /// A piece of a sound for a leg: 16-bit samples, little-endian, in base64. With the last piece
    /// it is played.
    Play {
        leg: u64,
        rate: u32,
        samples: String,
        last: bool,
    },
    /// How much louder, in whole dB, others hear a leg, or it hears others; until it ends.
    Gain {
        leg: u64,
        of: GainOf,
        db: i64,
    },
    /// Whether others hear a leg; until it ends.
    Mute {
        leg: u64,
        muted: bool,
    },
    /// How the link to the cloud core is.
    Link,
    /// One line of the list of connections is to be tried, towards a core.
    Reach {
        core: String,
        line: usize,
    },
    /// The gateway is to become one of this core's.
    Claim {
        code: String,
        core: String,
    },
    /// The gateway is to forget whose it is.
    Unclaim,
    /// How loud the legs are: of a call, of a leg, or all.
    Level {
        of: Option<u64>,
    },
}

/// What a station behind a line is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum OrderAsked {
    Text {
        text: String,
    },
    /// Without a channel: none.
    Programme {
        channel: Option<u8>,
    },
    /// A message that its server has recorded.
    Announce {
        message: u8,
        priority: u8,
    },
    Divert {
        when: DivertWhen,
        to: String,
    },
    DivertOff,
    Privacy {
        switch: SwitchTo,
    },
    Test,
    Pulse {
        output: u16,
        milliseconds: u64,
    },
    Switch {
        output: u16,
        switch: SwitchTo,
    },
}

/// When calls for a station are diverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DivertWhen {
    Always,
    Busy,
    NoReply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SwitchTo {
    On,
    Off,
}

/// Which way of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GainOf {
    /// What it says.
    Microphone,
    /// What it hears.
    Loudspeaker,
}

/// What a station's page can be asked to do. Doors are opened with `Open` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RemoteAction {
    /// Take a call
    Answer,
    /// End one
    Cancel,
    /// Refuse one
    Decline,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    Status(Box<StatusView>),
    Calls(Vec<CallView>),
    Stations(Vec<StationView>),
    Lines(Vec<LineShown>),
    Media(MediaReply),
    Link(Box<LinkView>),
    Reach(Box<ReachView>),
    Done(Done),
    Error(Refusal),
}

/// The link to the cloud core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LinkView {
    pub(crate) claimed: bool,
    /// `online`, `suspect`, `island` or `recover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
    pub(crate) connected: bool,
    /// What the core calls this gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) core: Option<String>,
    /// As unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_until_ms: Option<i64>,
    /// Records that the core has not acknowledged.
    pub(crate) waiting: usize,
    pub(crate) waiting_octets: usize,
    /// Records that it has, since the start.
    pub(crate) told: u64,
    /// Why there was no connection last; nothing while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

/// A line of the list of connections, tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReachView {
    pub(crate) service: String,
    pub(crate) protocol: String,
    pub(crate) port: String,
    pub(crate) host: String,
    pub(crate) purpose: String,
    /// `ok`, `proxy`, `blocked`, `not offered` or `not tried`.
    pub(crate) outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) said: Option<String>,
    /// What to open at the firewall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<String>,
}

/// What the media tools are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MediaReply {
    Recording(RecordingView),
    Recorded(RecordedView),
    Level(Vec<LevelView>),
}

/// A recording for the one who asked has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordingView {
    /// The number by which `TakeRecorded` and `EndRecorded` name it.
    pub(crate) recording: u64,
    /// 1: a leg alone; 2: the caller left, the called right.
    pub(crate) channels: u8,
}

/// What was recorded since the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedView {
    /// A piece of an Ogg Opus file, in base64.
    pub(crate) octets: String,
    /// Nothing follows.
    pub(crate) over: bool,
}

/// How loud a leg is at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LevelView {
    pub(crate) call: u64,
    pub(crate) leg: u64,
    pub(crate) party: String,
    /// What the device says.
    pub(crate) says: SoundLevel,
    /// What it hears of the one other leg of its call; nothing where there are more, or none.
    pub(crate) hears: Option<SoundLevel>,
}

/// In dBFS: a sine at full scale has an rms of -3 and a peak of 0; silence is -127.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SoundLevel {
    pub(crate) rms: f32,
    pub(crate) peak: f32,
    /// Samples at full scale since it is listened to.
    pub(crate) clipped: u64,
}

/// An operator command was carried out, as far as is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) text: String,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) text: String,
    pub(crate) remedy: String,
}

/// Who is at fault for a refusal; the exit code of the command line follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RefusalCode {
    /// The request is not understood.
    BadRequest,
    /// There is no such call or door.
    NotFound,
    /// The gateway does not do this, as it is set up.
    NotAllowed,
    /// The new directory has errors; the old one stays.
    BadConfiguration,
    /// Too many requests at once.
    Busy,
    /// The cloud core is not reached.
    NotReached,
}

/// The gateway at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusView {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) uptime_seconds: u64,
    pub(crate) state: RunState,
    /// Bound addresses, with the ports that the system chose.
    pub(crate) listeners: Vec<ListenerView>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) stations: usize,
    pub(crate) stations_registered: usize,
    pub(crate) doors: usize,
    pub(crate) calls: usize,
    /// Lines to older intercom servers.
    #[serde(default)]
    pub(crate) lines: Vec<LineBrief>,
    pub(crate) store: Vec<StoreView>,
    /// Where the timeline is; absent when none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<PathBuf>,
    /// When the directory was read last, as unix milliseconds.
    pub(crate) directory_read_ms: i64,
}

/// Whether new calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunState {
    Serving,
    Stopping,
}

/// One bound SIP address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerView {
    pub(crate) transport: String,
    pub(crate) address: SocketAddr,
}

/// A line in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineBrief {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) driver: String,
    pub(crate) state: String,
    /// Why nobody speaks on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
    /// Where the other end is waited for, with the port that the system chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listens: Option<SocketAddr>,
}

/// One file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreView {
    pub(crate) name: String,
    pub(crate) state: StoreState,
    pub(crate) waiting: u64,
    pub(crate) lost: u64,
}

/// Whether a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreState {
    Written,
    /// The disk fails; writes wait in memory.
    Degraded,
}

/// A call at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallView {
    pub(crate) call: u64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) state: String,
    pub(crate) priority: u8,
    pub(crate) seconds: u64,
    pub(crate) legs: Vec<LegView>,
}

/// One device in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LegView {
    pub(crate) leg: u64,
    pub(crate) party: String,
    pub(crate) state: String,
    /// The suite of SRTP; absent where it is spoken in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<String>,
    /// How it sounds; not before its first few seconds are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audio: Option<AudioView>,
}

/// How a leg sounds, as its media thread saw it some seconds ago at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AudioView {
    /// What the device speaks: `pcma`, `pcmu`, `g722`, `opus` or `other`.
    pub(crate) codec: Option<String>,
    /// How much of a voice gets through: `narrow` (3.4 kHz), `wide` (7 kHz) or `full` (20 kHz).
    pub(crate) bandwidth: Option<String>,
    pub(crate) transcoded: bool,
    pub(crate) round_trip_ms: Option<f64>,
    /// How long the device has not been heard; nothing: not at all yet.
    pub(crate) silent_ms: Option<f64>,
    pub(crate) received: ReceivedView,
    pub(crate) sent: SentView,
    /// What is wrong with it, in a few words; absent when it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
}

/// What a device sends to us.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReceivedView {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) loss_percent: f64,
    pub(crate) jitter_ms: f64,
    /// One way, estimated.
    pub(crate) delay_ms: Option<f64>,
    /// Estimated opinion score, 1 to 5.
    pub(crate) mos: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decoded: Option<DecodedView>,
}

/// What is known of sound that is decoded in the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecodedView {
    /// Packets that came too late to be heard.
    pub(crate) late: u64,
    /// Sound that was invented in place of what was missing.
    pub(crate) concealed_ms: f64,
    pub(crate) buffer_ms: f64,
    pub(crate) buffer_most_ms: f64,
    pub(crate) level_dbfs: Option<f64>,
}

/// What we send to a device, and what it says about that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SentView {
    pub(crate) packets: u64,
    /// By the device's own reports; nothing: it sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) far_end: Option<FarEndView>,
}

/// What a device says about what it hears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FarEndView {
    pub(crate) lost: u64,
    pub(crate) loss_percent: f64,
    pub(crate) jitter_ms: f64,
    pub(crate) mos: Option<f64>,
}

/// A station at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StationView {
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) state: String,
    /// What is wrong with it, as far as its server or its tests tell.
    #[serde(default)]
    pub(crate) faults: Vec<String>,
    /// Where its devices are registered.
    pub(crate) contacts: Vec<String>,
    /// The audio programme that it hears while it has no call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) programme: Option<u8>,
    /// Where its calls go by a diversion that is not of the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diverted: Option<String>,
}

/// A line to an older intercom server at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineShown {
    pub(crate) name: String,
    /// How it is built: `NET`, `LAN`, `S0` ...
    pub(crate) kind: String,
    pub(crate) driver: String,
    /// Why nobody speaks on it; absent where somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
    /// `down`, `connecting`, `syncing`, `up`, `suspect`.
    pub(crate) state: String,
    /// How long it is open, or not.
    pub(crate) seconds: u64,
    /// Who is at the other end, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    /// Why it was closed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// The server's software, as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// What is wrong with what comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
    pub(crate) covers: Covers,
    /// In which time each of its stations is tested; absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) surveillance_seconds: Option<u64>,
    /// How many stations behind it have a fault.
    #[serde(default)]
    pub(crate) faulty_stations: u64,
    pub(crate) figures: LineFigures,
}

/// What a line has seen. Figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineFigures {
    pub(crate) openings: u64,
    pub(crate) losses: u64,
    pub(crate) failures: u64,
    pub(crate) octets_in: u64,
    pub(crate) octets_out: u64,
    pub(crate) wrong_octets: u64,
    pub(crate) refused: u64,
    pub(crate) stalls: u64,
    pub(crate) frames: u64,
    pub(crate) bad_checksums: u64,
    pub(crate) malformed: u64,
    pub(crate) unknown: u64,
    pub(crate) noise: u64,
    pub(crate) repeats: u64,
    pub(crate) events: u64,
    pub(crate) opaque: u64,
    pub(crate) commands: u64,
    pub(crate) asked: u64,
    pub(crate) unsupported: u64,
    pub(crate) unknown_stations: u64,
    pub(crate) requests_refused: u64,
    pub(crate) requests_not_filed: u64,
    #[serde(default)]
    pub(crate) claims_without_word: u64,
    pub(crate) transfers_failed: u64,
    #[serde(default)]
    pub(crate) tests: u64,
    #[serde(default)]
    pub(crate) tests_skipped: u64,
    #[serde(default)]
    pub(crate) tests_failed: u64,
    pub(crate) outputs_refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) lost_with_line: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_look_as_documented() {
        for (request, line) in [
            (Request::Status, r#"{"request":"status"}"#),
            (Request::End { call: 7 }, r#"{"request":"end","call":7}"#),
            (
                Request::Open {
                    door: "gate".into(),
                },
                r#"{"request":"open","door":"gate"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
    }

    #[test]
    fn a_misspelt_request_is_refused() {
        for line in [
            "{}",
            r#"{"request":"stauts"}"#,
            r#"{"request":"end"}"#,
            r#"{"request":"open","door":"a","dor":"b"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(line).is_err(), "{line}");
        }
    }
}
