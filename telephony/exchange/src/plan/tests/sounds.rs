//! What legs are played, and when the media threads are told.

use media::Sound;
use media::tones::{Region, Signal};

use std::time::Duration;

use model::{Digit, Echo, Gain, Loudness, Mute, NoiseAround};

use super::*;
use crate::sounds::Lasting;

fn sound(signal: Signal) -> Sound {
    Sound::Tone(signal.tone(Region::Europe))
}

/// The legs that are to be played something, and those that are not any more.
fn told(plan: &mut MediaPlan) -> (Vec<LegId>, Vec<LegId>) {
    let (mut played, mut stopped) = (Vec::new(), Vec::new());
    for command in commands(plan) {
        match command {
            MediaCommand::Play { leg, stream: 0, .. } => played.push(leg),
            MediaCommand::StopSound { leg, stream: 0 } => stopped.push(leg),
            _ => {}
        }
    }
    (played, stopped)
}

#[test]
fn a_sound_waits_until_the_leg_has_agreed() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    plan.play(A, sound(Signal::AutoAnswer), Lasting::ToItsEnd);
    assert_eq!(told(&mut plan), (vec![], vec![]));
    plan.final_answer(A).unwrap();
    assert_eq!(told(&mut plan), (vec![A], vec![]));
    plan.close(A);
    assert_eq!(plan.unplayed(), Unplayed::default());
}

#[test]
fn a_sound_that_never_found_an_agreement_is_counted() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    plan.play(A, sound(Signal::AutoAnswer), Lasting::ToItsEnd);
    plan.close(A);
    assert_eq!(told(&mut plan), (vec![], vec![]));
    assert_eq!(
        (plan.unplayed().no_agreement, plan.unplayed().no_codec),
        (1, 0)
    );
}

#[test]
fn a_leg_without_a_codec_of_ours_is_not_played_to() {
    let mut plan = plan(8);
    let g729 = CALLER.replace("9 8 101", "18 101");
    a_calls(&mut plan, Some(&g729)).unwrap();
    plan.final_answer(A).unwrap();
    plan.play(A, sound(Signal::RingBack), Lasting::UntilJoined);
    assert_eq!(told(&mut plan), (vec![], vec![]));
    assert_eq!(
        (plan.unplayed().no_agreement, plan.unplayed().no_codec),
        (0, 1)
    );
}

#[test]
fn ring_back_ends_when_somebody_is_there_and_a_warning_does_not() {
    let mut plan = talking();
    plan.disconnect(A, B);
    told(&mut plan);
    plan.play(A, sound(Signal::Hold), Lasting::UntilJoined);
    plan.play(B, sound(Signal::LimitNear), Lasting::ToItsEnd);
    assert_eq!(told(&mut plan), (vec![A, B], vec![]));
    plan.connect(A, B, TalkMode::OpenDuplex);
    assert_eq!(told(&mut plan), (vec![], vec![A]));
    plan.connect(A, B, TalkMode::OpenDuplex);
    assert_eq!(told(&mut plan), (vec![], vec![]), "once");
}

#[test]
fn a_sound_that_is_over_is_not_stopped_again() {
    let mut plan = talking();
    plan.play(A, sound(Signal::Hold), Lasting::UntilJoined);
    let key = commands(&mut plan)
        .into_iter()
        .find_map(|command| match command {
            MediaCommand::Play { key, .. } => Some(key),
            _ => None,
        });
    plan.sound_over(A, media::SoundKey(999));
    plan.sound_over(A, key.unwrap());
    plan.connect(A, B, TalkMode::OpenDuplex);
    assert_eq!(told(&mut plan), (vec![], vec![]));
}

#[test]
fn members_of_a_room_are_told_apart_from_what_is_seen() {
    use calls::Part;
    use model::CallId;
    let mut plan = plan(8);
    let call = CallId::new(5);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    plan.mix(call, A, Part::TalkAndListen);
    let mixes: Vec<_> = commands(&mut plan)
        .into_iter()
        .filter(|command| matches!(command, MediaCommand::Mix { .. }))
        .collect();
    let expected = MediaCommand::Mix {
        room: call,
        leg: A,
        stream: 0,
        part: Part::TalkAndListen,
    };
    assert_eq!(mixes, [expected]);
    plan.mix(call, A, Part::TalkAndListen);
    assert_eq!(commands(&mut plan), [], "nothing new");
    plan.unmix(call, A);
    assert_eq!(commands(&mut plan), [MediaCommand::Unmix { leg: A }]);
}

/// How the legs are to sound.
fn treated(plan: &mut MediaPlan) -> Vec<(LegId, Treatment)> {
    let treat = |command| match command {
        MediaCommand::Treat { leg, treatment } => Some((leg, treatment)),
        _ => None,
    };
    commands(plan).into_iter().filter_map(treat).collect()
}

#[test]
fn what_an_operator_wants_of_a_leg_holds_whatever_its_station_is_set_to() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    plan.final_answer(A).unwrap();
    let gain = |db| Gain::from_db(db).unwrap();
    let mut expected = Treatment::default();
    plan.treat(A, NoiseAround::Kept, Echo::Kept, Loudness::default());
    assert_eq!(treated(&mut plan), [], "it is so already");
    expected.loudness.microphone = gain(3);
    plan.treat(A, NoiseAround::Kept, Echo::Kept, expected.loudness);
    assert_eq!(treated(&mut plan), [(A, expected)]);
    expected.loudness.microphone = gain(-6);
    plan.wish(A, SoundWish::Microphone(gain(-6)));
    assert_eq!(treated(&mut plan), [(A, expected)]);
    expected.mute = Mute::On;
    plan.wish(A, SoundWish::Mute(Mute::On));
    assert_eq!(treated(&mut plan), [(A, expected)]);
    // It is connected again.
    plan.treat(A, NoiseAround::Kept, Echo::Kept, Loudness::default());
    assert_eq!(treated(&mut plan), []);
    plan.close(A);
    plan.wish(A, SoundWish::Mute(Mute::Off));
    assert_eq!(treated(&mut plan), [], "nobody is there");
}

/// The keys that are pressed by events.
fn pressed(plan: &mut MediaPlan) -> Vec<(LegId, Digit)> {
    let pressed = |command| match command {
        MediaCommand::Press { leg, digit, .. } => Some((leg, digit)),
        _ => None,
    };
    commands(plan).into_iter().filter_map(pressed).collect()
}

#[test]
fn a_key_is_told_by_events_only_where_they_are_agreed_on() {
    let five = Digit::from_char('5').unwrap();
    let held = Duration::from_millis(100);
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    assert!(!plan.press(A, five, held), "nothing is agreed on yet");
    plan.final_answer(A).unwrap();
    assert!(plan.press(A, five, held));
    assert_eq!(pressed(&mut plan), [(A, five)]);
    for formats in ["9 8", "18 101"] {
        let mut plan = super::plan(8);
        let offer = CALLER.replace("9 8 101", formats);
        a_calls(&mut plan, Some(&offer)).unwrap();
        plan.final_answer(A).unwrap();
        assert!(!plan.press(A, five, held), "{formats}");
        assert_eq!(pressed(&mut plan), []);
    }
}
