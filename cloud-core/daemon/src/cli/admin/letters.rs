//! What became of letters.

use anyhow::Result;

use crate::core::Core;
use crate::mail::{State, counts, listed};

/// So many are shown.
const SHOWN: u32 = 200;

pub(super) async fn list(core: &Core, state: Option<&str>) -> Result<String> {
    let state: Option<State> = state.map(str::parse).transpose()?;
    let mut tx = core.store.read().await?;
    let letters = listed(&mut tx, None, state, None, SHOWN).await?;
    let mut told = String::new();
    for letter in &letters {
        told += &format!(
            "{}  {:<14}  {:<7}  {} tries  {}{}\n",
            letter.created,
            letter.kind.word(),
            letter.state.word(),
            letter.tries,
            letter.recipient,
            match &letter.reason {
                Some(reason) => format!("\n    {reason}"),
                None => String::new(),
            }
        );
    }
    let counts = counts(&mut tx).await?;
    let counts: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {}", state.word()))
        .collect();
    told += &format!("{}\n", counts.join(", "));
    if core.mail.settings().is_none() {
        told += "no mail server is set up: add the section [mail] to the configuration\n";
    }
    Ok(told)
}
