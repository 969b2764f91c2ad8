//! Commands for what a leg hears of us: sounds.

use std::time::Instant;

use super::{CommandError, Relay};
use crate::leg::{LegKey, SessionId};
use crate::player::{Player, Sound, SoundKey};

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
        let found = self.sessions.get_mut(index as usize);
        if let Some(session) = found.and_then(Option::as_mut)
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
        let found = self.sessions.get_mut(index as usize);
        let leg = found
            .and_then(Option::as_mut)
            .and_then(|session| session.leg_mut(slot));
        if let Some(leg) = leg {
            leg.stop_sound();
        }
        Ok(())
    }
}
