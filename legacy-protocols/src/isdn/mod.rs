//! ISDN: the D channel of basic rate (S0) and primary rate (E1) lines.
//!
//! `link` is LAPD after Q.921, `codec` the messages of Q.931, `session` call control, `port` puts it
//! behind the port contract, `causes` is the table between Q.850 and SIP, `layer1` the ways to
//! lines that are elsewhere. Bit stuffing, check sequences and the B channels' audio are somebody
//! else's. Nothing here depends on a kernel's ISDN.

pub mod causes;
pub mod codec;
pub mod layer1;
pub mod link;
pub mod port;
pub mod session;
