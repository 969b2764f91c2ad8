//! Small words of the lines in those of the model, and back.

use calls::Key;
use legacy_protocols::command;
use legacy_protocols::event::{
    Faults as TheirFaults, StationState as TheirState, TalkMode as TheirMode, Talker as TheirTalker,
};
use legacy_protocols::priority::{self, Scale};
use model::{Faults, Priority, StationState, TalkMode, Talker};

use super::legs::Way;

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

/// On our scale, in the same band.
pub(super) fn priority(theirs: priority::Priority) -> Priority {
    let value = theirs.on(Scale::OneIsHighest).value();
    Priority::new(value.into()).unwrap_or_default()
}

pub(super) fn their_priority(ours: Priority) -> priority::Priority {
    priority::Priority::new(ours.get(), Scale::OneIsHighest).unwrap_or(priority::Priority::NORMAL)
}

pub(super) const fn key(theirs: command::Key) -> Key {
    match theirs {
        command::Key::Pressed => Key::Pressed,
        command::Key::Released => Key::Released,
    }
}

/// Who hears whom between two legs, of which `side` goes over the line.
pub(super) const fn talk_mode(mode: TalkMode, side: Talker, way: Way) -> TheirMode {
    // Whether the caller on the line is the first of the two.
    let caller_first = matches!(
        (side, way),
        (Talker::A, Way::Arrived(_)) | (Talker::B, Way::Started)
    );
    match (mode, caller_first) {
        (TalkMode::OpenDuplex, _) => TheirMode::OpenDuplex,
        (TalkMode::VoiceSwitched, _) => TheirMode::VoiceSwitched,
        (TalkMode::Simplex { talker }, first) => TheirMode::Simplex(match (talker, first) {
            (Talker::A, true) | (Talker::B, false) => TheirTalker::Caller,
            (Talker::B, true) | (Talker::A, false) => TheirTalker::Called,
            (Talker::Nobody, _) => TheirTalker::Nobody,
        }),
        (TalkMode::ListenOnly, true) | (TalkMode::TalkOnly, false) => TheirMode::ListenOnly,
        (TalkMode::TalkOnly, true) | (TalkMode::ListenOnly, false) => TheirMode::TalkOnly,
    }
}

/// The same the other way: what they say of caller and called, for the leg on their line as `A`.
pub(super) const fn talk_mode_of_leg(theirs: TheirMode, way: Way) -> TalkMode {
    let calls = matches!(way, Way::Arrived(_));
    match (theirs, calls) {
        (TheirMode::OpenDuplex, _) => TalkMode::OpenDuplex,
        (TheirMode::VoiceSwitched, _) => TalkMode::VoiceSwitched,
        (TheirMode::Simplex(talker), calls) => TalkMode::Simplex {
            talker: match (talker, calls) {
                (TheirTalker::Caller, true) | (TheirTalker::Called, false) => Talker::A,
                (TheirTalker::Called, true) | (TheirTalker::Caller, false) => Talker::B,
                (TheirTalker::Nobody, _) => Talker::Nobody,
            },
        },
        (TheirMode::ListenOnly, true) | (TheirMode::TalkOnly, false) => TalkMode::ListenOnly,
        (TheirMode::TalkOnly, true) | (TheirMode::ListenOnly, false) => TalkMode::TalkOnly,
    }
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

    #[test]
    fn a_priority_stays_in_its_band_on_scales_that_run_the_other_way() {
        for (value, scale, band) in [
            (4, Scale::FourIsAlarm, model::Band::Alarm),
            (2, Scale::FourIsAlarm, model::Band::Normal),
            (200, Scale::AlarmFrom120, model::Band::Alarm),
            (7, Scale::OneIsHighest, model::Band::Alarm),
        ] {
            let theirs = priority::Priority::new(value, scale).unwrap();
            assert_eq!(priority(theirs).band(), band, "{theirs:?}");
        }
        let ours = Priority::new(33).unwrap();
        assert_eq!(priority(their_priority(ours)), ours);
    }

    #[test]
    fn who_talks_in_simplex_is_named_as_caller_or_called() {
        let simplex = TalkMode::Simplex { talker: Talker::A };
        let check = |side, way, who| {
            assert_eq!(talk_mode(simplex, side, way), TheirMode::Simplex(who));
        };
        check(Talker::A, Way::Arrived(None), TheirTalker::Caller);
        check(Talker::B, Way::Arrived(None), TheirTalker::Called);
        check(Talker::A, Way::Started, TheirTalker::Called);
        check(Talker::B, Way::Started, TheirTalker::Caller);
        for way in [Way::Arrived(None), Way::Started] {
            for mode in [
                TheirMode::OpenDuplex,
                TheirMode::VoiceSwitched,
                TheirMode::ListenOnly,
                TheirMode::TalkOnly,
                TheirMode::Simplex(TheirTalker::Caller),
                TheirMode::Simplex(TheirTalker::Called),
                TheirMode::Simplex(TheirTalker::Nobody),
            ] {
                let ours = talk_mode_of_leg(mode, way);
                assert_eq!(talk_mode(ours, Talker::A, way), mode, "{way:?}");
            }
        }
        let listens = talk_mode(TalkMode::ListenOnly, Talker::B, Way::Started);
        assert_eq!(listens, TheirMode::ListenOnly);
    }
}
