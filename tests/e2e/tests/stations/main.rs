//! What stations do every day, with clients nobody here wrote.

mod calls;
mod codecs;
mod doors;
mod echo_test;
mod encrypted;
mod figures;
mod foreign_codecs;
mod groups;
mod hold_and_transfer;
mod legacy_line;
mod lines;
mod link_local;
mod loudness;
mod media;
mod openwebnet;
mod oracle;
mod recording;
mod registration;
mod scripted;
mod secure;
mod sounds;
mod timeline;
