//! The file with the keys that seal secrets at rest.
//!
//! One key a line: its id in hexadecimal, its 32 octets in base 64. The first line seals, all lines
//! open. Nobody but its owner may read the file. It is made once by `init`, grows by a rotation, and
//! is no part of a backup: a stolen backup tells no secret, a lost key file loses them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::random;

const MOST_KEYS: usize = 16;
const MOST_OCTETS: u64 = 8 * 1024;
const HEADING: &str = "# Keys that seal the secrets of antiphon-cloud. The first one seals, all open.\n\
                       # Keep a copy, apart from the backups: without it their secrets are lost.\n";

/// Names a key without telling it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeyId(pub(super) [u8; 4]);

pub(super) struct RawKey {
    pub(super) id: KeyId,
    pub(super) octets: Zeroizing<[u8; 32]>,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("there is no key file {}: `antiphon-cloud init` makes one, or bring back the copy you kept", path.display())]
    Missing { path: PathBuf },
    #[error("others can read the key file {}: `chmod 600` it", path.display())]
    Readable { path: PathBuf },
    #[error("line {line} of the key file {} is not a key: bring back the copy you kept", path.display())]
    Content { path: PathBuf, line: usize },
    #[error("the key file {} holds no key: bring back the copy you kept", path.display())]
    Empty { path: PathBuf },
    #[error("the key file {} holds {MOST_KEYS} keys already: drop the old ones first", path.display())]
    Full { path: PathBuf },
    #[error("the key file {} exists already and is left as it is", path.display())]
    Exists { path: PathBuf },
    #[error("the key file {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Makes a file with one new key. Never overwrites one.
pub(crate) fn create(path: &Path) -> Result<(), KeyFileError> {
    let exists = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists {
            path: path.to_owned(),
        },
        _ => io_error(path)(error),
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(exists)?;
    write(file, &[new_key()]).map_err(io_error(path))
}

/// Puts a new key before the others.
pub(super) fn add_key(path: &Path) -> Result<(), KeyFileError> {
    let mut keys = read(path)?;
    if keys.len() >= MOST_KEYS {
        return Err(KeyFileError::Full {
            path: path.to_owned(),
        });
    }
    keys.insert(0, new_key());
    replace(path, &keys)
}

/// Keeps the first key only.
pub(super) fn drop_old_keys(path: &Path) -> Result<usize, KeyFileError> {
    let mut keys = read(path)?;
    let dropped = keys.len() - 1;
    keys.truncate(1);
    replace(path, &keys)?;
    Ok(dropped)
}

/// At least one key, the one that seals first.
pub(super) fn read(path: &Path) -> Result<Vec<RawKey>, KeyFileError> {
    let facts = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing {
            path: path.to_owned(),
        },
        _ => io_error(path)(error),
    })?;
    if facts.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Readable {
            path: path.to_owned(),
        });
    }
    let content = |line| KeyFileError::Content {
        path: path.to_owned(),
        line,
    };
    if facts.len() > MOST_OCTETS {
        return Err(content(1));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io_error(path))?);
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = read_line(line).filter(|_| keys.len() < MOST_KEYS);
        keys.push(key.ok_or_else(|| content(index + 1))?);
    }
    if keys.is_empty() {
        return Err(KeyFileError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(keys)
}

fn read_line(line: &str) -> Option<RawKey> {
    let (id, octets) = line.split_once(' ')?;
    let id = u32::from_str_radix(id, 16).ok().filter(|_| id.len() == 8)?;
    let read = Zeroizing::new(STANDARD.decode(octets).ok()?);
    let mut octets = Zeroizing::new([0; 32]);
    if read.len() != octets.len() {
        return None;
    }
    octets.copy_from_slice(&read);
    let id = KeyId(id.to_be_bytes());
    Some(RawKey { id, octets })
}

fn new_key() -> RawKey {
    RawKey {
        id: KeyId(random::octets()),
        octets: Zeroizing::new(random::octets()),
    }
}

/// Either the old file or the new one is there, never a half.
fn replace(path: &Path, keys: &[RawKey]) -> Result<(), KeyFileError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let put = || {
        // Left there by a rotation that was cut off.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        write(file, keys)?;
        fs::rename(&beside, path)?;
        match path.parent() {
            Some(folder) if folder != Path::new("") => fs::File::open(folder)?.sync_all(),
            Some(_) | None => fs::File::open(".")?.sync_all(),
        }
    };
    put().map_err(io_error(path))
}

fn write(mut file: fs::File, keys: &[RawKey]) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(256 + keys.len() * 64));
    text.push_str(HEADING);
    for key in keys {
        let octets = Zeroizing::new(STANDARD.encode(*key.octets));
        text.push_str(&format!("{:08x} ", u32::from_be_bytes(key.id.0)));
        text.push_str(&octets);
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyFileError + '_ {
    |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(path: &Path) -> Vec<KeyId> {
        read(path).unwrap().iter().map(|key| key.id).collect()
    }

    #[test]
    fn g2_a_key_file_is_for_its_owner_only_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(matches!(read(&path), Err(KeyFileError::Missing { .. })));
        create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = ids(&path);
        assert!(matches!(create(&path), Err(KeyFileError::Exists { .. })));
        assert_eq!(ids(&path), before);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Readable { .. })));
    }

    #[test]
    fn g2_a_rotation_adds_in_front_and_drops_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        create(&path).unwrap();
        let first = ids(&path)[0];
        add_key(&path).unwrap();
        let both = ids(&path);
        assert_eq!((both.len(), both[1]), (2, first));
        assert_eq!(drop_old_keys(&path).unwrap(), 1);
        assert_eq!(ids(&path), both[..1]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_not_whole_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        create(&path).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(matches!(
            read(&path),
            Err(KeyFileError::Content { line: 3, .. })
        ));
        fs::write(&path, HEADING).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Empty { .. })));
    }

    #[test]
    fn the_number_of_keys_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        create(&path).unwrap();
        for _ in 1..MOST_KEYS {
            add_key(&path).unwrap();
        }
        assert!(matches!(add_key(&path), Err(KeyFileError::Full { .. })));
    }
}
