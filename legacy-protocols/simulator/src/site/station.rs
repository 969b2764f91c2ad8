//! One station: what it does, what is broken on it, and the lamp that follows from both.
//!
//! It decides nothing about calls. Invariant: its state is computed, never set.

use legacy_protocols::command::{Divert, GroupRef, Programme, RequestRef, Switch};
use legacy_protocols::event::{Faults, StationState};
use legacy_protocols::text::Text;

use super::plan::{Contact, StationPlan};

#[derive(Clone, Debug)]
pub struct Station {
    pub plan: StationPlan,
    pub(super) busy: Busy,
    /// The wish that it waits with.
    pub(super) request: Option<RequestRef>,
    /// It has a call that no line carries now.
    pub(super) waits_for_line: bool,
    pub(super) faults: Faults,
    pub(super) privacy: Switch,
    pub(super) divert: Divert,
    pub(super) programme: Programme,
    pub(super) text: Option<Text>,
    pub(super) doors: Vec<Door>,
    pub(super) inputs: Vec<Switch>,
    /// What the lines were told last.
    pub(super) told: StationState,
}

/// What it is taken up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    No,
    Called(CallId),
    Calling(CallId),
    Talking(CallId),
    Conference(GroupRef),
    Listening(GroupRef),
    /// It talks to a group.
    Announcing(GroupRef),
}

/// A call inside the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub(super) u64);

/// A door, the relay that opens it, and the contact that feels it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    pub relay: Switch,
    /// Where the leaf stands, whether or not anybody can know.
    pub leaf: Leaf,
    pub contact: ContactState,
    pub hinge: Hinge,
    /// The command that drives it now; its number, if it came over a line.
    pub(super) command: Option<legacy_protocols::command::OutputId>,
    /// Pulses overtake each other; only the last one's end lets go.
    pub(super) pulses: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    Closed,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    None,
    Works,
    Broken,
}

/// A door that is stuck stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hinge {
    Free,
    Stuck,
}

impl Station {
    pub(super) fn new(plan: StationPlan) -> Self {
        let doors = plan.doors.iter().map(|door| Door {
            relay: Switch::Off,
            leaf: Leaf::Closed,
            contact: match door.contact {
                Contact::Fitted => ContactState::Works,
                Contact::None => ContactState::None,
            },
            hinge: Hinge::Free,
            command: None,
            pulses: 0,
        });
        Self {
            doors: doors.collect(),
            inputs: vec![Switch::Off; plan.inputs.len()],
            plan,
            busy: Busy::No,
            request: None,
            waits_for_line: false,
            faults: Faults::NONE,
            privacy: Switch::Off,
            divert: Divert::Off,
            programme: Programme::Off,
            text: None,
            told: StationState::Idle,
        }
    }

    pub fn state(&self) -> StationState {
        if !self.works() {
            return StationState::OutOfService;
        }
        match self.busy {
            Busy::Called(_) => StationState::Ringing,
            Busy::Calling(_) | Busy::Talking(_) | Busy::Announcing(_) => StationState::InCall,
            Busy::Conference(group) => StationState::InConference(Some(group)),
            Busy::Listening(group) => StationState::Listening(Some(group)),
            Busy::No if self.request.is_some() || self.waits_for_line => StationState::Requesting,
            Busy::No if self.privacy == Switch::On => StationState::Privacy,
            Busy::No => StationState::Idle,
        }
    }

    /// A station whose line is cut or that does not reply can do nothing.
    pub fn works(&self) -> bool {
        let dead = Faults::LINE_OPEN.0 | Faults::LINE_SHORT.0 | Faults::NO_REPLY.0;
        self.faults.0 & dead == 0
    }

    /// Whether anybody hears what is said at it.
    pub fn microphone_works(&self) -> bool {
        self.works() && self.faults.0 & Faults::MICROPHONE.0 == 0
    }

    pub fn speaker_works(&self) -> bool {
        self.works() && self.faults.0 & Faults::SPEAKER.0 == 0
    }

    pub const fn faults(&self) -> Faults {
        self.faults
    }

    pub const fn call(&self) -> Option<CallId> {
        match self.busy {
            Busy::Called(call) | Busy::Calling(call) | Busy::Talking(call) => Some(call),
            Busy::No | Busy::Conference(_) | Busy::Listening(_) | Busy::Announcing(_) => None,
        }
    }

    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    pub fn inputs(&self) -> &[Switch] {
        &self.inputs
    }

    /// What its display shows.
    pub fn text(&self) -> Option<&Text> {
        self.text.as_ref()
    }

    pub const fn privacy(&self) -> Switch {
        self.privacy
    }

    pub const fn divert(&self) -> Divert {
        self.divert
    }

    pub const fn programme(&self) -> Programme {
        self.programme
    }
}

impl Door {
    /// What the contact says; None where none is fitted or it is broken.
    pub fn felt(&self) -> Option<Leaf> {
        match self.contact {
            ContactState::Works => Some(self.leaf),
            ContactState::None | ContactState::Broken => None,
        }
    }
}
