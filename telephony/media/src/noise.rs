//! What is done to the voice of a leg before anybody hears it.
//!
//! Here stands where it happens; how noise is told from a voice is the owner's: whoever suppresses
//! it brings its own tables and its own dependencies. Invariant: a frame in is a frame out.

use std::fmt::Debug;

use crate::echo::MakeEchoControl;
use crate::rate::SampleRate;

/// Takes the noise out of one voice.
pub trait Suppressor: Debug + Send {
    /// A frame of 20 ms, in place.
    fn process(&mut self, frame: &mut [i16]);
}

/// Makes a suppressor for frames of this rate.
pub type MakeSuppressor = fn(SampleRate) -> Box<dyn Suppressor>;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Treatment {
    /// `None`: the noise around the speaker stays.
    pub noise: Option<MakeSuppressor>,
    /// `None`: what comes back of what the leg was told stays. Otherwise what it is told is decoded
    /// as well.
    pub echo: Option<MakeEchoControl>,
    /// How much louder it is made; up to [`crate::level::Gain::MAX_DB`].
    pub gain_db: i8,
    /// Nobody hears it.
    pub muted: bool,
}

impl Treatment {
    /// Whether the voice has to be decoded for it.
    pub(crate) fn is_any(self) -> bool {
        self.noise.is_some() || self.echo.is_some() || self.gain_db != 0 || self.muted
    }
}
