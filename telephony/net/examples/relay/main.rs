//! A relay of standing calls without signalling: media thread, sessions and
//! sockets as the gateway has them, for measuring.
//!
//! Call n joins the ports `port + 2n` and `port + 2n + 1`, whoever sends to
//! them from the loopback network. Prints `ready`, runs for `secs`, prints its
//! counters.
//!
//! `cargo run --release -p net --example relay -- CALLS PORT SECS`

mod calls;

use std::net::Ipv4Addr;
use std::time::Duration;

use net::packets::{PortRange, Ports, PortsConfig, PortsEvent, Worker, WorkerConfig};
use tokio::sync::mpsc;

use calls::{Calls, Open};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[expect(clippy::print_stdout, reason = "the program's answer")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let number = |n| std::env::args().nth(n).and_then(|text| text.parse().ok());
    let (Some(calls), Some(port), Some(secs)) = (number(1), number(2), number(3)) else {
        return Err("usage: relay CALLS PORT SECS".into());
    };
    let (calls, port) = (u16::try_from(calls)?, u16::try_from(port)?);
    let mut ports = Ports::start(PortsConfig {
        addresses: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        range: PortRange::new(port, port + 2 * calls - 1)?,
        ready: calls.into(),
        ..PortsConfig::default()
    })?;
    let (events, _told) = mpsc::channel(16);
    let mut worker = Worker::spawn(WorkerConfig::default(), Calls::new(), events)?;
    for _ in 0..calls {
        match ports.next().await {
            Some(PortsEvent::Free { rtp }) => {
                let pair = ports.take(rtp).ok_or("a free pair is there")?;
                worker.command(Open(pair)).map_err(|_| "too many calls")?;
                worker.flush();
            }
            Some(PortsEvent::Trouble { trouble, .. }) => return Err(trouble.into()),
            None => return Err("the pool ended".into()),
        }
    }
    println!("ready");
    std::thread::sleep(Duration::from_secs(secs));
    println!("{:?}", worker.counters());
    Ok(())
}
