//! Small words of the lines in those of the model, and back.

use legacy_protocols::event::{Faults as TheirFaults, StationState as TheirState};
use model::{Faults, StationState};

/// What a station behind a line does. Rooms of other servers are none of ours.
pub(super) const fn state(theirs: TheirState) -> StationState {
    match theirs {
        TheirState::Unknown => StationState::Unknown,
        TheirState::Idle => StationState::Idle,
        TheirState::Ringing => StationState::Ringing,
        TheirState::Requesting => StationState::Requesting,
        TheirState::InCall | TheirState::InConference(_) | TheirState::Listening(_) => {
            StationState::InCall
        }
        TheirState::Privacy => StationState::Privacy,
        TheirState::OutOfService => StationState::OutOfService,
    }
}

/// What a station of ours does, as it is told.
pub(super) const fn their_state(ours: StationState) -> TheirState {
    match ours {
        StationState::Unknown => TheirState::Unknown,
        StationState::Idle => TheirState::Idle,
        StationState::Ringing => TheirState::Ringing,
        StationState::Requesting => TheirState::Requesting,
        StationState::InCall => TheirState::InCall,
        StationState::InConference(_) => TheirState::InConference(None),
        StationState::Listening(_) => TheirState::Listening(None),
        StationState::Privacy => TheirState::Privacy,
        StationState::OutOfService => TheirState::OutOfService,
    }
}

const FAULTS: [(TheirFaults, Faults); 9] = [
    (TheirFaults::LINE_OPEN, Faults::LINE_OPEN),
    (TheirFaults::LINE_SHORT, Faults::LINE_SHORT),
    (TheirFaults::NO_REPLY, Faults::NO_REPLY),
    (TheirFaults::MICROPHONE, Faults::MICROPHONE),
    (TheirFaults::SPEAKER, Faults::SPEAKER),
    (TheirFaults::TAMPER, Faults::TAMPER),
    (TheirFaults::POWER, Faults::POWER),
    (TheirFaults::DEGRADED, Faults::DEGRADED),
    (TheirFaults::TEST_OVERDUE, Faults::TEST_OVERDUE),
];

pub(super) fn faults(theirs: TheirFaults) -> Faults {
    let has = |(bit, _): &&(TheirFaults, Faults)| theirs.0 & bit.0 != 0;
    let ours = FAULTS.iter().filter(has);
    ours.fold(Faults::NONE, |all, (_, fault)| all.with(*fault))
}

pub(super) fn their_faults(ours: Faults) -> TheirFaults {
    let has = |(_, fault): &&(TheirFaults, Faults)| ours.contains(*fault);
    let theirs = FAULTS.iter().filter(has);
    TheirFaults(theirs.fold(0, |all, (bit, _)| all | bit.0))
}

/// Faults that a test of microphone and loudspeaker finds, or finds gone.
pub(super) fn without_tested(faults: Faults) -> Faults {
    let tested = [Faults::MICROPHONE, Faults::SPEAKER, Faults::TEST_OVERDUE];
    let kept = FAULTS.iter().map(|(_, fault)| *fault);
    let kept = kept.filter(|fault| faults.contains(*fault) && !tested.contains(fault));
    kept.fold(Faults::NONE, Faults::with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_survive_the_way_there_and_back() {
        for (_, fault) in FAULTS {
            assert_eq!(faults(their_faults(fault)), fault);
        }
        let both = Faults::TAMPER.with(Faults::MICROPHONE);
        assert_eq!(faults(their_faults(both)), both);
        assert_eq!(without_tested(both), Faults::TAMPER);
    }
}
