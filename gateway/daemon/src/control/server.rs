//! The control socket: reads requests, hands them to the main loop, writes what it answers.
//!
//! Runs beside the main loop and knows no calls. Invariants: a line is bounded, so are connections;
//! the main loop is never waited on without a limit and never waits for a reader here.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::link::{self, answers};

use super::protocol::{LONGEST_REQUEST, Refusal, RefusalCode, Reply, Request};

const CONNECTIONS: usize = 32;
/// For the main loop to answer, and for a client to take what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The link may have to wait for the core.
const LINK_PATIENCE: Duration = Duration::from_secs(80);

/// For answers that the main loop gave at its end.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// The shortest time between two pictures of a watched gateway.
const PICTURE: Duration = Duration::from_millis(100);

/// A request on its way to the main loop.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Reply>,
}

/// The ends that the server holds of the main loop's channels.
#[derive(Clone, Debug)]
pub(crate) struct ToMainLoop {
    pub(crate) inbox: mpsc::Sender<Asked>,
    /// Says that calls have changed, without saying how.
    pub(crate) changes: broadcast::Sender<()>,
    /// The link answers for itself; calls are not held up by it.
    pub(crate) link: mpsc::Sender<link::Asked>,
}

/// The bound socket; its file is removed when dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: std::os::unix::net::UnixListener,
    file: SocketFile,
}

/// The socket as the server's runtime has it.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: UnixListener,
    _file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error(
        "another gateway answers on {}; stop it, or give this one a `control_socket` of its own",
        .0.display()
    )]
    Answered(PathBuf),
    #[error(
        "the control socket {} cannot be made: {source}; create its folder, make the user of the \
         gateway its owner, or set `control_socket` to another path", .path.display()
    )]
    Io { path: PathBuf, source: io::Error },
}

impl ControlSocket {
    /// Binds the socket; one left over by a killed gateway is replaced, a living one is not.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        let io = |source| BindError::Io {
            path: path.to_owned(),
            source,
        };
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(BindError::Answered(path.to_owned()));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(io)?;
        let file = SocketFile(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        Ok(Self { listener, file })
    }

    /// Hands the socket to the runtime that this is called in.
    pub(crate) fn listen(self) -> io::Result<Listening> {
        Ok(Listening {
            listener: UnixListener::from_std(self.listener)?,
            _file: self.file,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Serves until cancelled; then whoever was promised an answer still gets it.
pub(crate) async fn serve(socket: Listening, to: ToMainLoop, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut conversations = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            // A client that goes away is its own affair.
            Some(_) = conversations.join_next() => continue,
            accepted = socket.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a control connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let place = Arc::clone(&places).try_acquire_owned();
        let (to, stop) = (to.clone(), stop.clone());
        conversations.spawn(async move {
            match place {
                Ok(_place) => converse(stream, &to, &stop).await,
                Err(_) => send(&mut stream.into_split().1, &busy()).await,
            }
        });
    }
    let rest = async { while conversations.join_next().await.is_some() {} };
    // The others are cut off.
    let _ = tokio::time::timeout(LAST_ANSWERS, rest).await;
}

async fn converse(stream: UnixStream, to: &ToMainLoop, stop: &CancellationToken) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let line = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            line = next_line(&mut lines) => line?,
        };
        let Some(line) = line else { return Ok(()) };
        match serde_json::from_slice(&line) {
            Ok(Request::Watch) => {
                return tokio::select! {
                    () = stop.cancelled() => Ok(()),
                    watched = watch(&mut lines, &mut write, to) => watched,
                };
            }
            Ok(request) => {
                let reply = match link_ask(&request) {
                    Some(Ok(wish)) => ask_link(to, wish).await,
                    Some(Err(refusal)) => refusal,
                    None => ask(to, request).await,
                };
                send(&mut write, &reply).await?;
            }
            Err(error) => send(&mut write, &not_understood(&error)).await?,
        }
    }
}

/// The next line without its end; nothing when the client has closed or the line is too long.
async fn next_line(lines: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = LONGEST_REQUEST as u64 + 1;
    lines.take(limit).read_until(b'\n', &mut line).await?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// Sends the calls now and after each change. Changes that come faster than the client reads are
/// taken together: it sees the latest state, not each step.
async fn watch(
    lines: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    to: &ToMainLoop,
) -> io::Result<()> {
    let mut changes = to.changes.subscribe();
    loop {
        send(write, &ask(to, Request::Calls).await).await?;
        // A person reads this; a burst of changes is one picture.
        tokio::time::sleep(PICTURE).await;
        tokio::select! {
            changed = changes.recv() => match changed {
                Ok(()) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    changes = changes.resubscribe();
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            // Anything the client says now, its end included, ends the watching.
            _ = lines.fill_buf() => return Ok(()),
        }
    }
}

async fn ask(to: &ToMainLoop, request: Request) -> Reply {
    let (answer, answered) = oneshot::channel();
    if to.inbox.try_send(Asked { request, answer }).is_err() {
        return busy();
    }
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => refusal(
            RefusalCode::Busy,
            "the gateway is ending",
            "ask again when it has been started",
        ),
        Err(_) => refusal(
            RefusalCode::Busy,
            "the gateway does not answer",
            "look into its log; if it stays so, restart it",
        ),
    }
}

/// What is asked of the link; nothing if it is asked of the main loop.
fn link_ask(request: &Request) -> Option<Result<link::Ask, Reply>> {
    Some(Ok(match request {
        Request::Link => link::Ask::Link,
        Request::Unclaim => link::Ask::Unclaim,
        Request::Reach { core, line } => link::Ask::Reach {
            core: core.clone(),
            line: *line,
        },
        Request::Claim { code, core } => match code.parse() {
            Ok(code) => link::Ask::Claim {
                code,
                core: core.clone(),
            },
            Err(error) => {
                let text = format!("this is no claim code: {error}");
                let remedy = "compare it with the label";
                return Some(Err(refusal(RefusalCode::BadRequest, &text, remedy)));
            }
        },
        _ => return None,
    }))
}

async fn ask_link(to: &ToMainLoop, ask: link::Ask) -> Reply {
    let (reply, answered) = oneshot::channel();
    if to.link.try_send(link::Asked { ask, reply }).is_err() {
        return answers::no_answer();
    }
    match tokio::time::timeout(LINK_PATIENCE, answered).await {
        Ok(Ok(told)) => answers::reply(told),
        Ok(Err(_)) | Err(_) => answers::no_answer(),
    }
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply).map_err(io::Error::other)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, write.write_all(&line))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn busy() -> Reply {
    refusal(
        RefusalCode::Busy,
        "too many requests at once",
        "try again in a moment",
    )
}

fn not_understood(error: &serde_json::Error) -> Reply {
    refusal(
        RefusalCode::BadRequest,
        &format!("the request is not understood: {error}"),
        "use the command line of the same version as the gateway",
    )
}

fn refusal(code: RefusalCode, text: &str, remedy: &str) -> Reply {
    Reply::Error(Refusal {
        code,
        text: text.to_owned(),
        remedy: remedy.to_owned(),
    })
}
