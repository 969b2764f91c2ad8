//! The house of the random world, in the versions that a reload brings.

use model::{ForwardWhen, InCallRight, Priority, RoomTalk};
use scenarios::clock::SECOND;
use scenarios::site::{Site, door, number};

/// 105 and 106 register over connections.
pub(crate) const PHONES: [&str; 9] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "199",
];
pub(crate) const CONNECTED: [&str; 2] = ["105", "106"];
pub(crate) const DIALLED: [&str; 19] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "199", "500", "500", "501", "510",
    "520", "530", "999", "2101", "2101", "2102",
];
/// The station's own output, and a device beside one.
pub(crate) const DOORS: [&str; 3] = ["front", "gate", "yard"];
/// The last keys of their codes.
pub(crate) const LAST_KEYS: [(&str, char); 2] = [("front", '2'), ("gate", '7')];
pub(crate) const VERSIONS: usize = 3;

pub(crate) fn site(version: usize) -> Site {
    let site = Site::of(&PHONES)
        .emergency_point("199", "500")
        .change("108", |station| {
            station.priority = Priority::new(30).expect("a high one");
        })
        .door("101", "front", Some("12"))
        .door_by_url("102", "gate", Some("7"))
        .group("501", &["105", "106", "107"])
        .change_group(|group| group.early_media = model::EarlyMedia::On)
        .group("500", &["102", "103", "104"])
        .behind("hall", "2101")
        .behind("hall", "2102")
        .door("2101", "yard", None)
        .change("2102", |desk| desk.may_open.push(door("gate")))
        .desk("510", &["102", "105", "2102"])
        .conference("520")
        .group_call("530", &["103", "104", "105"])
        .forward("103", ForwardWhen::Busy, "104")
        .forward("106", ForwardWhen::NoAnswer { after: 10 * SECOND }, "107")
        .forward("107", ForwardWhen::Unreachable, "500")
        .escalation(&["104", "501"], 20 * SECOND);
    match version {
        0 => site,
        1 => site
            .forward("104", ForwardWhen::Busy, "103")
            .change("102", |station| {
                station.busy = model::BusyPolicy::Wait { up_to: 2 };
                for door in &mut station.doors {
                    door.in_call = InCallRight::Listed;
                    door.permitted = vec![number("101"), number("103")];
                }
            }),
        _ => site
            .change_conference(|room| room.talk = RoomTalk::TalkKey)
            .change("107", |station| station.forwarding.clear())
            .change("103", |station| {
                station.auto_answer = model::AutoAnswer::Always;
            }),
    }
}
