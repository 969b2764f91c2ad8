//! How a command ended, as a number for scripts and service managers.

use std::process::ExitCode;

/// All exit codes. Never changed once released: scripts and units rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A fault of ours, or of the machine, that has no code of its own.
    Fault,
    /// The command line or the configuration is wrong. The same code as clap's, so that a service
    /// manager needs one number for "do not start this again".
    Usage,
    /// An address or the folder is used by somebody else.
    InUse,
    /// `status` found something that somebody should look at.
    Attention,
}

impl Exit {
    /// Every code with its meaning, as `--help` and the manual list them.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Done, "done"),
        (Self::Fault, "a fault of the program or the machine"),
        (
            Self::Usage,
            "the command line or the configuration is wrong",
        ),
        (
            Self::InUse,
            "an address or the folder is used by another program",
        ),
        (Self::Attention, "status: something needs attention"),
    ];

    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::InUse => 10,
            Self::Attention => 20,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
