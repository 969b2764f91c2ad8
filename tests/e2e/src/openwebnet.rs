//! An OpenWebNet server that asks for no password, and OWNd, a client of such servers.
//!
//! The server is a bus and nothing else: what comes on a connection for commands is acknowledged and
//! told on all connections for events. It has no lights and no doors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::{Program, network, wait};

const ACK: &[u8] = b"*#*1##";
const NACK: &[u8] = b"*#*0##";
/// The longest frame.
const LONGEST: u64 = 256;

#[derive(Debug)]
pub struct OpenWebNetServer {
    bus: Arc<Mutex<Bus>>,
}

#[derive(Debug, Default)]
struct Bus {
    /// Connections for events.
    listeners: Vec<TcpStream>,
    /// How many connections for commands there were.
    commanders: usize,
}

impl OpenWebNetServer {
    /// Listens until the test is over.
    pub fn start(address: SocketAddr) -> Result<Self> {
        let listener = network::at(address.ip(), move || TcpListener::bind(address))?;
        let listener = listener.context("the port of the OpenWebNet server")?;
        let bus = Arc::new(Mutex::new(Bus::default()));
        let of_server = Arc::clone(&bus);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let bus = Arc::clone(&of_server);
                // A connection that breaks is over, as at a real one.
                std::thread::spawn(move || serve(&bus, &stream).ok());
            }
        });
        Ok(Self { bus })
    }

    /// Waits until so many have opened a connection for events and one for commands.
    pub fn wait_for_clients(&self, count: usize) -> Result<()> {
        wait::until_true("clients of the OpenWebNet server", || {
            let bus = lock(&self.bus);
            Ok(bus.listeners.len() == count && bus.commanders == count)
        })
    }
}

fn lock(bus: &Mutex<Bus>) -> MutexGuard<'_, Bus> {
    bus.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(bus: &Mutex<Bus>, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    stream.write_all(ACK)?;
    match frame(&mut reader)?.as_str() {
        "*99*0##" => lock(bus).commanders += 1,
        "*99*1##" => {
            let mut bus = lock(bus);
            stream.write_all(ACK)?;
            bus.listeners.push(stream.try_clone()?);
            return Ok(());
        }
        _ => return stream.write_all(NACK),
    }
    stream.write_all(ACK)?;
    loop {
        let told = frame(&mut reader)?;
        for mut listener in &lock(bus).listeners {
            listener.write_all(told.as_bytes())?;
        }
        stream.write_all(ACK)?;
    }
}

/// From `*` to `##`.
fn frame(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut frame = Vec::new();
    while !frame.ends_with(b"##") {
        let read = reader.take(LONGEST).read_until(b'#', &mut frame)?;
        if read == 0 || frame.len() as u64 > LONGEST {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    String::from_utf8(frame).map_err(std::io::Error::other)
}

/// `clients/openwebnet_client.py`, which `scripts/setup.sh test` installs OWNd for.
#[derive(Debug)]
pub struct Ownd {
    program: Program,
}

impl Ownd {
    /// Why it is not there; `None` when it is.
    pub fn missing() -> Option<String> {
        (!python().exists()).then(|| "scripts/setup.sh test was not run".to_owned())
    }

    /// Starts it with a session for events and one for commands, at one server.
    pub fn start(at: IpAddr, server: SocketAddr) -> Result<Self> {
        Self::start_at_two(at, server, server.port())
    }

    /// The same, where commands are taken at another port.
    pub fn start_at_two(at: IpAddr, server: SocketAddr, commands: u16) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/openwebnet_client.py");
        let mut command = Command::new(python());
        command.arg(script).arg(server.ip().to_string());
        command.args([server.port(), commands].map(|port| port.to_string()));
        let program = Program::start_listening("OWNd", at, &command)?;
        for session in ["events", "commands"] {
            let became = program.wait_for(&format!("session {session} "))?;
            ensure!(became.contains("'Success': True"), "{became}");
        }
        Ok(Self { program })
    }

    /// What its session for events makes of this frame, once it comes.
    pub fn heard(&self, frame: &str) -> Result<String> {
        self.word(0, &format!("heard {frame} "))
    }

    /// What it makes of this frame.
    pub fn reads(&mut self, frame: &str) -> Result<String> {
        let mark = self.program.mark();
        self.program.say(&format!("read {frame}"))?;
        self.word(mark, &format!("read {frame} "))
    }

    /// Has it send a frame, or a command that it makes itself (`light_on 12`), and be told that
    /// the server took it; the frame.
    pub fn sends(&mut self, order: &str) -> Result<String> {
        let mark = self.program.mark();
        self.program.say(order)?;
        let made = self.word(mark, "made ")?;
        let (frame, understood) = made.split_once(' ').context("a frame and its meaning")?;
        ensure!(understood != "invalid", "OWNd does not know {frame}");
        let taken = format!("Message `{frame}` was successfully sent.");
        self.program.wait_after(mark, &taken)?;
        Ok(frame.to_owned())
    }

    /// Has it send a frame, and be told that the server does not take it.
    pub fn sends_in_vain(&mut self, order: &str) -> Result<()> {
        let mark = self.program.mark();
        self.program.say(order)?;
        self.program.wait_after(mark, "No more retries.").map(drop)
    }

    fn word(&self, mark: usize, head: &str) -> Result<String> {
        let line = |line: &str| line.strip_prefix(head).map(str::to_owned);
        self.program.wait_where(mark, head, line)
    }
}

fn python() -> PathBuf {
    let state = std::env::var_os("ANTIPHON_STATE").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    state.unwrap_or(root).join("openwebnet-client/bin/python")
}
