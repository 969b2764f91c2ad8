//! The asking end of the control socket, for the command line.
//!
//! Plain blocking calls: a command asks, prints and ends. Invariant: every failure says what to do.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Refusal, Reply, Request};

/// Longer than the gateway itself waits for its main loop.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why the running gateway could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(
        "no gateway is running at {}: start it with `antiphon-gateway serve --config FILE`, or name \
         its socket with --socket", .0.display()
    )]
    NotRunning(PathBuf),
    #[error(
        "the control socket {} may not be opened by this user: join the group that owns it, or use \
         sudo", .0.display()
    )]
    NotPermitted(PathBuf),
    #[error("the gateway at {} broke off: {source}; look into its log", .path.display())]
    Broken { path: PathBuf, source: io::Error },
    #[error("{}: {}", .0.text, .0.remedy)]
    Refused(Refusal),
}

/// A connection to the running gateway.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    pub(crate) fn connect(path: &Path) -> Result<Self, AskError> {
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                AskError::NotRunning(path.to_owned())
            }
            io::ErrorKind::PermissionDenied => AskError::NotPermitted(path.to_owned()),
            _ => AskError::Broken {
                path: path.to_owned(),
                source,
            },
        })?;
        let client = Self {
            stream: BufReader::new(stream),
            path: path.to_owned(),
        };
        client.wait(Some(PATIENCE))?;
        Ok(client)
    }

    /// Asks once.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Reply, AskError> {
        self.send(request)?;
        self.next()
    }

    /// Starts watching; `next` then answers after each change, however long that takes.
    pub(crate) fn watch(&mut self) -> Result<(), AskError> {
        self.send(&Request::Watch)?;
        self.wait(None)
    }

    /// How long the next answers may take.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<(), AskError> {
        self.wait(Some(patience))
    }

    pub(crate) fn next(&mut self) -> Result<Reply, AskError> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => match serde_json::from_str(&line) {
                Ok(Reply::Error(refusal)) => Err(AskError::Refused(refusal)),
                Ok(reply) => Ok(reply),
                Err(error) => Err(self.broken(error.into())),
            },
            Err(error) => Err(self.broken(error)),
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), AskError> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.broken(error.into()))?;
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        sent.map_err(|error| self.broken(error))
    }

    fn wait(&self, patience: Option<Duration>) -> Result<(), AskError> {
        let set = self.stream.get_ref().set_read_timeout(patience);
        set.map_err(|error| self.broken(error))
    }

    fn broken(&self, source: io::Error) -> AskError {
        AskError::Broken {
            path: self.path.clone(),
            source,
        }
    }
}
