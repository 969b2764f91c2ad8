//! ACDP, the data protocol of Zenitel's AlphaCom servers, on its simple link layer.
//!
//! Known from the vendor's public wiki; where a layout is concluded from a published example rather
//! than read from a table, the place in the code says so. The simple link layer is point to point
//! text: no addresses, no acknowledgement, no timers, no repetition. So nothing we send is ever
//! confirmed by the link, and a line that is silent cannot be told from one that is cut.
//!
//! Not covered, as no public table tells their parameters: outputs, group calls, conferences, hold
//! and transfer. Telegrams about them are journalled as opaque.

mod codec;
mod mapping;
mod message;
mod object;
mod server;
mod session;
mod telegrams;

pub use codec::{Checksum, Line, LineError, Reader};
pub use message::{Device, Message, MessageError};
pub use object::{Object, ObjectError};
pub use server::Server;
pub use session::{Config, Session};
