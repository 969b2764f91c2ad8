//! Rooms: many who hear each other, with the least work.
//!
//! Whoever hears one voice only, and has its codec, is passed its packets as they are: a group call
//! with one talker decodes nothing where all agreed on one codec. Two alone in a room are two in a
//! call. Everybody else hears a sum of all voices but its own, at 16 kHz, a frame every 20 ms; all
//! who only listen hear the same sum, which is encoded once for each of their codecs. Keys and
//! comfort noise are nobody's voice and stay outside the sum.
//!
//! Who may talk is the owner's to say ([`Part`]). Invariant: a leg is in one room at most, and
//! hears there all who talk but itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Session;
use crate::codec::AudioCodec;
use crate::decoded::Decoding;
use crate::format::Codec;
use crate::guard::Outlet;
use crate::leg::{Inbound, Leg, Medium};
use crate::mixer::{self, Ear, Frame, RATE};
use crate::quality::Reason;
use crate::rate::FRAME;
use crate::relay::Sink;
use crate::voice::{Hearing, Losses, Speaking};

/// The owner's name for a room, unique among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomKey(pub u64);

/// What a leg does in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    TalkAndListen,
    Talk,
    Listen,
}

impl Part {
    fn talks(self) -> bool {
        matches!(self, Part::TalkAndListen | Part::Talk)
    }

    fn listens(self) -> bool {
        matches!(self, Part::TalkAndListen | Part::Listen)
    }
}

#[derive(Debug)]
pub(super) struct Room {
    key: RoomKey,
    /// By slot.
    members: BTreeMap<u8, Member>,
    sum: mixer::Room,
    crowds: Vec<Crowd>,
}

#[derive(Debug)]
struct Member {
    part: Part,
    way: Way,
    /// While somebody hears it in a sum.
    said: Option<Box<Said>>,
    ear: Ear,
    /// Under which the crowd's stream is numbered for it.
    epoch: u32,
    /// Of the crowd's stream.
    losses: Losses,
}

/// How a member hears the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Deaf,
    /// The packets of the leg in this slot.
    Passed(u8),
    /// A sum of its own.
    Alone,
    /// The sum that all hear who only listen in this codec.
    InCrowd(AudioCodec),
}

/// What a member says, frame by frame.
#[derive(Debug)]
struct Said {
    hearing: Hearing,
    frame: Frame,
    /// The frame is from this beat.
    fresh: bool,
}

/// Those who only listen, in one codec.
#[derive(Debug)]
struct Crowd {
    codec: AudioCodec,
    speaking: Speaking,
    ear: Ear,
    rests: bool,
}

impl Session {
    /// Puts a leg into a room, or gives it another part there.
    pub(crate) fn enter(&mut self, slot: u8, key: RoomKey, part: Part, now: Instant) {
        let is_audio = |leg: &Leg| leg.medium == Medium::Audio;
        if !self.leg(slot).is_some_and(is_audio) {
            return;
        }
        let mut rooms = self.rooms.iter();
        let found = rooms.position(|room| room.key == key);
        let is_there = |room: &Room| room.members.contains_key(&slot);
        if !found.is_some_and(|at| is_there(&self.rooms[at])) {
            self.isolate(slot);
        }
        // Somebody's leaving may have ended a room and moved the others.
        let found = self.rooms.iter().position(|room| room.key == key);
        let at = found.unwrap_or_else(|| {
            self.rooms.push(Room::new(key));
            self.rooms.len() - 1
        });
        let room = &mut self.rooms[at];
        let member = room
            .members
            .entry(slot)
            .or_insert_with(|| Member::new(part));
        member.part = part;
        self.watched_since = now;
        self.arrange(at);
        self.wind_clock(now);
    }

    /// Takes a leg out of the room that it is in.
    pub(crate) fn leave(&mut self, slot: u8) {
        let Some(at) = self.room_of(slot) else { return };
        let member = self.rooms[at].members.remove(&slot);
        let way = member.as_ref().map_or(Way::Deaf, |member| member.way);
        self.turn_from(slot, way);
        if let Some(leg) = self.leg_mut(slot) {
            leg.is_mixed = false;
            if let Some(said) = member.and_then(|member| member.said) {
                leg.past.add(said.hearing.decoding());
            }
        }
        if self.rooms[at].members.is_empty() {
            self.rooms.swap_remove(at);
        } else {
            self.arrange(at);
        }
    }

    /// Formats of a leg are others now.
    pub(super) fn rearrange(&mut self, slot: u8) {
        if let Some(at) = self.room_of(slot) {
            self.arrange(at);
        }
    }

    /// Whether the leg hears the sum of those who only listen.
    pub(crate) fn is_in_crowd(&self, slot: u8) -> bool {
        let room = self.room_of(slot).map(|at| &self.rooms[at]);
        let member = room.and_then(|room| room.members.get(&slot));
        member.is_some_and(|member| matches!(member.way, Way::InCrowd(_)))
    }

    /// A leg has reported a loss, in parts of 256: what it hears with others is guarded as the one
    /// needs it that loses most.
    pub(crate) fn lost_in_crowd(&mut self, slot: u8, reported: u8) {
        if let Some(at) = self.room_of(slot) {
            self.rooms[at].hear_loss(slot, reported);
        }
    }

    pub(super) fn is_in_room(&self, slot: u8) -> bool {
        self.room_of(slot).is_some()
    }

    /// What is decoded of the leg for a sum.
    pub(crate) fn said_in_room(&self, slot: u8) -> Option<Decoding> {
        let member = self.rooms[self.room_of(slot)?].members.get(&slot)?;
        Some(member.said.as_ref()?.hearing.decoding())
    }

    fn room_of(&self, slot: u8) -> Option<usize> {
        let is_there = |room: &Room| room.members.contains_key(&slot);
        self.rooms.iter().position(is_there)
    }

    /// Decides anew how each member hears the others, and changes what is not so.
    fn arrange(&mut self, at: usize) {
        let room = &self.rooms[at];
        let all = room.members.iter();
        let wanted: Vec<(u8, Way, Way)> = all
            .map(|(slot, member)| (*slot, member.way, self.way(room, *slot, member.part)))
            .collect();
        for (slot, before, after) in &wanted {
            if before != after {
                self.turn_from(*slot, *before);
                self.turn_to(at, *slot, *after);
            }
        }
        let in_sum = |way: Way| matches!(way, Way::Alone | Way::InCrowd(_));
        let room = &mut self.rooms[at];
        let hearing: Vec<u8> = wanted
            .iter()
            .filter(|(_, _, way)| in_sum(*way))
            .map(|(slot, _, _)| *slot)
            .collect();
        for (slot, member) in &mut room.members {
            let is_mixed = member.part.talks() && hearing.iter().any(|ear| ear != slot);
            let leg = self.legs.get_mut(usize::from(*slot));
            let Some(leg) = leg.and_then(Option::as_mut) else {
                continue;
            };
            leg.is_mixed = is_mixed;
            if let Some(said) = member.said.take_if(|_| !is_mixed) {
                leg.past.add(said.hearing.decoding());
            }
        }
        let still = |codec| wanted.iter().any(|(_, _, way)| *way == Way::InCrowd(codec));
        room.crowds.retain(|crowd| still(crowd.codec));
    }

    /// The least work by which a member hears all who talk.
    fn way(&self, room: &Room, slot: u8, part: Part) -> Way {
        if !part.listens() {
            return Way::Deaf;
        }
        let talks = |(other, member): (&u8, &Member)| {
            (*other != slot && member.part.talks()).then_some(*other)
        };
        let mut voices = room.members.iter().filter_map(talks);
        let (first, second) = (voices.next(), voices.next());
        let codec = self.leg(slot).and_then(|leg| leg.formats.voice());
        match (first, second, codec) {
            (None, _, _) => Way::Deaf,
            (Some(one), None, _) if room.members.len() == 2 => Way::Passed(one),
            (Some(one), None, _) if self.passes(one, slot) => Way::Passed(one),
            (Some(_), _, Some((_, codec))) => match part {
                Part::Listen if !self.hears_by_itself(slot) => Way::InCrowd(codec),
                Part::TalkAndListen | Part::Talk | Part::Listen => Way::Alone,
            },
            // No codec of ours, so only whom it understands can be heard.
            (Some(_), _, None) => {
                let mut voices = room.members.iter().filter_map(talks);
                let understood = voices.find(|voice| self.passes(*voice, slot));
                understood.map_or(Way::Deaf, Way::Passed)
            }
        }
    }

    fn hears_by_itself(&self, slot: u8) -> bool {
        self.leg(slot).is_some_and(Leg::hears_by_itself)
    }

    /// Whether the packets of one can be passed to the other as they are.
    fn passes(&self, talker: u8, listener: u8) -> bool {
        let (Some(mouth), Some(ear)) = (self.leg(talker), self.leg(listener)) else {
            return false;
        };
        let Some(format) = mouth.voice_format() else {
            return false;
        };
        let map = mouth.formats.map_to(&ear.formats);
        let place = mouth.formats.find(format.payload_type);
        place.is_some_and(|(index, _)| map.payload_type(index).is_some())
    }

    fn turn_from(&mut self, slot: u8, way: Way) {
        match way {
            Way::Deaf | Way::InCrowd(_) => {}
            Way::Passed(_) => self.deafen(slot),
            Way::Alone => {
                let idle = |leg: &&mut Leg| !leg.is_played_to();
                if let Some(leg) = self.leg_mut(slot).filter(idle) {
                    leg.end_program();
                }
            }
        }
    }

    fn turn_to(&mut self, at: usize, slot: u8, way: Way) {
        match way {
            Way::Deaf => {}
            Way::Passed(talker) => self.link(slot, talker),
            Way::Alone => {
                if let Some(leg) = self.leg_mut(slot) {
                    leg.open_program();
                }
            }
            Way::InCrowd(codec) => {
                self.rooms[at].open_crowd(codec);
                let epoch = self.leg_mut(slot).map_or(0, Leg::next_epoch);
                if let Some(member) = self.rooms[at].members.get_mut(&slot) {
                    member.epoch = epoch;
                }
            }
        }
        if let Some(member) = self.rooms[at].members.get_mut(&slot) {
            member.way = way;
        }
    }

    /// A packet of somebody who is heard in a sum.
    pub(crate) fn say_in_room(
        &mut self,
        slot: u8,
        inbound: &Inbound,
        packet: &[u8],
        now: Instant,
    ) -> Result<(), Reason> {
        if matches!(
            inbound.format.codec,
            Codec::TelephoneEvent | Codec::ComfortNoise
        ) {
            return Ok(());
        }
        let codec = AudioCodec::of(inbound.format.codec).ok_or(Reason::NoPayloadType)?;
        let Some(at) = self.room_of(slot) else {
            return Ok(());
        };
        let seed = self.leg(slot).map_or(0, |leg| u64::from(leg.out.ssrc()));
        let Some(member) = self.rooms[at].members.get_mut(&slot) else {
            return Ok(());
        };
        let said = member.said.take_if(|said| said.hearing.codec() == codec);
        let mut said = match said {
            Some(said) => said,
            None => Said::new(codec, seed, now).ok_or(Reason::NoPayloadType)?,
        };
        let payload = inbound.header.payload(packet);
        let packet = inbound.packet(payload, said.hearing.ticks_in(payload));
        said.hearing.treat(inbound.treatment);
        said.hearing.overhear(inbound.told);
        if let Ok(packet) = &packet {
            said.hearing.hear(packet, now);
        }
        member.said = Some(said);
        packet.map(|_| ())
    }
}

impl Room {
    fn new(key: RoomKey) -> Room {
        Room {
            key,
            members: BTreeMap::new(),
            sum: mixer::Room::default(),
            crowds: Vec::new(),
        }
    }

    fn open_crowd(&mut self, codec: AudioCodec) {
        if self.crowds.iter().any(|crowd| crowd.codec == codec) {
            return;
        }
        // A codec that cannot be opened leaves the crowd without sound, as it would each leg.
        if let Ok(speaking) = Speaking::new(codec, RATE) {
            self.crowds.push(Crowd {
                codec,
                speaking,
                ear: Ear::default(),
                rests: false,
            });
        }
    }

    fn hear_loss(&mut self, slot: u8, reported: u8) {
        let Some(member) = self.members.get_mut(&slot) else {
            return;
        };
        let Way::InCrowd(codec) = member.way else {
            return;
        };
        member.losses.report(reported);
        let together = self.members.values();
        let together = together.filter(|member| member.way == Way::InCrowd(codec));
        let worst = together.map(|member| member.losses.percent()).max();
        let mut crowds = self.crowds.iter_mut();
        if let Some(crowd) = crowds.find(|crowd| crowd.codec == codec) {
            crowd.speaking.guard_against(worst.unwrap_or_default());
        }
    }

    /// Adds up what is said in this beat.
    pub(super) fn gather(&mut self, at: Instant) {
        self.sum.clear();
        for member in self.members.values_mut() {
            let Some(said) = &mut member.said else {
                continue;
            };
            said.fresh = said.hearing.next(&mut said.frame, at);
            if said.fresh {
                self.sum.add(&said.frame);
            }
        }
    }

    /// Whether a sum is made for this member alone.
    pub(super) fn is_alone(&self, slot: u8) -> bool {
        let member = self.members.get(&slot);
        member.is_some_and(|member| member.way == Way::Alone)
    }

    /// What a member hears that needs a sum of its own: because it talks, or because a sound is
    /// played to it alone.
    pub(super) fn heard_alone(&mut self, slot: u8) -> Option<Frame> {
        let member = self.members.get_mut(&slot)?;
        match member.way {
            Way::Deaf | Way::Passed(_) => return None,
            Way::Alone | Way::InCrowd(_) => {}
        }
        let own = member.said.as_ref().filter(|said| said.fresh);
        let own = own.map(|said| &said.frame);
        if self.sum.voices() == usize::from(own.is_some()) {
            return None;
        }
        let mut heard = [0; RATE.frame()];
        self.sum.hear(&mut member.ear, own, &mut heard);
        Some(heard)
    }

    /// Says the sum to those who only listen.
    pub(super) fn tell_crowds(
        &mut self,
        legs: &mut [Option<Leg>],
        at: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) {
        for crowd in &mut self.crowds {
            if self.sum.voices() == 0 {
                crowd.pause(FRAME);
                continue;
            }
            let mut heard = [0; RATE.frame()];
            self.sum.hear(&mut crowd.ear, None, &mut heard);
            let rested = std::mem::replace(&mut crowd.rests, false);
            let (members, codec) = (&self.members, crowd.codec);
            crowd.speaking.say(&heard, at, |spoken| {
                for (slot, member) in members {
                    if member.way != Way::InCrowd(codec) {
                        continue;
                    }
                    let leg = legs.get_mut(usize::from(*slot)).and_then(Option::as_mut);
                    // Whoever is played a sound hears the sum beneath it.
                    let Some(leg) = leg.filter(|leg| leg.program.is_none()) else {
                        continue;
                    };
                    let Some((format, _)) = leg.formats.voice() else {
                        continue;
                    };
                    if let Some(mut mouth) = leg.mouth(member.epoch, format.clock_rate, at, outlet)
                    {
                        mouth.say(&spoken, format.payload_type, rested);
                    }
                }
            });
        }
    }

    pub(super) fn pass_over(&mut self, time: Duration) {
        for crowd in &mut self.crowds {
            crowd.pause(time);
        }
    }
}

impl Crowd {
    fn pause(&mut self, time: Duration) {
        self.speaking.pause(time);
        self.rests = true;
    }
}

impl Member {
    fn new(part: Part) -> Member {
        Member {
            part,
            way: Way::Deaf,
            said: None,
            ear: Ear::default(),
            epoch: 0,
            losses: Losses::default(),
        }
    }
}

impl Said {
    /// `None`: the codec cannot be opened.
    fn new(codec: AudioCodec, seed: u64, now: Instant) -> Option<Box<Said>> {
        let hearing = Hearing::new(codec, RATE, seed, now).ok()?;
        Some(Box::new(Said {
            hearing,
            frame: [0; RATE.frame()],
            fresh: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_listen_are_guarded_against_the_loss_of_the_one_who_loses_most() {
        let mut room = Room::new(RoomKey(1));
        room.open_crowd(AudioCodec::Opus);
        for slot in [1, 2] {
            let mut member = Member::new(Part::Listen);
            member.way = Way::InCrowd(AudioCodec::Opus);
            room.members.insert(slot, member);
        }
        let guarded = |room: &Room| room.crowds[0].speaking.guarded();
        room.hear_loss(1, 26);
        assert_eq!(guarded(&room), 11);
        room.hear_loss(2, 0);
        assert_eq!(guarded(&room), 11, "the other one still loses");
        for _ in 0..20 {
            room.hear_loss(1, 0);
            room.hear_loss(2, 0);
        }
        assert_eq!(guarded(&room), 0);
        room.hear_loss(9, 255);
        assert_eq!(guarded(&room), 0, "nobody is there");
    }
}
