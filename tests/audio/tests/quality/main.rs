//! What is heard through the relay must be worth hearing: gates on scores.
//!
//! Half a minute of speech by default; `ANTIPHON_AUDIO=whole` takes all of it
//! (`cargo xtask audio`). Each test prints its table, also when it passes (see
//! it with `--nocapture`), and says where the files lie.
#![expect(clippy::print_stdout, reason = "the tables are what the tests are for")]

mod bands;
mod drift;
mod pairs;
mod report;
mod rough;
