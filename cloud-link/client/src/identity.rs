//! Who this gateway is to the core: its key, its certificate, whom it trusts, where it connects.
//!
//! One file in the state folder, readable by the gateway alone and replaced at once, so that key and
//! certificate never part. A key that a certificate was asked for lies beside it until the answer is
//! there: an answer that was lost is given again to the same key only.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use contract::DeviceName;
use contract::enrolment::Enrolment;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "link";
const FILE: &str = "identity.json";
const ASKED: &str = "asked.pem";

/// See the module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub device: String,
    pub epoch: u64,
    pub(crate) key: String,
    /// PEM: its certificate, then the authority that signed it.
    pub(crate) chain: String,
    pub(crate) trust: Vec<String>,
    pub mqtt: String,
    pub https: String,
    /// `host:port`, if the core carries calls.
    #[serde(default)]
    pub calls: Option<String>,
    /// Epoch milliseconds.
    pub renew_after: i64,
    pub expires: i64,
}

/// What is kept cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{} cannot be used: {source}; check the disk and the owner of the state folder", .file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{} is damaged: {said}; claim the gateway again", .file.display())]
    Damaged { file: PathBuf, said: String },
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Identity({}, epoch {})", self.device, self.epoch)
    }
}

impl Identity {
    pub(crate) fn of(enrolment: Enrolment, key: String) -> Self {
        Self {
            device: enrolment.device,
            epoch: enrolment.epoch,
            key,
            chain: enrolment.chain,
            trust: enrolment.trust,
            mqtt: enrolment.mqtt,
            https: enrolment.https,
            calls: enrolment.calls,
            renew_after: enrolment.renew_after,
            expires: enrolment.expires,
        }
    }

    /// As topics name it.
    pub fn name(&self) -> Result<DeviceName, contract::device::NotADeviceName> {
        self.device.parse()
    }

    /// Names whatever is kept for the core of this claim: of another one it is void.
    pub fn owner(&self) -> String {
        format!("{}/{}", self.device, self.epoch)
    }
}

/// Where an identity lies.
#[derive(Clone, Debug)]
pub struct Keep {
    folder: PathBuf,
}

impl Keep {
    pub fn in_state(state_folder: &Path) -> Self {
        Self {
            folder: state_folder.join(FOLDER),
        }
    }

    /// None: this gateway was never claimed, or was released.
    pub fn load(&self) -> Result<Option<Identity>, KeepError> {
        let file = self.folder.join(FILE);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeepError::Io { file, source }),
        };
        let identity: Identity =
            serde_json::from_slice(&text).map_err(|error| KeepError::Damaged {
                file: file.clone(),
                said: error.to_string(),
            })?;
        match identity.name() {
            Ok(_) => Ok(Some(identity)),
            Err(error) => Err(KeepError::Damaged {
                file,
                said: error.to_string(),
            }),
        }
    }

    pub(crate) fn save(&self, identity: &Identity) -> Result<(), KeepError> {
        let text = serde_json::to_vec(identity).expect("texts and numbers are JSON");
        self.replace(FILE, &text)?;
        self.remove(ASKED)
    }

    /// Forgets all of it: the gateway is nobody's any more.
    pub fn forget(&self) -> Result<(), KeepError> {
        self.remove(FILE)?;
        self.remove(ASKED)
    }

    /// The key of the request that is under way, or a fresh one.
    pub(crate) fn asking_key(&self) -> Result<rcgen::KeyPair, KeepError> {
        let kept = std::fs::read_to_string(self.folder.join(ASKED));
        if let Ok(kept) = kept
            && let Ok(pair) = rcgen::KeyPair::from_pem(&kept)
        {
            return Ok(pair);
        }
        let pair = rcgen::KeyPair::generate().map_err(|error| KeepError::Damaged {
            file: self.folder.join(ASKED),
            said: error.to_string(),
        })?;
        self.replace(ASKED, pair.serialize_pem().as_bytes())?;
        Ok(pair)
    }

    fn replace(&self, name: &str, text: &[u8]) -> Result<(), KeepError> {
        let file = self.folder.join(name);
        let written = || {
            std::fs::create_dir_all(&self.folder)?;
            let new = self.folder.join(format!("{name}.new"));
            // A file of before would keep its own, perhaps wider, permissions.
            let _ = std::fs::remove_file(&new);
            let mut options = std::fs::OpenOptions::new();
            let mut to = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            to.write_all(text)?;
            to.sync_all()?;
            std::fs::rename(&new, &file)?;
            std::fs::File::open(&self.folder)?.sync_all()
        };
        written().map_err(|source| KeepError::Io {
            file: file.clone(),
            source,
        })
    }

    fn remove(&self, name: &str) -> Result<(), KeepError> {
        let file = self.folder.join(name);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeepError::Io { file, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn identity() -> Identity {
        Identity {
            device: "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB".to_owned(),
            epoch: 2,
            key: "secret".to_owned(),
            chain: String::new(),
            trust: Vec::new(),
            mqtt: "core.example:8883".to_owned(),
            calls: None,
            https: "https://core.example".to_owned(),
            renew_after: 1,
            expires: 2,
        }
    }

    #[test]
    fn g2_an_identity_is_kept_for_the_gateway_alone_and_forgotten_whole() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep::in_state(folder.path());
        assert_eq!(keep.load().unwrap(), None);
        let asked = keep.asking_key().unwrap().serialize_pem();
        assert_eq!(keep.asking_key().unwrap().serialize_pem(), asked);
        keep.save(&identity()).unwrap();
        assert_eq!(keep.load().unwrap(), Some(identity()));
        let file = folder.path().join("link/identity.json");
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Another request has another key.
        assert_ne!(keep.asking_key().unwrap().serialize_pem(), asked);
        keep.forget().unwrap();
        assert_eq!(keep.load().unwrap(), None);
        assert!(!format!("{:?}", identity()).contains("secret"));
    }

    #[test]
    fn a_damaged_identity_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep::in_state(folder.path());
        keep.save(&identity()).unwrap();
        std::fs::write(folder.path().join("link/identity.json"), "{}").unwrap();
        let told = keep.load().unwrap_err().to_string();
        assert!(told.contains("claim the gateway again"), "{told}");
    }
}
