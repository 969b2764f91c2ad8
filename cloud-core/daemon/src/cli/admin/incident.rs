//! Incidents on the status page, opened, added to and closed by operators.

use anyhow::{Result, bail, ensure};
use cloud_logic::ids::IncidentId;

use crate::cli::args::IncidentCommand;
use crate::core::Core;
use crate::service::status::incidents::{self, LONGEST, NewIncident};

pub(super) async fn run(core: &Core, what: &IncidentCommand) -> Result<String> {
    let mut tx = core.store.write().await?;
    let now = core.now();
    let told = match what {
        IncidentCommand::Open {
            title,
            state,
            parts,
            ..
        } => {
            let title = fitting(title)?;
            let new = NewIncident {
                title,
                state: *state,
                parts,
            };
            let id = incidents::open(&mut tx, &new, now).await?;
            format!("{id}\n  the status page shows it; close it with: admin incident close {id}\n")
        }
        IncidentCommand::Note { id, text, .. } => {
            let text = fitting(text)?;
            known(*id, incidents::note(&mut tx, *id, text, now).await?)?;
            "the status page shows it\n".to_owned()
        }
        IncidentCommand::Close { id, .. } => {
            known(*id, incidents::close(&mut tx, *id, now).await?)?;
            "closed; the status page shows it for two weeks more\n".to_owned()
        }
    };
    tx.commit().await?;
    Ok(told)
}

fn fitting(text: &str) -> Result<&str> {
    let text = text.trim();
    ensure!(!text.is_empty(), "write something");
    ensure!(
        text.chars().count() <= LONGEST && !text.contains('\0'),
        "at most {LONGEST} characters fit on the page"
    );
    Ok(text)
}

fn known(id: IncidentId, changed: bool) -> Result<()> {
    if !changed {
        bail!("there is no open incident {id}; the status page lists those that are open");
    }
    Ok(())
}
