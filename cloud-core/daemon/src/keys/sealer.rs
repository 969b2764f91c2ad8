//! Seals secrets before they are written into rows, and opens them.
//!
//! AES-256-GCM with a random nonce. What a secret is and whose (table, column and row) is
//! authenticated with it, so that a sealed value moved to another row does not open there. Each
//! value names its key: after a rotation the old values still open until they are sealed anew
//! (`reseal`). Invariant: a secret leaves this module wiped when dropped, and no `Debug` shows it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::key_file::{self, KeyFileError, KeyId, RawKey};
use super::reseal;
use crate::random;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4 + NONCE_LEN;
const TAG: usize = 16;

/// Where a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secret<'a> {
    /// `table.column`.
    pub(crate) column: &'static str,
    /// The row's id.
    pub(crate) row: &'a str,
}

/// Why a sealed value does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsealError {
    #[error("the secret in {column} is not one that this program sealed")]
    Form { column: &'static str },
    #[error(
        "the secret in {column} was sealed with key {key:08x}, which the key file does not hold: \
         bring back the key file that belongs to this store"
    )]
    UnknownKey { column: &'static str, key: u32 },
    #[error("the secret in {column} was changed, or belongs to another row")]
    Forged { column: &'static str },
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

/// A clone is the same sealer.
#[derive(Clone)]
pub(crate) struct Sealer {
    path: Arc<Path>,
    keys: Arc<RwLock<Arc<Keys>>>,
}

pub(super) struct Keys {
    sealing: (KeyId, LessSafeKey),
    older: Vec<(KeyId, LessSafeKey)>,
}

impl Sealer {
    pub(crate) fn open(path: &Path) -> Result<Self, KeyFileError> {
        let keys = Keys::read(path)?;
        Ok(Self {
            path: Arc::from(path),
            keys: Arc::new(RwLock::new(Arc::new(keys))),
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    pub(crate) fn seal(&self, place: Secret<'_>, secret: &[u8]) -> Vec<u8> {
        debug_assert!(
            reseal::NEVER_STORED.contains(&place.column)
                || reseal::COLUMNS
                    .iter()
                    .any(|column| column.name == place.column),
            "{} is not among the columns that a rotation seals anew: add it to keys::reseal::COLUMNS",
            place.column
        );
        let keys = self.current();
        let (id, key) = &keys.sealing;
        let nonce: [u8; NONCE_LEN] = random::octets();
        let mut sealed = Vec::with_capacity(HEADER + secret.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret);
        let aad = Aad::from(place.authenticated(*id));
        let (_, text) = sealed.split_at_mut(HEADER);
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, text)
            .expect("a secret is far shorter than what the cipher can take");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    pub(crate) fn unseal(
        &self,
        place: Secret<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let column = place.column;
        let id = key_of(sealed).ok_or(UnsealError::Form { column })?;
        let mut keys = self.current();
        if keys.with_id(id).is_none() {
            // A rotation in another process, or on another node, has added it.
            keys = self.reload()?;
        }
        let Some(key) = keys.with_id(id) else {
            let key = u32::from_be_bytes(id.0);
            return Err(UnsealError::UnknownKey { column, key });
        };
        let nonce = Nonce::try_assume_unique_for_key(&sealed[5..HEADER])
            .map_err(|_unspecified| UnsealError::Form { column })?;
        let mut text = Zeroizing::new(sealed[HEADER..].to_vec());
        let length = key
            .open_in_place(nonce, Aad::from(place.authenticated(id)), &mut text)
            .map_err(|_unspecified| UnsealError::Forged { column })?
            .len();
        text.truncate(length);
        Ok(text)
    }

    /// Whether a value is sealed with the newest key.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        key_of(sealed) == Some(self.current().sealing.0)
    }

    /// Reads the key file again.
    pub(super) fn reload(&self) -> Result<Arc<Keys>, KeyFileError> {
        let keys = Arc::new(Keys::read(&self.path)?);
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::clone(&keys);
        Ok(keys)
    }

    fn current(&self) -> Arc<Keys> {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Secret<'_> {
    /// Neither a column nor an id contains the octet between them.
    fn authenticated(self, key: KeyId) -> Vec<u8> {
        let mut octets = vec![VERSION];
        octets.extend_from_slice(&key.0);
        octets.extend_from_slice(self.column.as_bytes());
        octets.push(0);
        octets.extend_from_slice(self.row.as_bytes());
        octets
    }
}

impl Keys {
    fn read(path: &Path) -> Result<Self, KeyFileError> {
        let mut keys = key_file::read(path)?.into_iter().map(cipher);
        let empty = || KeyFileError::Empty {
            path: path.to_owned(),
        };
        Ok(Self {
            sealing: keys.next().ok_or_else(empty)?,
            older: keys.collect(),
        })
    }

    fn with_id(&self, id: KeyId) -> Option<&LessSafeKey> {
        std::iter::once(&self.sealing)
            .chain(&self.older)
            .find_map(|(known, key)| (*known == id).then_some(key))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn cipher(raw: RawKey) -> (KeyId, LessSafeKey) {
    let key = UnboundKey::new(&AES_256_GCM, &*raw.octets)
        .expect("a key of AES-256 has 32 octets, and so has this one");
    (raw.id, LessSafeKey::new(key))
}

fn key_of(sealed: &[u8]) -> Option<KeyId> {
    if sealed.len() < HEADER + TAG || sealed[0] != VERSION {
        return None;
    }
    let id: [u8; 4] = sealed[1..5].try_into().ok()?;
    Some(KeyId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMN: &str = "authority.key";

    fn place(row: &str) -> Secret<'_> {
        Secret {
            column: COLUMN,
            row,
        }
    }

    fn sealer(folder: &tempfile::TempDir) -> Sealer {
        let path = folder.path().join("keys");
        key_file::create(&path).unwrap();
        Sealer::open(&path).unwrap()
    }

    #[test]
    fn g2_a_secret_opens_in_its_own_row_only() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = sealer(&folder);
        let sealed = sealer.seal(place("a"), b"hidden");
        assert!(!sealed.windows(6).any(|part| part == b"hidden"));
        assert_eq!(
            sealer.unseal(place("a"), &sealed).unwrap().as_slice(),
            b"hidden"
        );
        let moved = sealer.unseal(place("b"), &sealed);
        assert!(matches!(moved, Err(UnsealError::Forged { .. })));
        let column = "token_key.key";
        let elsewhere = sealer.unseal(Secret { column, row: "a" }, &sealed);
        assert!(matches!(elsewhere, Err(UnsealError::Forged { .. })));
        assert_ne!(sealer.seal(place("a"), b"hidden"), sealed, "nonces differ");
    }

    #[test]
    fn g2_no_changed_octet_and_no_cut_goes_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = sealer(&folder);
        let sealed = sealer.seal(place("a"), b"hidden");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.unseal(place("a"), &changed).is_err(), "octet {at}");
            assert!(
                sealer.unseal(place("a"), &sealed[..at]).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn g2_what_was_sealed_before_a_rotation_opens_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let running = sealer(&folder);
        let old = running.seal(place("a"), b"hidden");
        key_file::add_key(&running.path()).unwrap();
        let rotated = Sealer::open(&running.path()).unwrap();
        assert!(!rotated.is_current(&old));
        let new = rotated.seal(place("a"), &rotated.unseal(place("a"), &old).unwrap());
        assert!(rotated.is_current(&new));
        // The core that runs since before the rotation reads the file again by itself.
        assert_eq!(
            running.unseal(place("a"), &new).unwrap().as_slice(),
            b"hidden"
        );
        key_file::drop_old_keys(&running.path()).unwrap();
        let later = Sealer::open(&running.path()).unwrap();
        assert!(matches!(
            later.unseal(place("a"), &old),
            Err(UnsealError::UnknownKey { .. })
        ));
    }

    #[test]
    fn g2_a_sealer_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = sealer(&folder);
        let shown = format!("{sealer:?} {:?}", sealer.current());
        let file = std::fs::read_to_string(sealer.path()).unwrap();
        let secret = file.lines().last().unwrap().split(' ').nth(1).unwrap();
        assert!(!shown.contains(secret));
    }
}
