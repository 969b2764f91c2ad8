//! Commands for the sound of a leg beside who hears whom: what else it is played, keys for
//! its peer, the room that it
//! is in, who else listens to it, and what is done to it on the way.

use std::time::{Duration, Instant};

use super::{CommandError, Relay};
use crate::leg::{LegKey, SessionId};
use crate::noise::Treatment;
use crate::player::{Player, Sound, SoundKey};
use crate::program::PressError;
use crate::session::room::{Part, RoomKey};
use crate::tap::Tap;
use crate::telephone_event::Digit;

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

    /// Presses a key for a leg's peer, once those before it are told: by events, in place of what
    /// it hears otherwise. A leg that hears another one telling the same key is not told it twice.
    pub fn press(
        &mut self,
        session: SessionId,
        leg: LegKey,
        digit: Digit,
        duration: Duration,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            let pressed = session.press(slot, digit, duration, now);
            pressed.map_err(|error| match error {
                PressError::NoEvents => CommandError::NoEvents(leg),
                PressError::TooMany => CommandError::TooManyKeys(leg),
            })?;
        }
        self.schedule(index);
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

    /// What is wanted of a leg's voice beside passing it on, from now on.
    pub fn tap(&mut self, session: SessionId, leg: LegKey, tap: Tap) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        let session = self.sessions[index as usize].as_mut();
        if let Some(leg) = session.and_then(|session| session.leg_mut(slot)) {
            leg.tapping.set(tap);
        }
        Ok(())
    }

    /// What is done to a leg's voice before others hear it, from now on; the recorder and whoever
    /// waits for keys have it as it came. Such a leg is decoded even where it could be relayed.
    /// Where its echo is taken away, so is what it hears.
    pub fn treat(
        &mut self,
        session: SessionId,
        leg: LegKey,
        treatment: Treatment,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.treat(slot, treatment, now);
        }
        self.schedule(index);
        Ok(())
    }

    /// How much louder than it comes a leg hears all that it is told, from now on. Where that is
    /// not 0 dB, what could be passed on to it is decoded for it.
    pub fn set_volume(
        &mut self,
        session: SessionId,
        leg: LegKey,
        db: i8,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.set_volume(slot, db, now);
        }
        self.schedule(index);
        Ok(())
    }
}
