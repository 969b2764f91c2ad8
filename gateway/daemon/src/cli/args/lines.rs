//! `lines` as it is typed: what is asked of stations behind lines.

use clap::{Args, Subcommand, ValueEnum};

use super::Ask;

/// Options of `lines`.
#[derive(Debug, Args)]
pub(crate) struct Lines {
    #[command(subcommand)]
    pub(crate) tool: Option<LinesTool>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// The tools of `lines`.
#[derive(Debug, Subcommand)]
pub(crate) enum LinesTool {
    /// Show a text on the display of a station; an empty one clears it
    #[command(
        after_help = "Examples:\n  antiphon-gateway lines text 2101 \"please wait\"\n  \
                            antiphon-gateway lines text 2101 \"\""
    )]
    Text(LineText),
    /// Let a station hear an audio programme, below every call
    ///
    /// Of its server, or for one that is registered here of `[[media.programmes]]`: then it comes
    /// back after each call.
    #[command(
        after_help = "Examples:\n  antiphon-gateway lines programme 2101 3\n  \
                            antiphon-gateway lines programme 2101 off"
    )]
    Programme(LineProgramme),
    /// Let a station hear a recorded message: of its server, or here of `[[media.messages]]`
    #[command(
        after_help = "Example: antiphon-gateway lines announce 2101 7 --priority 40      \
                            (1 is most urgent, 250 least)"
    )]
    Announce(LineAnnounce),
    /// Divert the calls for a station: at its server, or here for one that is registered here
    ///
    /// `off` takes away what was set from behind a line, too. It does not outlive a restart.
    #[command(
        after_help = "Examples:\n  antiphon-gateway lines divert 2101 always 2102\n  \
                            antiphon-gateway lines divert 2101 no-reply 102\n  \
                            antiphon-gateway lines divert 2101 off"
    )]
    Divert(LineDivert),
    /// Let calls to a station be refused, but for alarms, at its server
    #[command(after_help = "Example: antiphon-gateway lines privacy 2101 on")]
    Privacy(LinePrivacy),
    /// Have a station's microphone and loudspeaker tested by its server
    ///
    /// Never disturbs a call. What is wrong shows in `stations`, the result in `timeline`.
    #[command(after_help = "Example: antiphon-gateway lines test 2101")]
    Test(LineStation),
    /// Drive an output of a station that is no door
    ///
    /// Needs `authority_file` at the line. It is carried out within 10 seconds or not at all, and
    /// never again after the line was lost. Doors are opened with `open`.
    #[command(
        after_help = "Examples:\n  antiphon-gateway lines output 2101 4                pulse of 3 s\n  \
                      antiphon-gateway lines output 2101 4 --pulse 0.5\n  \
                      antiphon-gateway lines output 2101 4 --on"
    )]
    Output(LineOutput),
}

/// Options of `lines test`.
#[derive(Debug, Args)]
pub(crate) struct LineStation {
    /// Number of the station
    #[arg(value_name = "STATION")]
    pub(crate) station: String,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Options of `lines text`.
#[derive(Debug, Args)]
pub(crate) struct LineText {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// What is shown, 120 octets at most
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
}

/// Options of `lines programme`.
#[derive(Debug, Args)]
pub(crate) struct LineProgramme {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// Number of the programme, or "off"
    #[arg(value_name = "PROGRAMME", value_parser = programme)]
    pub(crate) programme: ProgrammeChosen,
}

/// What `lines programme` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgrammeChosen {
    Off,
    Channel(u8),
}

fn programme(text: &str) -> Result<ProgrammeChosen, String> {
    match (text, text.parse()) {
        ("off", _) => Ok(ProgrammeChosen::Off),
        (_, Ok(channel)) => Ok(ProgrammeChosen::Channel(channel)),
        (_, Err(_)) => Err("write a number from 0 to 255, or \"off\"".to_owned()),
    }
}

/// Options of `lines announce`.
#[derive(Debug, Args)]
pub(crate) struct LineAnnounce {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// Number of the message at the server
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: u8,
    /// How urgent it is: 1 to 250, 1 most urgent
    #[arg(long, value_name = "N", default_value = "70", value_parser = clap::value_parser!(u8).range(1..=250))]
    pub(crate) priority: u8,
}

/// Options of `lines divert`.
#[derive(Debug, Args)]
pub(crate) struct LineDivert {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// When calls are diverted
    #[arg(value_name = "WHEN")]
    pub(crate) when: DivertWord,
    /// Number to which; none for "off"
    #[arg(value_name = "NUMBER", required_if_eq_any([("when", "always"), ("when", "busy"), ("when", "no-reply")]))]
    pub(crate) to: Option<String>,
}

/// When `lines divert` diverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DivertWord {
    /// Each call
    Always,
    /// While the station is busy
    Busy,
    /// When nobody answers
    NoReply,
    /// No more
    Off,
}

/// Options of `lines privacy`.
#[derive(Debug, Args)]
pub(crate) struct LinePrivacy {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// Refuse calls, or take them again
    #[arg(value_name = "SWITCH")]
    pub(crate) privacy: SwitchWord,
}

/// What can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SwitchWord {
    On,
    Off,
}

/// Options of `lines output`.
#[derive(Debug, Args)]
pub(crate) struct LineOutput {
    #[command(flatten)]
    pub(crate) at: LineStation,
    /// Number of the output at the station
    #[arg(value_name = "OUTPUT")]
    pub(crate) output: u16,
    /// For so many seconds, 0.1 to 60
    #[arg(long, value_name = "SECONDS", default_value = "3")]
    pub(crate) pulse: f64,
    /// Switch it on, and leave it on
    #[arg(long, conflicts_with_all = ["pulse", "off"])]
    pub(crate) on: bool,
    /// Switch it off
    #[arg(long, conflicts_with = "pulse")]
    pub(crate) off: bool,
}
