//! `backup` and `restore`: the whole of a core in one file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::admin::write_secret;
use super::args::{Backup, Restore};
use crate::backup::{self, Backed, Counts, Restored, Sound, Wanted};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::config::Settings;
use crate::serve::key_file;
use crate::store::Store;

/// Tables that are empty in a core that nobody has used: where they are not, something would be lost.
const USED: [&str; 5] = ["company", "device", "maker", "unit", "user_account"];

pub(super) async fn back_up(settings: &Settings, asked: &Backup) -> Result<String> {
    let store = Store::open(&settings.store).await?;
    let told = write(settings, &store, asked).await;
    store.close().await;
    told
}

async fn write(settings: &Settings, store: &Store, asked: &Backup) -> Result<String> {
    if asked.to.exists() {
        bail!("{} is there already; name a new file", asked.to.display());
    }
    let keys = key_file(settings);
    let key_text = match asked.with_keys {
        true => Some(std::fs::read(&keys).with_context(|| format!("reading {}", keys.display()))?),
        false => None,
    };
    let wanted = Wanted {
        installation: &settings.name,
        now: Clock::default().now(),
        keys: key_text.as_deref(),
        blobs: !asked.without_blobs,
    };
    let blobs = Blobs::open(&settings.blobs.place, settings.blobs.room)?;
    let part = beside(&asked.to);
    let file = create(&part)?;
    let written = backup::back_up(store, &blobs, BufWriter::new(file), wanted).await;
    let backed = match written.map_err(anyhow::Error::from).and_then(finish) {
        Ok(backed) => backed,
        Err(error) => {
            // What is there of it is of no use.
            let _ = std::fs::remove_file(&part);
            return Err(error.context("no backup was made"));
        }
    };
    std::fs::rename(&part, &asked.to).with_context(|| format!("writing {}", asked.to.display()))?;
    backup::remember(store, &backed, wanted).await?;
    Ok(in_words(asked, &keys, &backed))
}

/// A file that is not whole yet.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

fn create(part: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .with_context(|| format!("writing {}", part.display()))
}

fn finish((mut writer, backed): (BufWriter<File>, Backed)) -> Result<Backed> {
    writer.flush()?;
    writer.get_ref().sync_all()?;
    Ok(backed)
}

fn in_words(asked: &Backup, keys: &Path, backed: &Backed) -> String {
    let rows: u64 = backed.rows.values().sum();
    let mut told = format!(
        "wrote {}: {rows} rows, {} blobs, {} octets\nsha256 {}\n",
        asked.to.display(),
        backed.blobs,
        backed.octets,
        backed.sum
    );
    if backed.blobs_gone > 0 {
        told += &format!(
            "{} blobs went while it was written: they are not in it\n",
            backed.blobs_gone
        );
    }
    if asked.without_blobs {
        told += "blobs are not in it: keep a copy of their folder or bucket\n";
    }
    told += &match asked.with_keys {
        true => {
            "the keys of all secrets are in it: whoever has the file has everything\n".to_owned()
        }
        false => format!(
            "the keys of all secrets are not in it: keep a copy of {} elsewhere\n",
            keys.display()
        ),
    };
    told
}

pub(super) async fn restore(settings: &Settings, asked: &Restore) -> Result<String> {
    let sound = Sound::read(&asked.from)
        .with_context(|| format!("nothing was changed; {}", asked.from.display()))?;
    std::fs::create_dir_all(&settings.folder)
        .with_context(|| format!("making the folder {}", settings.folder.display()))?;
    let store = Store::open(&settings.store).await?;
    let told = put_back(settings, &store, asked, &sound).await;
    store.close().await;
    told
}

async fn put_back(
    settings: &Settings,
    store: &Store,
    asked: &Restore,
    sound: &Sound,
) -> Result<String> {
    let present = backup::present(store).await?;
    let used = USED
        .iter()
        .any(|table| present.get(*table).is_some_and(|rows| *rows > 0));
    if used && !asked.replace {
        bail!(
            "nothing was changed: this store is in use. `--replace` would put in place of what is there\n{}",
            compared(&present, &sound.rows)
        );
    }
    let blobs = Blobs::open(&settings.blobs.place, settings.blobs.room)?;
    let now = Clock::default().now();
    let restored = backup::restore(store, &blobs, &asked.from, (sound, now))
        .await
        .context("nothing was changed")?;
    let mut told = format!(
        "restored what was {} on {}\n",
        sound.about.installation, sound.about.made
    );
    told += &keys(settings, sound)?;
    told += &outcome(&restored);
    if let Err(error) = crate::serve::open(settings, store.clone()).await {
        told += &format!("it cannot be served yet: {error:#}\n");
    }
    if restored.broken.is_empty() {
        return Ok(told);
    }
    bail!("{told}audit logs were changed before or in the backup; see above");
}

/// What is there, and what would be.
fn compared(present: &Counts, coming: &Counts) -> String {
    let mut told = format!("  {:<24}{:>12}{:>12}\n", "", "now", "backup");
    for (table, rows) in present {
        let then = coming.get(table).copied().unwrap_or(0);
        if *rows > 0 || then > 0 {
            told += &format!("  {table:<24}{rows:>12}{then:>12}\n");
        }
    }
    told
}

/// The key file of the archive, where there is none yet.
fn keys(settings: &Settings, sound: &Sound) -> Result<String> {
    let file = key_file(settings);
    let Some(inside) = &sound.keys else {
        return Ok(String::new());
    };
    if !file.exists() {
        write_secret(&file, &String::from_utf8_lossy(inside))?;
        return Ok(format!("wrote the keys to {}\n", file.display()));
    }
    if std::fs::read(&file).is_ok_and(|there| there == *inside) {
        return Ok(String::new());
    }
    Ok(format!(
        "{} holds other keys than the backup and was left alone: move it away and restore again, or secrets \
         cannot be opened\n",
        file.display()
    ))
}

fn outcome(restored: &Restored) -> String {
    let mut told = String::new();
    if restored.without_octets > 0 {
        told += &format!(
            "{} blobs had no octets in the backup and were left out\n",
            restored.without_octets
        );
    }
    if restored.forgotten_again > 0 {
        told += &format!(
            "{} people had been forgotten since, and were forgotten again\n",
            restored.forgotten_again
        );
    }
    told += &format!("{} audit logs hold\n", restored.logs);
    for (company, broken) in &restored.broken {
        let whose = company.map_or("the installation".to_owned(), |id| id.to_string());
        told += &format!(
            "the audit log of {whose} does not hold at entry {}: {}\n",
            broken.seq, broken.why
        );
    }
    told
}
