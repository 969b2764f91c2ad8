//! `demo` shows a running site until Ctrl-C; `demo smoke` places one call,
//! listens, and says with its exit code whether all went well.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::demo::{self, Demo};
use e2e::{Network, gateway};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let headless = std::env::args().nth(1).is_some_and(|word| word == "smoke");
    let result = if headless { smoke() } else { show() };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the gateway of the demo speaks SIP.
fn place() -> Result<SocketAddr> {
    match std::env::var("ANTIPHON_DEMO") {
        Ok(text) => text.parse().with_context(|| {
            format!("ANTIPHON_DEMO={text}: an address and port is needed, such as 127.0.0.1:5160")
        }),
        Err(_) => Ok(SocketAddr::from(([127, 0, 0, 1], 5060))),
    }
}

fn smoke() -> Result<()> {
    // A network of its own where that is allowed: then no port can be in use.
    let _network = Network::new().ok();
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    demo::smoke(place()?, folder.path()).inspect_err(|_| e2e::site::print_what_was_said())?;
    println!(
        "smoke: one call, heard in both directions, the gate opened; one from a legacy station, whose \
         gate opened; {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn show() -> Result<()> {
    let folder = demo::folder()?;
    println!(
        "Starting a gateway, three stations and a legacy site; their state is in {}",
        folder.display()
    );
    let place = place()?;
    let mut demo = Demo::start(place, &folder).inspect_err(|_| e2e::site::print_what_was_said())?;
    explain(place, &folder)?;
    let door = demo.take_door()?;
    std::thread::spawn(move || {
        while door.next_opening().is_some() {
            println!("        >>> the device at the gate was told to open");
        }
    });
    let mut view = watch(&folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(play(&mut demo));
    let _ = view.kill();
    let _ = view.wait();
    println!("\nEnding the stations and the gateway...");
    demo.stop()?;
    println!("All ended.");
    result
}

/// What happens, and how long one can look at it.
struct Scene {
    act: fn(&mut Demo) -> Result<()>,
    seconds: u64,
}

const SCENES: [Scene; 3] = [
    Scene {
        act: Demo::call,
        seconds: 4,
    },
    Scene {
        act: Demo::open_gate,
        seconds: 12,
    },
    Scene {
        act: Demo::hang_up,
        seconds: 6,
    },
];

/// Calls come and go until the user has seen enough.
async fn play(demo: &mut Demo) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        for Scene { act, seconds } in SCENES {
            demo.must_run()?;
            if let Err(error) = act(demo) {
                // Ctrl-C reaches the stations as well, perhaps before us.
                let interrupted =
                    tokio::time::timeout(Duration::from_millis(200), interrupt.recv());
                return if interrupted.await.is_ok() {
                    Ok(())
                } else {
                    Err(error)
                };
            }
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            }
        }
    }
}

fn explain(place: SocketAddr, folder: &Path) -> Result<()> {
    let program = gateway::binary()?.display();
    let socket = gateway::control_socket(folder);
    let yours = demo::YOURS;
    println!(
        "
  The gate (101) calls the reception (102) again and again, and the reception opens it.

  An intercom of the 1990s, on a line to the gateway:   http://{}/
  Open that page and press a button: the office phone (104) answers. \"Stand here\" lets you
  speak and listen there. From your own SIP phone dial 2101, the gate; #1 opens it.

  In another terminal:
    G=\"{program}\"; S=\"--socket {}\"
    $G status $S                who is there
    $G lines $S                 the line to the old intercom
    $G open gate $S             open the gate
    $G media quality $S         how the call sounds
    $G end CALL $S              end a call, by its number below
    curl http://{}/metrics

  With a SIP phone on this machine: server {place}, user {yours}, password \"{}\";
  then dial 102, or 200 to ring everybody.
  For phones elsewhere in your network: ANTIPHON_DEMO=<address of this machine>:5060 make run

  Ctrl-C ends everything. The calls:
",
        demo::page(place),
        socket.display(),
        SocketAddr::new(place.ip(), place.port() + gateway::METRICS),
        gateway::password(yours),
    );
    Ok(())
}

/// The gateway's own live view of calls.
fn watch(folder: &Path) -> Result<Child> {
    Command::new(gateway::binary()?)
        .args(["calls", "--watch", "--socket"])
        .arg(gateway::control_socket(folder))
        .stdin(Stdio::null())
        .spawn()
        .context("the view of calls")
}
