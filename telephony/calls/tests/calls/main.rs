//! Stories in virtual time, one file per story, and a random world. All go through the same site
//! (`support`), which checks the invariants of the engine after each input.

#![expect(clippy::unwrap_used, reason = "a test whose premise fails stops there")]

mod alarm;
mod answer_races;
mod auto_answer;
mod conference;
mod door;
mod echo_test;
mod forwarding;
mod group_call;
mod hold_and_wait;
mod limit;
mod playback;
mod request;
mod ring_group;
mod service;
mod support;
mod takeover;
mod talk_key;
mod transfer;
mod two_party;
mod world;
