//! `serve`: the composition root. Reads, checks, opens, builds, runs, finishes - in this order.
//!
//! Invariant: nothing is bound and nothing on disk is touched before the configuration is valid.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use exchange::{Exchange, Input, LineEvent, OperatorCommand};
use net::flows::{
    DatagramSettings, Flows, FlowsConfig, ListenerConfig, ListenerInfo, StreamSettings,
};
use net::tls::TlsError;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use switchboard::{MediaOptions, MediaShell, Outgoing};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::carry::{Hands, Threads};
use crate::cli::Exit;
use crate::clock::Clock;
use crate::config::{self, ConfigErrors, Durability, Settings};
use crate::control::protocol::{ListenerView, Reply, RunState};
use crate::control::server::{self, ControlSocket, ToMainLoop};
use crate::lines::{self, LineShell};
use crate::link::{LinkOptions, LinkShell};
use crate::listeners::{self, Inherited};
use crate::main_loop::{Ended, Inboxes, MainLoop, Signals};
use crate::metrics::Figures;
use crate::operator::{About, Asker};
use crate::playing::Playing;
use crate::recorder::{Recorder, RecorderOptions};
use crate::reload::Reloader;
use crate::side::{Side, Work};
use crate::store::{Restored, Store, StoreError, StoreOptions, Sync};
use crate::timeline::{LineName, Names, Timeline, TimelineOptions};
use crate::uplink::Uplink;
use crate::{logging, machine, open_files, random, systemd, timeline};

/// Room of the channels between the main loop and the side thread.
const REQUESTS: usize = 64;

/// Why the gateway does not run, or has not ended as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("the configuration cannot be used:\n{0}")]
    Config(ConfigErrors),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] net::flows::BindError),
    #[error(transparent)]
    Control(#[from] server::BindError),
    #[error(
        "metrics cannot be served on {address}: {source}; set `metrics.listen` to another address"
    )]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("{what} cannot be started: {source}; look at the limits of memory, threads and files")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Lines(#[from] lines::StartError),
    #[error("the ready file cannot be written: {0}; correct --ready-file")]
    ReadyFile(io::Error),
    #[error("ended at the order of the cloud core, to be started again")]
    ToBeStarted,
    #[error("the {0} thread has ended by itself; the log says why, a restart is the cure")]
    Lost(&'static str),
}

impl ServeError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Store(StoreError::NewerSchema { .. }) => Exit::Usage,
            Self::Store(StoreError::InUse { .. })
            | Self::Control(server::BindError::Answered(_)) => Exit::InUse,
            Self::Store(StoreError::Folder { source, .. })
            | Self::Control(server::BindError::Io { source, .. })
            | Self::Metrics { source, .. }
            | Self::Listen(net::flows::BindError::Bind { source, .. }) => exit_of(source),
            Self::ReadyFile(source) => exit_of(source),
            Self::Lines(lines::StartError::Bind(error)) => exit_of(&error.source),
            Self::Lines(lines::StartError::Isdn { source, .. }) => exit_of(source),
            Self::Store(StoreError::Sqlite { .. })
            | Self::Tls(_)
            | Self::Listen(_)
            | Self::System { .. }
            | Self::Lines(lines::StartError::Tls { .. } | lines::StartError::Thread(_))
            | Self::ToBeStarted
            | Self::Lost(_) => Exit::Fault,
        }
    }
}

fn exit_of(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::AddrInUse => Exit::InUse,
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        io::ErrorKind::AddrNotAvailable => Exit::Usage,
        _ => Exit::Fault,
    }
}

/// Runs the gateway until it is told to stop.
pub(crate) fn run(file: &Path, ready_file: Option<&Path>) -> Result<(), ServeError> {
    let started = Instant::now();
    // Registrations and call records are about people: nobody else reads what is made from here.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    // Changes the environment, so before there is any other thread.
    let inherited = Inherited::from_environment().map_err(system("socket activation"))?;
    let settings = config::load(file).map_err(ServeError::Config)?;
    logging::install(&settings.log);
    for remark in settings.remarks() {
        tracing::warn!(%remark, "the configuration can be used, and could be better");
    }
    net::tls::install_provider();
    match open_files::raise_limit() {
        Ok(files) => tracing::debug!(files, "the limit of open files was raised"),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
    let options = StoreOptions {
        registrations: match settings.store.registrations {
            Durability::Power => Sync::Power,
            Durability::Crash => Sync::Crash,
        },
        keep_records: settings.store.keep_records,
    };
    let (store, restored) = Store::open(&settings.state_folder, options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(system("the main loop"))?;
    let (store, ended) = runtime.block_on(async {
        let (main_loop, side) = build(file, settings, inherited, store, restored, started)?;
        let signals = Signals::listen().map_err(system("signal handling"))?;
        let mut main_loop = main_loop;
        let ports = main_loop.hands.media.first_ports().await;
        main_loop
            .state
            .handle(Input::PortsFree(ports), Instant::now());
        announce(&mut main_loop, ready_file)?;
        let ended = main_loop.run(signals).await;
        side.finish();
        Ok::<_, ServeError>(ended)
    })?;
    store.finish();
    tracing::info!("stopped");
    match ended {
        Ended::AsAsked => Ok(()),
        Ended::Lost(what) => Err(ServeError::Lost(what)),
        Ended::ToBeStarted => Err(ServeError::ToBeStarted),
    }
}

/// Opens everything and puts it together.
fn build(
    file: &Path,
    settings: Settings,
    mut inherited: Inherited,
    store: Store,
    restored: Restored,
    started: Instant,
) -> Result<(MainLoop, Side), ServeError> {
    let flows = bind(&settings, &mut inherited)?;
    let bound: Vec<ListenerInfo> = in_order(&settings, &flows);
    let own = net::addresses::interfaces().map_err(system("looking up own addresses"))?;
    let metrics = TcpListener::bind(settings.metrics).map_err(|source| ServeError::Metrics {
        address: settings.metrics,
        source,
    })?;
    let control = ControlSocket::bind(&settings.control_socket)?;
    let seed: [u8; 32] = random::bytes().map_err(system("the source of random numbers"))?;
    let recorder = Recorder::start(RecorderOptions {
        folder: settings.state_folder.join("recordings"),
        keep: settings.recording.keep,
        most_bytes: settings.recording.bytes,
    })
    .map_err(system("the recorder thread"))?;
    let media = MediaShell::start(MediaOptions {
        addresses: machine::media_addresses(&settings.media.addresses, &bound, &own),
        ports: settings.media.ports.clone(),
        dscp: settings.media.dscp,
        threads: settings.media.threads,
        seed: u64::from_be_bytes(random::bytes().map_err(system("random numbers"))?),
        frames: recorder.frames(),
    })
    .map_err(system("the media thread"))?;

    let line_seed = u64::from_be_bytes(random::bytes().map_err(system("random numbers"))?);
    let uplink_seed = u64::from_be_bytes(random::bytes().map_err(system("random numbers"))?);
    let lines = LineShell::start(&settings.lines, line_seed, started)?;

    let clock = Clock::read();
    let directory = Arc::new(settings.directory.directory.clone());
    let config = machine::config(&settings, &bound, &own, restored.start_count);
    let timeline = match &settings.timeline {
        Some(kept) => Timeline::start(
            TimelineOptions {
                folder: settings.state_folder.join(timeline::FOLDER),
                keep: kept.keep,
                most_bytes: kept.bytes,
                gateway: settings.name.clone(),
            },
            Names::of(&settings.directory.directory, &settings.directory.doors),
            LineName::all(&config.lines),
        )
        .map_err(system("the timeline thread"))?,
        None => Timeline::default(),
    };
    let mut state = Exchange::new(config, Arc::clone(&directory), seed, clock.instant);
    let accounts = machine::accounts(
        &settings.directory.accounts,
        settings.sip.realm.as_str(),
        settings.sip.contacts_per_station,
    );
    state.handle(Input::ClockSet(clock.wall), clock.instant);
    state.handle(Input::DirectoryChanged(directory, accounts), clock.instant);
    for (line, channels) in lines.channels() {
        let event = LineEvent::Channels(channels);
        state.handle(Input::Line { line, event }, clock.instant);
    }
    let kept = state.restore(machine::restored(restored.bindings, clock), clock.instant);
    tracing::info!(?kept, "registrations were read back");
    let ordered = restored.standing.len();
    let holding = state.restore_standing(restored.standing, clock.instant);
    tracing::info!(
        holding,
        forgotten = ordered - holding,
        "diversions and programmes were read back"
    );

    let link = LinkShell::start(LinkOptions {
        state_folder: settings.state_folder.clone(),
        cloud: settings.cloud.clone(),
        spool_figures: Arc::clone(&store.figures().spool),
        start_count: restored.start_count,
    })
    .map_err(system("the link thread"))?;
    let link_asks = link.asks();
    let (asker, asked) = mpsc::channel(REQUESTS);
    let (reload, reload_asked) = mpsc::channel(4);
    let (reloaded_to, reloaded) = mpsc::channel(1);
    let (urls, url_requests) = mpsc::channel(REQUESTS);
    let (remote_orders, remotes) = mpsc::channel(REQUESTS);
    let (url_answers_to, url_answers) = mpsc::channel(REQUESTS);
    let (changes, _) = broadcast::channel(16);
    let about = About {
        name: settings.name.clone(),
        started,
        state: RunState::Serving,
        listeners: bound.iter().map(listener_view).collect(),
        metrics: metrics.local_addr().ok(),
        timeline: settings
            .timeline
            .is_some()
            .then(|| settings.state_folder.join(timeline::FOLDER)),
        directory_read: clock.wall,
    };
    let written = store.figures();
    let mut hands = Hands::new(
        Threads {
            store,
            media,
            recorder,
            lines,
            timeline,
            link,
        },
        (Outgoing::new(flows.listeners()), Uplink::new(uplink_seed)),
        urls,
        changes.clone(),
        about,
    );
    let found = &settings.directory;
    hands.site.is(&found.directory, &found.doors);
    let figures = Arc::new(Figures::new(written, Arc::clone(&hands.sound)));
    let main_loop = MainLoop {
        state,
        hands,
        flows,
        inboxes: Inboxes {
            asked,
            reloaded,
            url_answers,
            reload,
        },
        playing: Playing::default(),
        figures: Arc::clone(&figures),
        doors: settings.directory.doors.clone(),
        remotes: settings.directory.remotes.clone(),
        remote_orders,
        restart_asked: false,
        realm: settings.sip.realm.as_str().to_owned(),
        contacts_per_station: settings.sip.contacts_per_station,
        grace: settings.grace,
    };
    let side = Side::start(Work {
        metrics,
        figures,
        control,
        to_main: ToMainLoop {
            inbox: asker,
            changes,
            link: link_asks,
        },
        reloader: Reloader::new(file, settings),
        reload_asked,
        reloaded: reloaded_to,
        urls: url_requests,
        remotes,
        url_answers: url_answers_to,
    })
    .map_err(system("the side thread"))?;
    Ok((main_loop, side))
}

fn bind(settings: &Settings, inherited: &mut Inherited) -> Result<Flows, ServeError> {
    let listeners: Vec<ListenerConfig> = listeners::configs(&settings.sip.listeners, inherited)?;
    for address in inherited.left_over() {
        tracing::warn!(%address, "a socket of systemd is in no [[sip.listen]] and stays unused");
    }
    let limits = &settings.sip.limits;
    let authorities = settings.sip.authorities.as_deref();
    let client_tls = authorities.map(listeners::client_tls).transpose()?;
    Ok(Flows::bind(FlowsConfig {
        listeners,
        datagrams: DatagramSettings {
            longest: limits.message_bytes.min(65_535),
            ..DatagramSettings::default()
        },
        streams: StreamSettings {
            incoming: limits.connections,
            per_source: limits.connections_per_source,
            handshake_timeout: limits.handshake,
            idle_timeout: limits.idle,
            ..StreamSettings::default()
        },
        client_tls,
        ..FlowsConfig::default()
    })?)
}

/// Bound listeners in the order of the configuration.
fn in_order(settings: &Settings, flows: &Flows) -> Vec<ListenerInfo> {
    let ids = listeners::ids(&settings.sip.listeners);
    let find = |id| flows.listeners().find(|info| info.id == id);
    ids.into_iter().filter_map(find).collect()
}

fn listener_view(info: &ListenerInfo) -> ListenerView {
    ListenerView {
        transport: info.transport.to_string().to_lowercase(),
        address: info.local,
    }
}

/// Says that calls are taken: to systemd, in the log, in the ready file.
fn announce(main_loop: &mut MainLoop, ready_file: Option<&Path>) -> Result<(), ServeError> {
    let about = main_loop.hands.about.clone();
    if let Some(file) = ready_file {
        write_status(main_loop, file)?;
    }
    for listener in &about.listeners {
        tracing::info!(transport = listener.transport, address = %listener.address, "listening");
    }
    tracing::info!(
        name = about.name,
        version = env!("CARGO_PKG_VERSION"),
        after = ?about.started.elapsed(),
        "ready"
    );
    systemd::notify(&[NotifyState::Ready, NotifyState::Status("serving calls")]);
    Ok(())
}

fn write_status(main_loop: &mut MainLoop, file: &Path) -> Result<(), ServeError> {
    let (reply, mut answered) = oneshot::channel();
    let asker = main_loop.hands.expect(Asker::Once { reply });
    let input = Input::Operator {
        asker,
        command: OperatorCommand::Status,
    };
    let outlet = main_loop.flows.outlet();
    let hands = &mut main_loop.hands;
    hands.feed(&mut main_loop.state, outlet, input, Instant::now());
    // The machine answers within the turn.
    if let Ok(Reply::Status(status)) = answered.try_recv() {
        let text =
            serde_json::to_vec(&status).map_err(|error| ServeError::ReadyFile(error.into()))?;
        write_at_once(file, &text).map_err(ServeError::ReadyFile)?;
    }
    Ok(())
}

/// Whoever waits for the file finds nothing or all of it.
fn write_at_once(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let mut new = std::fs::File::create(&name)?;
    new.write_all(text)?;
    std::fs::rename(&name, file)
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}
