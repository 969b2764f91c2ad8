//! Conversations of more than two: conferences (many talk to many) and group calls (one talks).

use crate::{Address, CallNumber, ConferenceId, GroupCallId, Pii, Priority};

/// A room that one joins by calling its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    pub id: ConferenceId,
    pub number: CallNumber,
    pub name: Pii<String>,
    /// Called as soon as the first comes in (a fixed conference); empty for one that people join.
    pub members: Vec<Address>,
    pub talk: RoomTalk,
}

/// Who is heard in a conference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomTalk {
    /// Everybody.
    #[default]
    Everybody,
    /// Whoever holds the talk key; the first to press has it until they let go.
    TalkKey,
}

/// An announcement to many: their stations open by themselves and listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCall {
    pub id: GroupCallId,
    pub number: CallNumber,
    pub name: Pii<String>,
    /// Single devices, 1 to 32.
    pub members: Vec<Address>,
    /// The priority of the announcement, unless the caller's is more urgent.
    pub priority: Priority,
    pub answer_back: AnswerBack,
}

/// Whether a listener of a group call may take the word with the talk key while the caller's key is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerBack {
    #[default]
    Forbidden,
    Allowed,
}

impl Conference {
    pub fn new(id: ConferenceId, number: CallNumber) -> Self {
        Self {
            id,
            number,
            name: Pii::default(),
            members: Vec::new(),
            talk: RoomTalk::default(),
        }
    }
}

impl GroupCall {
    pub fn new(id: GroupCallId, number: CallNumber, members: Vec<Address>) -> Self {
        Self {
            id,
            number,
            name: Pii::default(),
            members,
            priority: Priority::DEFAULT,
            answer_back: AnswerBack::default(),
        }
    }
}
