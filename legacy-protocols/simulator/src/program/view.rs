//! The site as the page sees it (JSON) and as a terminal sees it (text).

use std::collections::VecDeque;
use std::fmt::Write as _;

use legacy_protocols::command::{Divert, Programme, Switch};
use legacy_protocols::event::Faults;
use legacy_protocols::number::Party;
use legacy_protocols::port::LinkState;
use serde::Serialize;

use super::lines::{Cable, Handle};
use super::sound::Levels;
use crate::script::Lamp;
use crate::site::{ContactState, Hinge, Keeps, Leaf, Phase, Site, Station, StationKind};

/// Something that happened, for people.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Note {
    /// Counts up, so that a page knows which are new.
    pub(super) number: u64,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) text: String,
}

#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    nodes: Vec<NodeView<'a>>,
    stations: Vec<StationView<'a>>,
    groups: Vec<GroupView<'a>>,
    lines: Vec<LineView<'a>>,
    /// Calls that wait for a line that is down.
    keeps: &'static str,
    notes: &'a VecDeque<Note>,
}

#[derive(Serialize)]
struct NodeView<'a> {
    number: u16,
    name: &'a str,
}

#[derive(Serialize)]
struct GroupView<'a> {
    number: u16,
    name: &'a str,
}

#[derive(Serialize)]
struct StationView<'a> {
    id: &'a str,
    name: &'a str,
    node: u16,
    number: String,
    kind: &'static str,
    lamp: &'static str,
    faults: Vec<&'static str>,
    text: Option<&'a str>,
    buttons: Vec<&'a str>,
    doors: Vec<DoorView<'a>>,
    inputs: Vec<InputView<'a>>,
    call: Option<CallView>,
    queue: Vec<RequestView>,
    privacy: bool,
    divert: Option<String>,
    programme: u8,
    /// How loud it is there; None: it hears nothing.
    level: Option<f32>,
}

#[derive(Serialize)]
struct DoorView<'a> {
    name: &'a str,
    relay: bool,
    open: bool,
    contact: &'static str,
    stuck: bool,
}

#[derive(Serialize)]
struct InputView<'a> {
    name: &'a str,
    on: bool,
}

#[derive(Serialize)]
struct CallView {
    phase: &'static str,
    with: String,
    calls: bool,
    simplex: bool,
}

#[derive(Serialize)]
struct RequestView {
    from: String,
    name: String,
    priority: u8,
    text: Option<String>,
}

#[derive(Serialize)]
struct LineView<'a> {
    name: &'a str,
    gateway: u16,
    state: &'static str,
    cable: &'static str,
    place: &'a str,
    theirs: Vec<TheirsView>,
}

#[derive(Serialize)]
struct TheirsView {
    number: String,
    lamp: &'static str,
}

/// Lamps of the other end that the page shows at most.
const MOST_THEIRS: usize = 64;

pub(super) fn json(
    site: &Site,
    handles: &[Handle],
    levels: &Levels,
    notes: &VecDeque<Note>,
) -> String {
    let nodes = site.nodes().iter().map(|(node, name)| NodeView {
        number: node.0,
        name,
    });
    let groups = site.groups().map(|group| GroupView {
        number: group.number,
        name: &group.name,
    });
    let lines = site.lines().iter().zip(handles);
    let lines = lines.map(|(line, handle)| LineView {
        name: &line.name,
        gateway: line.gateway.0,
        state: state(line.state()),
        cable: cable(handle.cable()),
        place: &handle.place,
        theirs: line
            .theirs()
            .take(MOST_THEIRS)
            .map(|(party, state)| TheirsView {
                number: written(party),
                lamp: Lamp::of(state).name(),
            })
            .collect(),
    });
    let view = View {
        name: site.name(),
        nodes: nodes.collect(),
        stations: site.stations().map(|s| station(site, s, levels)).collect(),
        groups: groups.collect(),
        lines: lines.collect(),
        keeps: match site.keeps() {
            Keeps::Nothing => "nothing",
            Keeps::Alarms => "alarms",
            Keeps::Everything => "everything",
        },
        notes,
    };
    serde_json::to_string(&view).unwrap_or_default()
}

fn station<'a>(site: &Site, station: &'a Station, levels: &Levels) -> StationView<'a> {
    let plan = &station.plan;
    let doors = plan.doors.iter().zip(station.doors());
    let doors = doors.map(|(plan, door)| DoorView {
        name: &plan.name,
        relay: door.relay == Switch::On,
        open: door.leaf == Leaf::Open,
        contact: match door.contact {
            ContactState::None => "none",
            ContactState::Works => "works",
            ContactState::Broken => "broken",
        },
        stuck: door.hinge == Hinge::Stuck,
    });
    let inputs = plan.inputs.iter().zip(station.inputs());
    StationView {
        id: &plan.id,
        name: &plan.name,
        node: plan.party.node.0,
        number: plan.party.number.to_string(),
        kind: match plan.kind {
            StationKind::Door => "door",
            StationKind::Desk => "desk",
            StationKind::Emergency => "emergency",
            StationKind::Room => "room",
        },
        lamp: Lamp::of(station.state()).name(),
        faults: faults(station.faults()),
        text: station.text().map(|text| text.as_str()),
        buttons: plan.buttons.iter().map(|b| b.label.as_str()).collect(),
        doors: doors.collect(),
        inputs: inputs
            .map(|(name, state)| InputView {
                name,
                on: *state == Switch::On,
            })
            .collect(),
        call: call(site, station),
        queue: queue(site, plan.party),
        privacy: station.privacy() == Switch::On,
        divert: divert(station.divert()),
        programme: match station.programme() {
            Programme::Off => 0,
            Programme::Channel(channel) => channel,
        },
        level: levels.get(&plan.party).copied(),
    }
}

fn call(site: &Site, station: &Station) -> Option<CallView> {
    let call = site.call(station.call()?)?;
    let own = station.plan.party;
    let other = call.other(own);
    let title = site.title(other);
    let with = match site.station(other) {
        Some(_) => title,
        None => written(other),
    };
    Some(CallView {
        phase: phase(call.phase),
        with,
        calls: call.from.party() == own,
        simplex: matches!(call.mode, legacy_protocols::event::TalkMode::Simplex(_)),
    })
}

fn queue(site: &Site, desk: Party) -> Vec<RequestView> {
    let queue = site.queue(desk).into_iter();
    let views = queue.map(|request| RequestView {
        from: written(request.from),
        name: site.title(request.from),
        priority: request.priority.value(),
        text: request.text.as_ref().map(|text| text.as_str().to_owned()),
    });
    views.collect()
}

fn divert(divert: Divert) -> Option<String> {
    match divert {
        Divert::Off => None,
        Divert::Always(to) => Some(format!("always to {}", written(to))),
        Divert::Busy(to) => Some(format!("when busy to {}", written(to))),
        Divert::NoReply(to) => Some(format!("unanswered to {}", written(to))),
    }
}

/// As scripts write it.
fn written(party: Party) -> String {
    format!("{}/{}", party.node.0, party.number)
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Ringing => "ringing",
        Phase::Connected => "talking",
        Phase::Held => "held",
    }
}

const fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Down => "down",
        LinkState::Connecting => "connecting",
        LinkState::Syncing => "syncing",
        LinkState::Up(_) => "up",
        LinkState::Suspect => "suspect",
    }
}

const fn cable(cable: Cable) -> &'static str {
    match cable {
        Cable::Whole => "whole",
        Cable::Cut => "cut",
        Cable::Frozen => "frozen",
    }
}

fn faults(faults: Faults) -> Vec<&'static str> {
    const NAMES: [(Faults, &str); 9] = [
        (Faults::LINE_OPEN, "line"),
        (Faults::LINE_SHORT, "short"),
        (Faults::NO_REPLY, "silent"),
        (Faults::MICROPHONE, "microphone"),
        (Faults::SPEAKER, "speaker"),
        (Faults::TAMPER, "tamper"),
        (Faults::POWER, "power"),
        (Faults::DEGRADED, "degraded"),
        (Faults::TEST_OVERDUE, "test overdue"),
    ];
    let set = NAMES.iter().filter(|(fault, _)| faults.0 & fault.0 != 0);
    set.map(|(_, name)| *name).collect()
}

/// For a terminal.
pub(super) fn text(site: &Site, handles: &[Handle], levels: &Levels) -> String {
    let mut text = String::new();
    for (line, handle) in site.lines().iter().zip(handles) {
        let (state, cable) = (state(line.state()), cable(handle.cable()));
        let _ = writeln!(
            text,
            "line {} to node {} at {}: {state}, cable {cable}",
            line.name, line.gateway.0, handle.place
        );
    }
    for known in site.stations() {
        let view = station(site, known, levels);
        let _ = write!(
            text,
            "{} {}/{}: {}",
            view.id, view.node, view.number, view.lamp
        );
        if let Some(call) = &view.call {
            let _ = write!(text, ", {} with {}", call.phase, call.with);
        }
        if let Some(level) = view.level {
            let _ = write!(text, ", hears {level} dBov");
        }
        for (index, door) in view.doors.iter().enumerate() {
            let leaf = if door.open { "open" } else { "closed" };
            let _ = write!(text, ", door {} {leaf}", index + 1);
        }
        if !view.faults.is_empty() {
            let _ = write!(text, ", broken: {}", view.faults.join(" "));
        }
        if let Some(shown) = view.text {
            let _ = write!(text, ", shows \"{shown}\"");
        }
        for request in &view.queue {
            let _ = write!(text, ", {} waits", request.name);
        }
        text.push('\n');
    }
    text
}
