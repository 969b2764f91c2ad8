//! Everything that can happen in the random world, and how often.

use std::time::Duration;

use scenarios::clock::{MILLISECOND, MINUTE, SECOND};
use scenarios::gateway::Disk;
use scenarios::network::Weather;
use scenarios::phone::{Act, Manner};
use scenarios::random::Random;
use sip::message::StatusCode;
use sip::session::SessionId;

use crate::house::{self, DIALLED, DOORS, PHONES};
use crate::old_side::OldAct;

/// One step of the world.
#[derive(Clone, Debug)]
pub(crate) enum Transition {
    Wait(Duration),
    Dial {
        from: &'static str,
        to: &'static str,
    },
    /// Something with one call of a telephone; the newest, if none is named.
    Act {
        phone: &'static str,
        line: Option<SessionId>,
        act: Act,
    },
    /// Keys that are heard in the sound.
    Keys {
        phone: &'static str,
        code: &'static str,
    },
    Manner {
        phone: &'static str,
        manner: Manner,
    },
    Register(&'static str),
    Unregister(&'static str),
    SwitchOff(&'static str),
    SwitchOn(&'static str),
    /// Its connections break; it is well.
    Break(&'static str),
    CutOff(&'static str),
    Join(&'static str),
    Weather(Weather),
    Disk(Disk),
    OperatorOpens(&'static str),
    OperatorEndsACall,
    Reload {
        version: usize,
    },
    SetClock {
        hours: u32,
    },
    /// Something at the other end of the line.
    Old(OldAct),
    Crash,
    Start,
    /// Everything bad stops, everybody hangs up, and the house must work as new.
    CalmDown,
}

/// What is chosen from, besides chance.
pub(crate) struct Scene<'a> {
    /// Telephones with calls, and these.
    pub(crate) lines: &'a [(&'static str, SessionId)],
    /// Callees that ring.
    pub(crate) ringing: &'a [(&'static str, SessionId)],
    pub(crate) gateway_is_up: bool,
}

impl Transition {
    pub(crate) fn choose(random: &mut Random, scene: &Scene<'_>) -> Self {
        if !scene.gateway_is_up && random.one_in(3) {
            return Self::Start;
        }
        let phone = random.pick(&PHONES);
        match random.below(240) {
            0..=44 => Self::Wait(random.pick(&[
                20 * MILLISECOND,
                100 * MILLISECOND,
                400 * MILLISECOND,
                SECOND,
                SECOND,
                3 * SECOND,
                11 * SECOND,
                35 * SECOND,
                3 * MINUTE,
            ])),
            45..=84 => Self::Dial {
                from: phone,
                to: random.pick(&DIALLED),
            },
            85..=109 => Self::with(scene.ringing, phone, Act::Answer, random),
            110..=163 => {
                let act = any_act(random);
                Self::with(scene.lines, phone, act, random)
            }
            164..=170 => {
                let code = random.pick(&["12", "7", "13", "#"]);
                let (phone, _) = pick_or(scene.lines, phone, random);
                Self::Keys { phone, code }
            }
            171..=176 => {
                let manner = random.pick(&[
                    Manner::Rings,
                    Manner::Rings,
                    Manner::Answers(2 * SECOND),
                    Manner::Answers(2 * SECOND),
                    Manner::EarlySound,
                    Manner::Mute,
                    Manner::Refuses(StatusCode::BUSY_HERE),
                ]);
                Self::Manner { phone, manner }
            }
            177 => Self::Unregister(phone),
            178 => Self::Register(phone),
            179 => Self::SwitchOff(phone),
            180..=181 => Self::SwitchOn(phone),
            182 => Self::Break(phone),
            183 => Self::CutOff(phone),
            184..=186 => Self::Join(phone),
            187..=188 => Self::Weather(random.pick(&[Weather::FAIR, Weather::FAIR, Weather::FOUL])),
            189 => {
                let disks = [
                    Disk::Works(MILLISECOND),
                    Disk::Works(300 * MILLISECOND),
                    Disk::Fails,
                    Disk::Hangs,
                ];
                Self::Disk(random.pick(&disks))
            }
            190..=192 => Self::OperatorOpens(random.pick(&DOORS)),
            193 => Self::OperatorEndsACall,
            194..=195 => Self::Reload {
                version: random.below(house::VERSIONS),
            },
            196 => Self::SetClock {
                hours: random.below(200) as u32,
            },
            197 => Self::Crash,
            198..=199 => Self::CalmDown,
            _ => Self::Old(OldAct::choose(random)),
        }
    }

    fn with(
        of: &[(&'static str, SessionId)],
        phone: &'static str,
        act: Act,
        random: &mut Random,
    ) -> Self {
        let (phone, line) = pick_or(of, phone, random);
        Self::Act { phone, line, act }
    }
}

/// Mostly one of those, sometimes somebody who has no part in it.
fn pick_or(
    of: &[(&'static str, SessionId)],
    phone: &'static str,
    random: &mut Random,
) -> (&'static str, Option<SessionId>) {
    if of.is_empty() || random.one_in(20) {
        return (phone, None);
    }
    let (phone, line) = random.pick(of);
    (phone, Some(line))
}

fn any_act(random: &mut Random) -> Act {
    match random.below(54) {
        0..=19 => Act::HangUp,
        20..=25 => Act::Hold,
        26..=31 => Act::Resume,
        32..=40 => Act::Press(random.pick(&['1', '2', '7', '#'])),
        41..=45 => Act::Transfer(random.pick(&DIALLED).into()),
        46..=48 => Act::Join,
        49 => Act::Refuse(StatusCode::DECLINE),
        50 => Act::DialWithoutOffer(random.pick(&DIALLED).into()),
        _ => Act::Answer,
    }
}
