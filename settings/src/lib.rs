//! A configuration file: declared once, read strictly, documented by itself.
//!
//! `section!` declares a table with its fields, their documentation and defaults; out of it come the
//! reader, which reports every mistake at once with its place and its remedy, and the reference, a
//! sample of every setting there is. Knows no setting itself. Opens no file: text comes in, values and
//! problems go out. Invariant: a problem never carries the value of a secret.

mod model_values;
pub mod problems;
mod reference;
pub mod section;
pub mod values;

pub use problems::{ConfigErrors, Problem, Problems};
pub use reference::reference;
