//! Protocols of older intercom servers, each a pure machine, behind one port contract.
//!
//! A port is the gateway's end of one line to such a server: a serial line, a TCP connection, an
//! ISDN span. Each protocol lives in a folder whose files carry the same names: `codec` (bytes and
//! frames), `link` (who lost what), `session` (what it means).
//!
//! It knows no stations' directory, no permissions, no ring groups and no audio; its words are those
//! of the lines themselves, made neutral: a `Command` is asked of the other end and answered, an
//! `Event` is told. The gateway's core translates. It holds no vendor's confidential format and
//! claims to speak none.

pub mod acdp;
pub mod command;
pub mod counters;
pub mod coverage;
pub mod event;
pub mod isdn;
pub mod link;
pub mod number;
pub mod open_link;
pub mod port;
pub mod priority;
pub mod safety;
pub mod sound;
pub mod table;
pub mod text;
pub mod text_servers;

mod crc;
mod octets;
mod pairs;
mod session;
