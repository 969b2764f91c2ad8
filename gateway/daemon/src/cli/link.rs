//! `claim`, `link`, `unclaim`: the gateway and its cloud core.
//!
//! The running gateway does the work, with its own network and its own configuration; here it is
//! asked step by step and shown as it goes.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use contract::enrolment::ClaimCode;
use jiff::Timestamp;

use super::args::{Claim, Unclaim};
use super::ask::{self, print};
use super::{Exit, Failure};
use crate::control::client::Client;
use crate::control::protocol::{LinkView, ReachView, Reply, Request};

/// Certificate in hand, the connection takes seconds.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);
const LOOKS_EACH: Duration = Duration::from_millis(300);

pub(super) fn claim(options: &Claim) -> Result<Exit, Failure> {
    let code = match &options.code {
        None => None,
        Some(code) => Some(read_code(code)?),
    };
    let mut client = Client::connect(&options.ask.socket)?;
    if !options.no_test {
        let blocked = test(&mut client, options)?;
        if options.test {
            return Ok(match blocked {
                true => Exit::NotReached,
                false => Exit::Done,
            });
        }
    }
    let Some(code) = code else {
        return Err(Failure::usage("give the claim code, or --test"));
    };
    let request = Request::Claim {
        code: code.printed().to_string(),
        core: options.core.clone(),
    };
    client.set_patience(Duration::from_secs(90))?;
    let reply = client.ask(&request)?;
    print(&ask::rendered(&reply, options.ask.json)?)?;
    connected(&mut client, options)
}

/// Tries the connections, each shown as it is tried; whether one that is needed is blocked.
fn test(client: &mut Client, options: &Claim) -> Result<bool, Failure> {
    let mut blocked = false;
    client.set_patience(Duration::from_secs(30))?;
    for line in 0..client::reach::LINES.len() {
        let core = options.core.clone();
        let reply = client.ask(&Request::Reach { core, line })?;
        if let Reply::Reach(reach) = &reply {
            blocked |= reach.outcome == client::reach::Outcome::Blocked.name();
        }
        print(&ask::rendered(&reply, options.ask.json)?)?;
    }
    Ok(blocked)
}

fn connected(client: &mut Client, options: &Claim) -> Result<Exit, Failure> {
    let until = Instant::now() + CONNECTS_WITHIN;
    loop {
        let reply = client.ask(&Request::Link)?;
        let Reply::Link(link) = &reply else {
            return Err(Failure::fault(anyhow::anyhow!(
                "the gateway answers something else"
            )));
        };
        if link.connected || Instant::now() >= until {
            print(&ask::rendered(&reply, options.ask.json)?)?;
            return Ok(match link.connected {
                true => Exit::Done,
                false => Exit::NotReached,
            });
        }
        std::thread::sleep(LOOKS_EACH);
    }
}

fn read_code(given: &str) -> Result<ClaimCode, Failure> {
    let text = match given {
        "-" => {
            let mut line = String::new();
            io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(Failure::input)?;
            line
        }
        given => given.to_owned(),
    };
    text.trim().parse().map_err(|error| Failure {
        exit: Exit::Usage,
        error: anyhow::Error::new(error)
            .context("this is no claim code; compare it with the label"),
    })
}

pub(super) fn unclaim(options: &Unclaim) -> Result<Exit, Failure> {
    if !options.yes {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("nobody can be asked here; give --yes"));
        }
        let question = "The gateway forgets its core, and records that wait for it are lost. \
                        Type \"yes\" to go on: ";
        print(question)?;
        io::stdout().flush().map_err(Failure::output)?;
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(Failure::input)?;
        if answer.trim() != "yes" {
            return Err(Failure::usage("nothing was done"));
        }
    }
    ask::once(&options.ask, &Request::Unclaim)
}

pub(super) fn text(link: &LinkView) -> String {
    if !link.claimed {
        return "not claimed; `antiphon-gateway claim CODE --core URL` makes it one of a core\n"
            .to_owned();
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut row = |head: &str, what: &str| {
        let _ = writeln!(text, "{head:<13} {what}");
    };
    let connected = match link.connected {
        true => "connected",
        false => "not connected",
    };
    let phase = link.phase.as_deref().unwrap_or("beginning");
    row("link", &format!("{phase}, {connected}"));
    row("core", link.core.as_deref().unwrap_or("-"));
    row("device", link.device.as_deref().unwrap_or("-"));
    let until = link
        .certificate_until_ms
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    if let Some(until) = until {
        row("certificate", &format!("until {until:.0}"));
    }
    row(
        "outbox",
        &format!(
            "{} records ({} octets) wait, {} told since the start",
            link.waiting, link.waiting_octets, link.told
        ),
    );
    if let Some(error) = &link.last_error {
        row("last error", error);
    }
    text
}

pub(super) fn reached(reach: &ReachView) -> String {
    let mut text = format!(
        "{:<12} {:<6} {:<9} {:<13} {}\n",
        reach.outcome, reach.service, reach.protocol, reach.port, reach.purpose
    );
    for (head, said) in [("found", &reach.said), ("to do", &reach.open)] {
        if let Some(said) = said
            && reach.outcome == client::reach::Outcome::Blocked.name()
        {
            let _ = writeln!(text, "  {head}: {said}");
        }
    }
    text
}
