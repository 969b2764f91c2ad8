//! The site of the random world, in several versions, as reloads would bring them.

use model::{
    Address, AnswerBack, AutoAnswer, BusyPolicy, CloudUserId, Directory, DoorId, EarlyMedia,
    Escalation, ForwardWhen, InCallRight, Priority, RoomTalk, TalkStyle,
};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, number, station};

pub(super) const STATIONS: [&str; 12] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112",
];
pub(super) const NUMBERS: [&str; 20] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112", "500",
    "501", "510", "511", "520", "521", "530", "999",
];

/// The site's directory in several versions, as a reload would bring them.
pub(super) fn directory(version: u64) -> Directory {
    let mut plan: Plan = stations(&STATIONS)
        .door("101", "front", Some("12"))
        .door("101", "gate", Some("5"))
        .door("103", "barrier", Some("1#"))
        .change_door("gate", |d| {
            d.in_call = InCallRight::Listed;
            d.permitted = vec![number("102"), Address::CloudUser(CloudUserId::new(9))];
        })
        .change("105", |s| s.may_open = vec![DoorId::from_key("front")])
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 3 })
        .change("106", |s| s.auto_answer = AutoAnswer::Always)
        .change("107", |s| s.auto_answer = AutoAnswer::Never)
        .change("108", |s| s.talk = TalkStyle::Simplex)
        .change("109", |s| s.talk = TalkStyle::VoiceSwitched)
        .change("110", |s| s.priority = Priority::DEFAULT_ALARM)
        .change("111", |s| s.priority = Priority::new(30).unwrap())
        .forward("103", ForwardWhen::Busy, "104")
        .forward("104", ForwardWhen::NoAnswer { after: 10 * SECOND }, "500")
        .forward("105", ForwardWhen::Unreachable, "510")
        .forward("106", ForwardWhen::Busy, "103")
        .forward("111", ForwardWhen::Busy, "112")
        .forward("112", ForwardWhen::Busy, "111")
        .group("501", &["107", "108", "109", "110"])
        .change_group(|g| g.early_media = EarlyMedia::On)
        .group("500", &["101", "102", "103", "104", "105"])
        .change_group(|g| g.then = Some(number("501")))
        .desk("511", &["104", "105"])
        .desk("510", &["102", "103", "112"])
        .change_desk(|d| {
            d.positions.push(Address::CloudUser(CloudUserId::new(9)));
            d.escalation = Some(Escalation {
                after: 40 * SECOND,
                to: number("511"),
            });
            d.expires_after = 300 * SECOND;
        })
        .conference("520", &[])
        .conference("521", &["104", "108"])
        .group_call("530", &["106", "107", "108", "109", "110"]);
    if version % 2 == 1 {
        plan.0.conferences[1].talk = RoomTalk::TalkKey;
        plan.0.group_calls[0].answer_back = AnswerBack::Allowed;
        plan = plan
            .forward("112", ForwardWhen::Always, "510")
            .escalation(&["104", "501", "511"]);
    }
    if version % 3 == 2 {
        plan.0.desks.remove(0);
        plan.0.desks[0].escalation = None;
        plan.0.site.escalation.retain(|to| *to != number("511"));
        plan.0.stations.retain(|s| s.id != station("109"));
        plan.0.ring_groups[0]
            .members
            .retain(|m| *m != number("109"));
        plan.0.group_calls[0]
            .members
            .retain(|m| *m != number("109"));
    }
    plan.build()
}
