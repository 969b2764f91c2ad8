//! Waiting for something that nobody announces.
//!
//! Looks again and again, briefly apart, and gives up after [`PATIENCE`].
//! Where a program says that it is ready, wait for its word instead.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::PATIENCE;

/// Returns what `look` finds; an error that names `what` when it never does.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= given_up {
            bail!("waited {PATIENCE:?} in vain for: {what}");
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// The same for a plain condition.
pub fn until_true(what: &str, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, || Ok(look()?.then_some(())))
}

/// Does something at a steady pace until it says that it was enough.
pub fn paced(what: &str, pace: Duration, mut act: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    let mut next = begun;
    while !act()? {
        if next >= begun + PATIENCE {
            bail!("{PATIENCE:?} were not enough for: {what}");
        }
        next += pace;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
