//! The running program, its orders, and a gateway's end of its line on the real clock.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use legacy_protocols::command::{Answer, Command};
use legacy_protocols::event::Event;
use legacy_protocols::number::Node;
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{self, AskId, Input, LinkState, Opening, Output, Port, Protocol};
use tempfile::TempDir;

/// Longer than anything here takes; turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub(crate) enum Way {
    Unix,
    Serial,
}

/// `antiphon-site` with the site that is built in, its line moved to where no port is needed.
pub(crate) struct Program {
    folder: TempDir,
    way: Way,
    child: Child,
}

impl Program {
    pub(crate) fn start(way: Way) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let line = folder.path().join("line");
        let place = match way {
            Way::Unix => format!("unix = {line:?}"),
            Way::Serial => format!("serial = \"pty:{}\"", line.display()),
        };
        let site = simulator::program::DEMO.replace("listen = \"127.0.0.1:18480\"", &place);
        std::fs::write(folder.path().join("site.toml"), site).expect("room for a file");
        speech(&folder.path().join("speech.wav"));
        let child = Process::new(env!("CARGO_BIN_EXE_antiphon-site"))
            .args(["site.toml", "--no-page", "--control", "control"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut program = Self { folder, way, child };
        let said = BufReader::new(program.child.stdout.take().expect("its output"));
        let mut lines = said.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "it did not become ready");
        program
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn orders(&self) -> Orders {
        let stream = UnixStream::connect(self.path("control")).expect("it takes orders");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        Orders(BufReader::new(stream))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two seconds of something that is never twice the same.
fn speech(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).expect("a file");
    let mut noise: u32 = 1;
    for _ in 0..16_000 * 5 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        file.write_sample((noise >> 18) as i16)
            .expect("room for a sample");
    }
    file.finalize().expect("a whole file");
}

pub(crate) struct Orders(BufReader<UnixStream>);

impl Orders {
    pub(crate) fn order(&mut self, order: &str) -> Result<String, String> {
        writeln!(self.0.get_mut(), "{order}").expect("it takes orders");
        let mut said = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("it answers");
            let line = line.trim_end();
            if line == "ok" {
                return Ok(said);
            }
            if let Some(error) = line.strip_prefix("error: ") {
                return Err(error.to_owned());
            }
            said.push_str(line.trim_start());
            said.push('\n');
        }
    }

    pub(crate) fn ok(&mut self, order: &str) {
        self.order(order)
            .unwrap_or_else(|error| panic!("{order}: {error}"));
    }

    pub(crate) fn try_ok(&mut self, order: &str) -> bool {
        self.order(order).is_ok()
    }
}

/// A gateway's port, read by a thread and driven by the test.
pub(crate) struct Gateway {
    port: Port,
    place: PathBuf,
    way: Way,
    write: Box<dyn Write>,
    read: mpsc::Receiver<Vec<u8>>,
    asks: Vec<(Option<AskId>, Command)>,
    answering: Option<AskId>,
    events: Vec<Event>,
}

impl Gateway {
    pub(crate) fn connect(program: &Program) -> Self {
        let now = Instant::now();
        let config = match program.way {
            Way::Unix => open_link::Config::tcp,
            Way::Serial => open_link::Config::serial,
        };
        let config = config(Role::Gateway, Node(2), Node(1), "test");
        let session = Protocol::OpenLink(Box::new(open_link::Session::new(config, now)));
        // The test opens it, and what it opens stays open.
        let settings = port::Config {
            opening: Opening::Theirs,
            ..port::Config::default()
        };
        let place = program.path("line");
        let (write, read) = open(&place, program.way);
        let mut gateway = Self {
            port: Port::new(settings, session, 1, now),
            place,
            way: program.way,
            write,
            read,
            asks: Vec::new(),
            answering: None,
            events: Vec::new(),
        };
        gateway.give(Input::Opened);
        gateway
    }

    pub(crate) fn until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.port.link(), LinkState::Up(_)) {
            assert!(Instant::now() < deadline, "the line did not come up");
            self.pump();
        }
    }

    /// The transport was lost and is opened anew.
    pub(crate) fn closed(&mut self) {
        self.give(Input::Closed);
        (self.write, self.read) = open(&self.place, self.way);
        self.give(Input::Opened);
    }

    /// The first thing that was asked and is wanted.
    pub(crate) fn asked<T>(&mut self, wanted: impl Fn(Command) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (ask, command) in std::mem::take(&mut self.asks) {
                if let Some(found) = wanted(command) {
                    self.answering = ask;
                    return found;
                }
            }
            assert!(Instant::now() < deadline, "it was not asked");
            self.pump();
        }
    }

    pub(crate) fn answer(&mut self, answer: impl Into<Answer>) {
        let ask = self.answering.take().expect("something was asked");
        let answer = answer.into();
        self.give(Input::Answer { ask, answer });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.give(Input::Tell(event));
    }

    pub(crate) fn event(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.pump_until(|gateway| gateway.events.iter().any(&wanted));
    }

    pub(crate) fn pump_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "it did not happen");
            self.pump();
        }
    }

    fn give(&mut self, input: Input<'_>) {
        self.port.handle(input, Instant::now());
        self.drain();
    }

    /// Takes what comes within a moment.
    fn pump(&mut self) {
        match self.read.recv_timeout(Duration::from_millis(20)) {
            Ok(octets) => self.give(Input::Received(&octets)),
            Err(_) => self.port.handle_timeout(Instant::now()),
        }
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.port.poll_output() {
                Output::Send(octets) => {
                    // A cable that is cut takes nothing.
                    let _ = self.write.write_all(&octets);
                }
                Output::Asked {
                    ask: Some(ask),
                    command: Command::Snapshot,
                    ..
                } => {
                    let answer = legacy_protocols::command::Verdict::Done.into();
                    self.port
                        .handle(Input::Answer { ask, answer }, Instant::now());
                }
                Output::Asked { ask, command, .. } => self.asks.push((ask, command)),
                Output::Happened { event, .. } => self.events.push(event),
                Output::Open
                | Output::Close { .. }
                | Output::Link(_)
                | Output::Picture(_)
                | Output::Done { .. } => {}
                Output::Timeout(_) => return,
            }
        }
    }
}

fn open(place: &Path, way: Way) -> (Box<dyn Write>, mpsc::Receiver<Vec<u8>>) {
    let (told, read) = mpsc::channel();
    let mut from: Box<dyn Read + Send>;
    let to: Box<dyn Write>;
    match way {
        Way::Unix => {
            let stream = UnixStream::connect(place).expect("the line is there");
            (from, to) = (
                Box::new(stream.try_clone().expect("a second handle")),
                Box::new(stream),
            );
        }
        Way::Serial => {
            let file = File::options().read(true).write(true).open(place);
            let file = file.expect("the line is there");
            (from, to) = (
                Box::new(file.try_clone().expect("a second handle")),
                Box::new(file),
            );
        }
    }
    std::thread::spawn(move || {
        let mut octets = [0; 4096];
        loop {
            match from.read(&mut octets) {
                Ok(0) => return,
                Ok(count) if told.send(octets[..count].to_vec()).is_ok() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    });
    (to, read)
}
