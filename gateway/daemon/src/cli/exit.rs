//! How a command ended, as a number for scripts and service managers.

use std::process::ExitCode;

/// All exit codes. Never changed once released: scripts and units rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `decode`: understood.
    Done,
    /// A fault of ours, or of the machine, that has no code of its own.
    Fault,
    /// The command line or the configuration is wrong. The same code as clap's, so that a service
    /// manager needs one number for "do not start this again".
    Usage,
    /// `decode`: recognised and refused; `timeline verify`: broken. The output says where and why.
    Refused,
    /// `decode`: nothing that is known.
    NotRecognised,
    /// A file cannot be read.
    NoInput,
    /// No gateway is running there.
    NotRunning,
    /// The gateway does not know this call or door.
    NotFound,
    /// The gateway understood and does not do it.
    NotAllowed,
    /// This user may not do that.
    NoPermission,
    /// An address or the state folder is used by somebody else.
    InUse,
    /// The cloud core is not reached.
    NotReached,
}

impl Exit {
    /// Every code with its meaning, as `--help` and the manual list them.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Done, "done; decode: understood"),
        (Self::Fault, "a fault of the program or the machine"),
        (
            Self::Usage,
            "the command line or the configuration is wrong",
        ),
        (
            Self::Refused,
            "decode: recognised, but refused; timeline verify: broken",
        ),
        (Self::NotRecognised, "decode: nothing that is known"),
        (Self::NoInput, "a file cannot be read"),
        (Self::NotRunning, "no gateway is running there"),
        (Self::NotFound, "no such call or door"),
        (Self::NotAllowed, "the gateway refuses to do it"),
        (Self::NoPermission, "this user may not do that"),
        (
            Self::InUse,
            "an address or the state folder is used by another program",
        ),
        (Self::NotReached, "the cloud core is not reached"),
    ];

    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotRecognised => 4,
            Self::NoInput => 5,
            Self::NotRunning => 6,
            Self::NotFound => 7,
            Self::NotAllowed => 8,
            Self::NoPermission => 9,
            Self::InUse => 10,
            Self::NotReached => 11,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_in_order() {
        let codes: Vec<_> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, (0..=11).collect::<Vec<_>>());
    }
}
