//! The file itself: members with their sums, written in one go and read in one go.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::{BackupError, SUMS};

/// Octets that pass are counted and summed.
pub(super) struct Summed<W> {
    inner: W,
    sum: Sha256,
    octets: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(some)?;
        self.sum.update(&some[..written]);
        self.octets += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// An archive that is written.
pub(super) struct Writing<W: Write> {
    tar: tar::Builder<Summed<W>>,
    sums: String,
    /// Seconds since 1970, of all its members.
    made: u64,
}

impl<W: Write> Writing<W> {
    pub(super) fn new(to: W, made: u64) -> Self {
        let summed = Summed {
            inner: to,
            sum: Sha256::new(),
            octets: 0,
        };
        Self {
            tar: tar::Builder::new(summed),
            sums: String::new(),
            made,
        }
    }

    pub(super) fn add(&mut self, name: &str, octets: &[u8]) -> io::Result<()> {
        self.sums += &format!("{}  {name}\n", hex(&Sha256::digest(octets)));
        self.append(name, octets)
    }

    fn append(&mut self, name: &str, octets: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(octets.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.made);
        self.tar.append_data(&mut header, name, octets)
    }

    /// What was written to, with the sum of all of it and how much it was.
    pub(super) fn finish(mut self) -> io::Result<(W, String, u64)> {
        let sums = std::mem::take(&mut self.sums);
        self.append(SUMS, sums.as_bytes())?;
        let summed = self.tar.into_inner()?;
        Ok((summed.inner, hex(&summed.sum.finalize()), summed.octets))
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Goes through all members in their order, each with its octets, except for the sums, which are
/// compared.
pub(super) fn read(
    from: impl Read,
    mut each: impl FnMut(&str, &[u8]) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut found = BTreeMap::new();
    let mut told = None;
    let mut tar = tar::Archive::new(from);
    let mut octets = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        octets.clear();
        entry.read_to_end(&mut octets)?;
        if told.is_some() {
            return Err(BackupError::Damaged { member: name });
        }
        if name == SUMS {
            told = Some(sums(&octets));
            continue;
        }
        let sum = hex(&Sha256::digest(&octets));
        if found.insert(name.clone(), sum).is_some() {
            return Err(BackupError::Damaged { member: name });
        }
        each(&name, &octets)?;
    }
    let told = told.ok_or(BackupError::CutOff)?;
    let differs = |name: &&String| told.get(*name) != found.get(*name);
    match found.keys().chain(told.keys()).find(differs) {
        Some(member) => Err(BackupError::Damaged {
            member: member.clone(),
        }),
        None => Ok(()),
    }
}

fn sums(octets: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(octets);
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    lines
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect()
}
