//! The command line as it is typed: commands, options, help.
//!
//! Declares; does nothing. What a command does stands in the file of its name.

mod lines;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::control::protocol::RemoteAction;

pub(crate) use self::lines::{DivertWord, Lines, LinesTool, ProgrammeChosen, SwitchWord};

/// Where a gateway of the package listens for its command line.
pub(crate) const DEFAULT_SOCKET: &str = "/run/antiphon-gateway/control.sock";

const ABOUT: &str = "The gateway beside intercom servers: SIP calls, doors, ring groups.";

const EXAMPLES: &str = "\
Examples:
  antiphon-gateway config-reference > gateway.toml   start from the documented sample
  antiphon-gateway check-config gateway.toml         see all mistakes at once
  antiphon-gateway serve --config gateway.toml       run
  antiphon-gateway calls --watch                     see calls come and go
  antiphon-gateway decode capture.pcapng             see what the gateway understands of it

Exit codes:
";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "antiphon-gateway", version, about = ABOUT, after_help = after_help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn after_help() -> String {
    let mut text = EXAMPLES.to_owned();
    for (exit, meaning) in super::Exit::ALL {
        text += &format!("  {:>2}  {meaning}\n", exit.code());
    }
    text
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway until it is told to stop
    ///
    /// Reads and checks the whole configuration first: nothing is bound before it is valid.
    /// SIGHUP reads the directory again, SIGTERM stops gracefully, a second SIGTERM at once.
    #[command(
        after_help = "Example: antiphon-gateway serve --config /etc/antiphon-gateway/gateway.toml"
    )]
    Serve(Serve),
    /// Check a configuration and say everything that is wrong with it
    #[command(after_help = "Example: antiphon-gateway check-config gateway.toml && \
                            systemctl restart antiphon-gateway")]
    CheckConfig(CheckConfig),
    /// Print a sample configuration with every setting explained
    #[command(after_help = "Example: antiphon-gateway config-reference > gateway.toml")]
    ConfigReference,
    /// Check a table driver and say what it covers
    ///
    /// Takes the file of a driver (docs/table-drivers.md), or the name of a preset, and lists which
    /// events and commands of an intercom server it can carry and which not. One that drives
    /// outputs without saying so is refused.
    #[command(after_help = "Examples:\n  antiphon-gateway driver my-server.toml\n  \
                            antiphon-gateway driver --preset mcip-ascii\n  \
                            antiphon-gateway driver --presets")]
    Driver(Driver),
    /// Show how the running gateway is
    Status(Ask),
    /// Show the calls of this moment
    #[command(
        after_help = "Examples:\n  antiphon-gateway calls\n  antiphon-gateway calls --watch\n  \
                            antiphon-gateway calls --json | jq '.[].call'"
    )]
    Calls(Calls),
    /// Show all stations and whether they can be reached
    Stations(Ask),
    /// Show the lines to older intercom servers, and give orders to stations behind them
    ///
    /// Without a tool: state, peers, counters, what each line can carry. An order goes once and now;
    /// what the server answers is printed, and nothing is kept for a line that is not up.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  antiphon-gateway lines\n  \
                      antiphon-gateway lines --json | jq '.[].state'\n  \
                      antiphon-gateway lines text 2101 \"please wait\"\n  \
                      antiphon-gateway lines test 2101"
    )]
    Lines(Lines),
    /// End a call
    #[command(after_help = "Example: antiphon-gateway end 17      (the number that `calls` shows)")]
    End(End),
    /// Open a door
    ///
    /// The door is named by its key in the directory. The gateway answers "opened" only when the
    /// station or a contact says so, else "sent, not confirmed".
    #[command(after_help = "Example: antiphon-gateway open main-gate")]
    Open(Open),
    /// Ask a SIP station's own page to answer, end or refuse its call
    ///
    /// For stations with `remote` in the directory. The page is asked over HTTP within the local
    /// segment; what passes a router is not asked. Doors are opened with `open`.
    #[command(after_help = "Example: antiphon-gateway remote 101 cancel")]
    Remote(Remote),
    /// Read the directory again, without touching calls
    Reload(Ask),
    /// Show what came, what left and what was made of it: the flight recorder
    ///
    /// Every SIP message, every frame of a line to an older server, every door command and what the
    /// gateway made of them, in order, as a ladder; numbers at the end name the entry and the one
    /// that caused it. Reads files: works also when no gateway runs (--folder).
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  antiphon-gateway timeline --since 10m\n  \
                      antiphon-gateway timeline --follow --station 102\n  \
                      antiphon-gateway timeline --call 17 --json | jq .kind\n  \
                      antiphon-gateway timeline verify\n\n\
                      Exit codes: 0 done, 3 the chain is broken, 5 no such folder"
    )]
    Timeline(Box<Timeline>),
    /// Look into the sound of the calls of this moment
    ///
    /// To judge a station alone, call the `echo_test` of the directory from it: after a sign of
    /// tones it hears itself, each packet as it came, so that what is late or soft is the station's
    /// own or its network's.
    Media(Media),
    /// Make the running gateway one of a cloud core
    ///
    /// Tries every connection that the core needs and says what a firewall has to open, shows the
    /// core the claim code (the code itself does not travel), keeps the certificate and connects.
    /// Whoever owns the gateway in the portal types the code there first. A gateway that is claimed
    /// again, or new hardware in its place, is given a new code there and claimed with that.
    #[command(
        after_help = "Examples:\n  antiphon-gateway claim ABCD-EFGH-JKMN-PQRS-TVWX-Y --core https://core.example.com\n  \
                      antiphon-gateway claim - --core https://core.example.com    (reads the code)\n  \
                      antiphon-gateway claim --test --core https://core.example.com\n\n\
                      Exit codes: 0 claimed and connected, 2 no claim code, 8 the core refuses, \
                      11 not reached"
    )]
    Claim(Claim),
    /// Show the link to the cloud core: phase, certificate, what waits, what went wrong last
    Link(Ask),
    /// Make the gateway nobody's: it forgets its certificate and what waits for the core
    ///
    /// Calls go on. The portal keeps the device until it is released there too.
    #[command(after_help = "Example: antiphon-gateway unclaim --yes")]
    Unclaim(Unclaim),
    /// Show what the gateway understands of a message or a capture
    ///
    /// Takes a SIP message, an SDP description, frames of a line to an older server or a capture file
    /// (pcap, pcapng) and prints as JSON what the product understands, or where and why it refuses.
    /// The exit code says which.
    #[command(after_help = "Examples:\n  antiphon-gateway decode invite.txt\n  \
                            tcpdump -w - udp port 5060 -c 100 | antiphon-gateway decode -\n  \
                            antiphon-gateway decode --as table --driver mcip-ascii log.txt\n\n\
                            Exit codes: 0 understood, 3 refused, 4 not recognised, 5 no such file")]
    Decode(Decode),
    /// Turn a password into the digest that may stand in the directory in its place
    ///
    /// Reads the password from the terminal without showing it, or one line from standard input.
    #[command(after_help = "Example: antiphon-gateway hash-password --realm house-7 --user 101")]
    HashPassword(HashPassword),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Write the status as JSON to this file once the gateway serves; it names the bound ports
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// Options of `check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    /// The configuration
    #[arg(value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Print the problems as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `driver`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DriverSource {
    /// The file of a driver
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A preset in place of a file
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// List the presets
    #[arg(long)]
    pub(crate) presets: bool,
}

/// Options of `driver`.
#[derive(Debug, Args)]
pub(crate) struct Driver {
    #[command(flatten)]
    pub(crate) source: DriverSource,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which gateway to ask, and how to print the answer.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The control socket of the gateway to ask
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `calls`.
#[derive(Debug, Args)]
pub(crate) struct Calls {
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Go on showing them as they change, until Ctrl-C; with --json one line per change
    #[arg(long, short)]
    pub(crate) watch: bool,
}

/// Options of `timeline`.
#[derive(Debug, Args)]
pub(crate) struct Timeline {
    #[command(subcommand)]
    pub(crate) tool: Option<TimelineTool>,
    #[command(flatten)]
    pub(crate) show: TimelineShow,
    #[command(flatten)]
    pub(crate) place: TimelineWhere,
}

/// The tools of `timeline`.
#[derive(Debug, Subcommand)]
pub(crate) enum TimelineTool {
    /// Walk the whole chain and name the first break
    ///
    /// Every line carries a hash of itself and of the line before. The log names the hash of each
    /// complete file: with --head, it must be in the chain.
    #[command(after_help = "Example: antiphon-gateway timeline verify --folder /backup/timeline")]
    Verify(TimelineVerify),
    /// Write it as a capture file (pcapng), with every event as a comment at its packet
    ///
    /// SIP is at its own addresses and ports, D channels of ISDN are link type 177, other lines have
    /// user link types, for which docs/wireshark/antiphon.lua has dissectors.
    #[command(
        after_help = "Examples:\n  antiphon-gateway timeline export --call 17 call.pcapng\n  \
                      tshark -r call.pcapng -T fields -e frame.comment"
    )]
    Export(TimelineExport),
}

/// Options of `timeline export`.
#[derive(Debug, Args)]
pub(crate) struct TimelineExport {
    /// Where to write it; "-" is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) part: TimelinePart,
    #[command(flatten)]
    pub(crate) place: TimelineWhere,
}

/// What of the timeline is wanted.
#[derive(Debug, Args)]
pub(crate) struct TimelinePart {
    /// From when on: a time (2026-11-21T16:45:00Z), or how long ago (10m, 2h)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only what belongs to this call, as `calls` shows its number
    #[arg(long, value_name = "CALL")]
    pub(crate) call: Option<u64>,
    /// Only what belongs to the station of this call number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) station: Option<String>,
    /// Only what belongs to this line to an older server
    #[arg(long, value_name = "NAME")]
    pub(crate) line: Option<String>,
}

/// Options of `timeline` itself.
#[derive(Debug, Args)]
pub(crate) struct TimelineShow {
    /// Go on showing what comes, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) part: TimelinePart,
    /// Print entries as JSON, one a line, as they stand in the files
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the timeline is.
#[derive(Debug, Args)]
pub(crate) struct TimelineWhere {
    /// The folder with its files; without it, the running gateway is asked
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The control socket of the gateway to ask
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
}

/// Options of `timeline verify`.
#[derive(Debug, Args)]
pub(crate) struct TimelineVerify {
    /// A hash that must be in the chain
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: TimelineWhere,
}

/// Options of `media`.
#[derive(Debug, Args)]
pub(crate) struct Media {
    #[command(subcommand)]
    pub(crate) tool: MediaTool,
}

/// The tools of `media`.
#[derive(Debug, Subcommand)]
pub(crate) enum MediaTool {
    /// Show how each leg sounds: loss, jitter, delay, level, estimated score, both ways
    ///
    /// "heard" is what the device sends to us, "hears" what it says about what we send to it. The
    /// figures are taken every five seconds. How to read them: docs/operations.md.
    #[command(after_help = "Examples:\n  antiphon-gateway media quality\n  \
                            antiphon-gateway media quality 17 --watch\n  \
                            antiphon-gateway media quality --json | jq '.[].audio.received.mos'")]
    Quality(Quality),
    /// Show how loud the legs are, both ways, until Ctrl-C
    ///
    /// In dBFS: a sine at full scale has 0 peak and -3 rms; speech is well at -30 to -20 rms; below
    /// -60 nobody speaks or a microphone is off. "hears" is what the other leg of a call of two
    /// says. A leg is listened to only while this runs.
    #[command(after_help = "Examples:\n  antiphon-gateway media level\n  \
                            antiphon-gateway media level 17\n  \
                            antiphon-gateway media level 17 --seconds 5 --json")]
    Level(Level),
    /// Record a call or a leg into a file (Ogg Opus)
    ///
    /// A call is recorded with the caller left and the called right, a leg alone in mono. Without
    /// FILE, a call is recorded into the gateway's own folder until it ends or until --stop. Those
    /// who talk must know that they are recorded.
    #[command(
        after_help = "Examples:\n  antiphon-gateway media record 17 door.opus --seconds 30\n  \
                            antiphon-gateway media record 17\n  \
                            antiphon-gateway media record 17 --stop"
    )]
    Record(Record),
    /// Play a WAV or Ogg Opus file to a leg, over what it hears
    ///
    /// A recording, or sound of any rate; two channels become one; two minutes at most. Nothing else
    /// is changed: the call goes on.
    #[command(
        after_help = "Examples:\n  antiphon-gateway media play 18 test.wav\n  \
                            antiphon-gateway media play 18 door.opus"
    )]
    Play(Play),
    /// Play a test tone to a leg, over what it hears
    #[command(after_help = "Examples:\n  antiphon-gateway media tone 18\n  \
                            antiphon-gateway media tone 18 --kind sweep --seconds 10")]
    Tone(Tone),
    /// Make a leg louder or softer for the others, or the others for it, until it ends
    ///
    /// In whole dB, -24 to 24; 0 leaves it as it comes. For good: `microphone_gain` and
    /// `loudspeaker_gain` of the station in the directory. While it is not 0, what the leg says is
    /// decoded and encoded again; recordings have it as it came.
    #[command(after_help = "Examples:\n  antiphon-gateway media gain 18 6\n  \
                            antiphon-gateway media gain 18 -6 --hears\n  \
                            antiphon-gateway media gain 18 0")]
    Gain(Gain),
    /// Let nobody hear what a leg says, until it ends or `unmute`
    ///
    /// It hears the others still, its keys still count, and a recording has it as it came.
    #[command(after_help = "Example: antiphon-gateway media mute 18")]
    Mute(Mute),
    /// Let others hear again what a leg says
    #[command(after_help = "Example: antiphon-gateway media unmute 18")]
    Unmute(Mute),
}

/// Options of `media gain`.
#[derive(Debug, Args)]
pub(crate) struct Gain {
    /// Number of the leg, as `media quality` and `calls --json` show it
    #[arg(value_name = "LEG")]
    pub(crate) leg: u64,
    /// How much louder it is made
    #[arg(value_name = "DB", allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-24..=24))]
    pub(crate) db: i8,
    /// What the leg hears, in place of what it says
    #[arg(long)]
    pub(crate) hears: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `media mute` and `media unmute`.
#[derive(Debug, Args)]
pub(crate) struct Mute {
    /// Number of the leg, as `media quality` and `calls --json` show it
    #[arg(value_name = "LEG")]
    pub(crate) leg: u64,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `media play`.
#[derive(Debug, Args)]
pub(crate) struct Play {
    /// Number of the leg, as `media quality` and `calls --json` show it
    #[arg(value_name = "LEG")]
    pub(crate) leg: u64,
    /// A WAV file, or a recording or other Ogg Opus file, of two minutes at most
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `media tone`.
#[derive(Debug, Args)]
pub(crate) struct Tone {
    /// Number of the leg, as `media quality` and `calls --json` show it
    #[arg(value_name = "LEG")]
    pub(crate) leg: u64,
    /// What to play
    #[arg(long, default_value = "1khz")]
    pub(crate) kind: ToneKind,
    /// For how long
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) seconds: u64,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// What `media tone` plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ToneKind {
    /// 1000 Hz at -20 dBFS
    #[value(name = "1khz")]
    OneKilohertz,
    /// From 100 to 7000 Hz, an octave after the other
    Sweep,
    /// What a caller hears while it rings
    RingBack,
}

/// Options of `media level`.
#[derive(Debug, Args)]
pub(crate) struct Level {
    /// Number of a call or of a leg, as `calls` shows it; all legs if not given
    #[arg(value_name = "CALL|LEG")]
    pub(crate) of: Option<u64>,
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
}

/// Options of `media record`.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Number of a call or of a leg, as `calls` shows it
    #[arg(value_name = "CALL|LEG")]
    pub(crate) of: u64,
    /// Where to write it; "-" is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long to record into FILE, an hour at most
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// End the recording of the call in the gateway's own folder; the call goes on
    #[arg(long, conflicts_with = "file")]
    pub(crate) stop: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `media quality`.
#[derive(Debug, Args)]
pub(crate) struct Quality {
    /// Number of a call or of a leg, as `calls` shows it; all legs if not given
    #[arg(value_name = "CALL|LEG")]
    pub(crate) of: Option<u64>,
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Go on showing them as they change, until Ctrl-C; with --json one line per change
    #[arg(long, short)]
    pub(crate) watch: bool,
}

/// Options of `end`.
#[derive(Debug, Args)]
pub(crate) struct End {
    /// Number of the call, as `calls` shows it
    #[arg(value_name = "CALL")]
    pub(crate) call: u64,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `remote`.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Number of the station
    #[arg(value_name = "STATION")]
    pub(crate) station: String,
    /// What its page shall do
    #[arg(value_name = "ACTION")]
    pub(crate) action: RemoteAction,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `open`.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// Key of the door in the directory
    #[arg(value_name = "DOOR")]
    pub(crate) door: String,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `claim`.
#[derive(Debug, Args)]
pub(crate) struct Claim {
    /// The code on the label or in the portal; "-" reads it from standard input
    #[arg(value_name = "CODE", required_unless_present = "test")]
    pub(crate) code: Option<String>,
    /// Address of the core
    #[arg(long, value_name = "URL")]
    pub(crate) core: String,
    /// Only try the connections
    #[arg(long, conflicts_with = "code")]
    pub(crate) test: bool,
    /// Do not try the connections
    #[arg(long, conflicts_with = "test")]
    pub(crate) no_test: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `unclaim`.
#[derive(Debug, Args)]
pub(crate) struct Unclaim {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `decode`.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// What to decode; "-" or nothing is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Take the input for this, instead of finding out
    #[arg(long = "as", value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// The table driver: a preset (mcip-ascii, openwebnet-events, openwebnet-commands, acdp-simple)
    /// or a driver's file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) driver: Option<String>,
}

/// What `decode` can be told that its input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A SIP message
    Sip,
    /// A session description
    Sdp,
    /// A pcap or pcapng file
    Capture,
    /// Frames of the open link profile, as they are, as hex, or as lines of HEX*CHECK
    OpenLink,
    /// Lines of ACDP's simple link layer
    Acdp,
    /// Frames of a D channel without check sequence, one a line as hex, or one as it is
    Lapd,
    /// Messages of Q.931, one a line as hex, or one as it is
    Q931,
    /// Datagrams of L1oIP, one a line as hex, or one as it is
    L1oip,
    /// Telegrams of a table driver: name it with --driver
    Table,
}

/// Options of `hash-password`.
#[derive(Debug, Args)]
pub(crate) struct HashPassword {
    /// The realm: `sip.realm` of the configuration, or else its `name`
    #[arg(long)]
    pub(crate) realm: String,
    /// The SIP user of the station
    #[arg(long)]
    pub(crate) user: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
