//! The loop that owns the site.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use net::lines::Told;
use spans::Bearing;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::file::SiteFile;
use super::lines;
use super::view::{self, Note};
use super::{control, sound, web};
use crate::script::{self, Condition, HELP, Order};
use crate::site::{LineCommand, LineEvent, Output, Site};

/// What waits for the loop; who has more waits before it.
const INBOX: usize = 1024;
/// Notes that are kept for whoever opens the page.
const NOTES: usize = 100;
/// The page is drawn anew at most so often.
const DRAWN: Duration = Duration::from_millis(100);
/// Orders that wait for something at the same time.
const MOST_WAITS: usize = 64;

#[derive(Debug)]
pub struct Settings {
    pub site: SiteFile,
    pub seed: u64,
    /// Where orders are taken.
    pub control: Option<PathBuf>,
    /// Where the page is.
    pub page: Option<SocketAddr>,
    /// Orders come from the terminal too; its end is the site's.
    pub terminal: bool,
}

#[derive(Debug)]
pub(super) struct Ask {
    pub(super) order: String,
    pub(super) answer: Answer,
}

pub(super) type Answer = oneshot::Sender<Result<String, String>>;

/// What is told when everything is open: where.
pub async fn run(settings: Settings, ready: impl FnOnce(&[String])) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (tell, heard) = mpsc::channel(INBOX);
    let (sound, ends) = sound::start(settings.site.sound(), settings.seed).await?;
    let (told, hears) = mpsc::channel(INBOX);
    let mut handles = Vec::new();
    let mut places = Vec::new();
    for (index, entry) in (0..).zip(settings.site.lines()) {
        let handle =
            lines::Handle::start(index, entry, settings.site.sound().address, told.clone())?;
        places.push(format!("line {} at {}", entry.name, handle.place));
        handles.push(handle);
    }
    let channels: Vec<_> = handles.iter().map(lines::Handle::channels).collect();
    let plan = settings
        .site
        .plan(ends, &channels, settings.seed, Instant::now())?;
    let (drawn, drawing) = watch::channel(Arc::from(""));
    let mut house = House {
        site: Site::new(plan, Instant::now()),
        handles,
        sound: sound.clone(),
        notes: VecDeque::new(),
        noted: 0,
        waits: Vec::new(),
        drawn,
        stale: true,
        deadline: None,
        quit: false,
    };
    house.drain();
    if let Some(path) = &settings.control {
        control::listen(path, tell.clone())?;
        places.push(format!("orders at {}", path.display()));
    }
    if let Some(page) = settings.page {
        let known = house
            .site
            .stations()
            .map(|s| (s.plan.id.clone(), s.plan.party));
        let known = known.collect();
        let at = web::listen(page, web::Shared::new(tell.clone(), sound, drawing, known)).await?;
        places.push(format!("page at http://{at}/"));
    }
    if settings.terminal {
        let tell = tell.clone();
        tokio::spawn(async move {
            let ended = control::converse(tokio::io::stdin(), tokio::io::stdout(), tell.clone());
            // The end of the terminal is the end of the site, however it came.
            let _ = ended.await;
            let _ = control::ask(&tell, "quit".to_owned()).await;
        });
    }
    ready(&places);
    tokio::select! {
        () = house.live(heard, hears) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

struct House {
    site: Site,
    handles: Vec<lines::Handle>,
    sound: sound::Handle,
    notes: VecDeque<Note>,
    noted: u64,
    waits: Vec<Wait>,
    drawn: watch::Sender<Arc<str>>,
    /// The page shows something older than the site is.
    stale: bool,
    deadline: Option<Instant>,
    quit: bool,
}

struct Wait {
    wanted: Condition,
    until: Instant,
    answer: Answer,
}

impl House {
    async fn live(&mut self, mut heard: mpsc::Receiver<Ask>, mut told: mpsc::Receiver<Told>) {
        let mut draw = tokio::time::interval(DRAWN);
        while !self.quit {
            let waits = self.waits.iter().map(|wait| wait.until);
            let next = self.deadline.into_iter().chain(waits).min();
            let next = next.map(tokio::time::Instant::from_std);
            tokio::select! {
                Some(told) = told.recv() => self.told(&told),
                Some(ask) = heard.recv() => self.order(ask),
                () = sleep_until(next) => self.site.handle_timeout(Instant::now()),
                _ = draw.tick() => {
                    self.draw();
                    continue;
                }
            }
            self.drain();
            self.check_waits();
        }
    }

    fn told(&mut self, told: &Told) {
        let line = usize::from(told.line.0);
        let event = self
            .handles
            .get_mut(line)
            .and_then(|handle| handle.hear(told));
        if let Some(event) = event {
            self.site.line(line, event, Instant::now());
        }
    }

    fn drain(&mut self) {
        loop {
            match self.site.poll_output() {
                Output::Line { line, command } => self.command(line, command),
                Output::LineState { .. } => {}
                Output::Circuit(circuit) => self.sound.order(sound::Order::Wire(circuit)),
                Output::Stream { end, to } => {
                    self.sound.order(sound::Order::Stream { end, to });
                }
                Output::Note(text) => self.note(text),
                Output::Timeout(at) => {
                    self.deadline = at;
                    break;
                }
            }
        }
        self.stale = true;
    }

    fn command(&mut self, line: usize, command: LineCommand) {
        let Some(handle) = self.handles.get_mut(line) else {
            return;
        };
        match command {
            LineCommand::Open => {
                if !handle.open() {
                    self.site.line(line, LineEvent::Closed, Instant::now());
                }
            }
            LineCommand::Send(octets) => handle.send(octets),
            LineCommand::Join { channel, ours } => handle.bear(Bearing::Join { channel, ours }),
            LineCommand::Leave { channel } => handle.bear(Bearing::Leave { channel }),
            LineCommand::Close { why } => {
                handle.close();
                self.note(format!("line given up: {why}"));
            }
        }
    }

    fn note(&mut self, text: String) {
        if self.notes.len() >= NOTES {
            self.notes.pop_front();
        }
        self.noted += 1;
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        self.notes.push_back(Note {
            number: self.noted,
            at: at.map_or(0, |at| at.as_millis() as u64),
            text,
        });
    }

    fn order(&mut self, ask: Ask) {
        let answer = match script::parse(&ask.order, &self.site) {
            Ok(None) => Ok(String::new()),
            Err(error) => Err(error.to_string()),
            Ok(Some(Order::Wait { wanted, within })) => {
                if self.waits.len() < MOST_WAITS {
                    self.waits.push(Wait {
                        wanted,
                        until: Instant::now() + within,
                        answer: ask.answer,
                    });
                    return;
                }
                Err("too many wait already".to_owned())
            }
            Ok(Some(Order::Play { station, file })) => {
                return self.file(ask.answer, |done| sound::Order::Play {
                    station,
                    file,
                    done,
                });
            }
            Ok(Some(Order::Record { station, file })) => {
                return self.file(ask.answer, |done| sound::Order::Record {
                    station,
                    file,
                    done,
                });
            }
            Ok(Some(Order::Act(act))) => {
                let done = self.site.act(&act, Instant::now());
                done.map(|()| String::new()).map_err(|why| why.to_string())
            }
            Ok(Some(Order::Line { line, what })) => {
                let handle = self.handles.get_mut(line);
                if handle.is_some_and(|handle| handle.hand(what)) {
                    self.site.line(line, LineEvent::Closed, Instant::now());
                }
                Ok(String::new())
            }
            Ok(Some(Order::Keep(keeps))) => {
                self.site.set_keeps(keeps);
                Ok(String::new())
            }
            Ok(Some(Order::Status)) => {
                let levels = self.sound.levels();
                Ok(view::text(&self.site, &self.handles, &levels))
            }
            Ok(Some(Order::Help)) => Ok(HELP.to_owned()),
            Ok(Some(Order::Quit)) => {
                self.quit = true;
                Ok(String::new())
            }
        };
        // Who asked may have gone.
        let _ = ask.answer.send(answer);
    }

    /// The sound says how it went, and the loop does not wait for it.
    fn file(&self, answer: Answer, order: impl FnOnce(sound::Reply) -> sound::Order) {
        let (done, finished) = oneshot::channel();
        self.sound.order(order(done));
        tokio::spawn(async move {
            let said = match finished.await {
                Ok(Ok(())) => Ok(String::new()),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err("there is no sound any more".to_owned()),
            };
            let _ = answer.send(said);
        });
    }

    fn check_waits(&mut self) {
        let now = Instant::now();
        let (site, handles, sound) = (&self.site, &self.handles, &self.sound);
        let over = self.waits.extract_if(.., |wait| {
            wait.wanted.holds(site) || wait.until <= now || wait.answer.is_closed()
        });
        for wait in over {
            let said = if wait.wanted.holds(site) {
                Ok(String::new())
            } else {
                let status = view::text(site, handles, &sound.levels());
                Err(format!(
                    "waited in vain; it is: {}",
                    status.replace('\n', " | ")
                ))
            };
            let _ = wait.answer.send(said);
        }
    }

    fn draw(&mut self) {
        let is_watched = self.drawn.receiver_count() > 1;
        if !is_watched {
            return;
        }
        let levels = self.sound.levels();
        if self.stale || !levels.is_empty() {
            self.stale = false;
            let view = view::json(&self.site, &self.handles, &levels, &self.notes);
            if **self.drawn.borrow() != *view {
                self.drawn.send_replace(Arc::from(view));
            }
        }
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
