//! What makes a voice better than it came: without the noise around it, without the echo in it.
//!
//! `media` says where in a leg that is done and knows nothing about how ([`media::noise`],
//! [`media::echo`]); this crate knows how, by the tables and filters of others: RNNoise and AEC3 of
//! WebRTC. Both are off unless a station asks for them, and both cost quality where there is
//! nothing to take away; docs/audio-quality.md says how much.
//!
//! Invariant: a frame in gives a frame out, of the same length; equal inputs give equal outputs.

mod echo;
mod noise;

pub use echo::echo_control;
pub use noise::noise_suppressor;
