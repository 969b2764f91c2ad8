//! What must hold of all lines together: names, systems, bridge cards and channels (B6), versions
//! (B7).

use std::collections::BTreeMap;

use model::{Destination, Directory};

use super::fields::{LineSection, LinkWord, ServerWord};
use crate::config::problems::Problems;
use crate::config::section::{Located, Repeated};
use crate::config::settings::DirectorySettings;

/// B6.
const MOST_CARDS: u64 = 14;
/// B7: of the server that has the bridge cards.
const GATEWAY_SIDE: (&str, &[u32]) = ("11.1.6", &[11, 1, 6]);
/// B7: of any other.
const OLDER: (&str, &[u32]) = ("PRO 800 6.4 build 3", &[6, 4, 3]);

pub(super) fn judge(
    lines: &Repeated<LineSection>,
    directory: &DirectorySettings,
    problems: &mut Problems,
) {
    names(lines, problems);
    behind(lines, &directory.behind, problems);
    cards(lines, problems);
    channels(lines, &directory.directory, problems);
    for line in lines.iter() {
        systems(line, problems);
        version(line, problems);
    }
}

/// Names of lines and of further servers are names of nodes.
fn names(lines: &Repeated<LineSection>, problems: &mut Problems) {
    let mut seen = BTreeMap::new();
    for line in lines.iter() {
        let further = line.further_servers.iter().map(|server| &server.name);
        for name in std::iter::once(&line.name).chain(further) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.len() > 32 || !name.chars().all(plain) {
                problems.report(
                    &name.place,
                    "this is no name for a line or a server",
                    "use up to 32 letters, digits and the signs - _ .",
                );
            }
            if let Some(first) = seen.insert(name.value.clone(), name.place.path.clone()) {
                problems.report(
                    &name.place,
                    format!("{first} is called \"{}\" already", name.value),
                    "give each line and each further server a name of its own",
                );
            }
        }
    }
}

/// What stations are behind has to be there.
fn behind(lines: &Repeated<LineSection>, behind: &[Located<String>], problems: &mut Problems) {
    let further = lines.iter().flat_map(|line| line.further_servers.iter());
    let further = further.map(|server| server.name.value.as_str());
    let known: Vec<&str> = lines
        .iter()
        .map(|line| line.name.value.as_str())
        .chain(further)
        .collect();
    for name in behind
        .iter()
        .filter(|name| !known.contains(&name.value.as_str()))
    {
        problems.report(
            &name.place,
            format!("no line and no further server is called \"{}\"", name.value),
            match known.as_slice() {
                [] => "add a [[line]] with this name".to_owned(),
                known => format!("name one of: {}", known.join(", ")),
            },
        );
    }
}

/// B6: at most 14 bridge cards, all in one server instance.
fn cards(lines: &Repeated<LineSection>, problems: &mut Problems) {
    let mut sum = 0;
    let mut instance: Option<&Located<LineSection>> = None;
    for line in lines.iter().filter(|line| line.cards.value.0 > 0) {
        let place = &line.cards.place;
        sum += line.cards.value.0;
        if sum > MOST_CARDS {
            problems.report(
                place,
                format!("with this line there are {sum} bridge cards; {MOST_CARDS} can be used"),
                "take cards away, or use a second gateway for them",
            );
        }
        if line.server.value != ServerWord::GatewaySide {
            problems.report(
                place,
                "bridge cards are in the gateway-side server only",
                "say server = \"gateway_side\", or cards = 0",
            );
        }
        match instance {
            Some(first) if first.system.value != line.system.value => problems.report(
                place,
                format!(
                    "the bridge cards of \"{}\" are in system {}, these in system {}; all have to be \
                     in one server instance",
                    first.name.value, first.system.value.0, line.system.value.0
                ),
                "move the cards into one server, or use a second gateway for the others",
            ),
            Some(_) => {}
            None => instance = Some(line),
        }
    }
}

/// B6: a channel's call number leads to exactly one station or one ring group.
fn channels(lines: &Repeated<LineSection>, directory: &Directory, problems: &mut Problems) {
    let mut seen = BTreeMap::new();
    for channel in lines.iter().flat_map(|line| line.channels.iter()) {
        let number = channel.number.value;
        if let Some(first) = seen.insert(number, channel.to.value) {
            problems.report(
                &channel.number.place,
                format!("channel {number} reaches {first} already; it can have one target only"),
                "remove one of the two, or make a ring group of their targets",
            );
        }
        let what = match directory.by_number(channel.to.value) {
            Some(Destination::Station(_) | Destination::RingGroup(_)) => continue,
            Some(Destination::Desk(_)) => "a desk",
            Some(Destination::Conference(_)) => "a conference",
            Some(Destination::GroupCall(_)) => "a group call",
            Some(Destination::EchoTest(_)) => "the echo test",
            Some(Destination::Elsewhere(_)) | None => "nothing",
        };
        problems.report(
            &channel.to.place,
            format!(
                "{} is {what} in the directory; a bridge channel reaches a station or a ring group",
                channel.to.value
            ),
            "give the number of a station or of a ring group",
        );
    }
}

/// Systems are told apart by their numbers, on each line.
fn systems(line: &Located<LineSection>, problems: &mut Problems) {
    let mut seen = BTreeMap::from([(line.own_system.value.0, "ours")]);
    let further = line.further_servers.iter().map(|server| &server.system);
    let numbers = further.map(|system| (system.value.0, &system.place));
    let other = (line.system.value.0, &line.system.place);
    for (number, place) in std::iter::once(other).chain(numbers) {
        if let Some(whose) = seen.insert(number, "another server's") {
            problems.report(
                place,
                format!("system number {number} is {whose} already"),
                "give the number that this server has in its network",
            );
        }
    }
}

/// B7.
fn version(line: &Located<LineSection>, problems: &mut Problems) {
    let Some(version) = line.version.as_ref() else {
        return;
    };
    let (name, least) = match line.server.value {
        ServerWord::GatewaySide => GATEWAY_SIDE,
        ServerWord::Older => OLDER,
    };
    if !version.is_at_least(least) {
        problems.report(
            &version.place,
            format!(
                "the server at \"{}\" has version {}; it needs {name} or newer to work with this \
                 gateway",
                line.name.value, version.value
            ),
            "update the server, then write its new version here",
        );
    }
}

/// For a line that does not say which version its server has.
pub(super) fn version_remark(line: &LineSection) -> Option<String> {
    let (name, _) = match line.server.value {
        ServerWord::GatewaySide => GATEWAY_SIDE,
        ServerWord::Older => OLDER,
    };
    // What stands at the end of any other line has versions of its own.
    let asked = line.kind.value != LinkWord::Other && line.version.is_none();
    asked.then(|| format!("it is not said which version its server has; {name} or newer is needed"))
}
