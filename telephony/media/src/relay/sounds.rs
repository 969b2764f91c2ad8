//! Commands for what a leg hears besides one other leg: sounds and rooms.

use std::time::Instant;

use super::{CommandError, Relay};
use crate::leg::{LegKey, SessionId};
use crate::player::{Player, Sound, SoundKey};
use crate::session::room::{Part, RoomKey};

impl Relay {
    /// Plays a sound to a leg, over what it hears otherwise and in place of another sound. Its end
    /// is told ([`super::Event::SoundOver`]), unless another sound took its place.
    pub fn play(
        &mut self,
        session: SessionId,
        leg: LegKey,
        key: SoundKey,
        sound: &Sound,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize]
            && !session.play(slot, Player::new(key, sound), now)
        {
            return Err(CommandError::NoCodec(leg));
        }
        self.schedule(index);
        Ok(())
    }

    /// The sound that a leg is played fades away; its end is told.
    pub fn stop_sound(&mut self, session: SessionId, leg: LegKey) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        let found = self.sessions[index as usize].as_mut();
        let leg = found.and_then(|session| session.leg_mut(slot));
        if let Some(leg) = leg {
            leg.stop_sound();
        }
        Ok(())
    }

    /// Puts a leg into a room, where it hears all who talk but itself, or gives it another part
    /// there. The room begins with its first leg; all of them must be in this session. Whom the leg
    /// heard before, it hears no more.
    pub fn enter_room(
        &mut self,
        session: SessionId,
        leg: LegKey,
        room: RoomKey,
        part: Part,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.enter(slot, room, part, now);
        }
        self.schedule(index);
        Ok(())
    }

    /// Takes a leg out of its room; it hears nobody then, and nobody hears it.
    pub fn leave_room(&mut self, session: SessionId, leg: LegKey) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.leave(slot);
        }
        self.schedule(index);
        Ok(())
    }
}
