//! Where the core keeps what must not be lost: SQLite in a folder, or PostgreSQL.
//!
//! One text of SQL serves both engines; `sql` hides what differs. Reads run beside each other; in
//! SQLite there is one writer at a time, in PostgreSQL as many as there are connections. Beside each
//! change stands its entry of the audit log (`audit`) and its line of the cursor table (`changes`),
//! in the same transaction. Invariant: what `commit` has confirmed survives a power cut.

pub(crate) mod audit;
pub(crate) mod changes;
mod feed;
mod gather;
mod hints;
mod insert;
pub(crate) mod lease;
mod migrations;
mod open;
mod replace;
mod sql;
pub(crate) mod tables;
#[cfg(test)]
pub(crate) mod testing;
mod together;

pub(crate) use gather::{Gathered, gather};
pub(crate) use hints::exchange as exchange_hints;
pub(crate) use insert::Rows;
pub(crate) use open::{PgPlace, Place, Store};
pub(crate) use sql::{Argument, Bind, Engine, Query, Row, StoreError, Tx, query};
pub(crate) use together::Together;
