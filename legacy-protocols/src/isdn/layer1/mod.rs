//! Layer 1 as far as it is octets: how frames and samples reach a line that is not in this machine.
//!
//! `l1oip` carries a basic or primary rate line in UDP; `e1d` speaks with osmo-e1d, which has the
//! E1 interface and hands out a socket per timeslot; `bearer` turns the octets of B channels into
//! RTP and back. HDLC itself (flags, bit stuffing, check sequences) is done by them. No kernel ISDN.

pub mod bearer;
pub mod e1d;
pub mod l1oip;
