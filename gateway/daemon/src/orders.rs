//! Orders for stations behind lines: as they are asked for at the control socket, and what their
//! servers answer, as people read it.
//!
//! Whether an order can go the machine says; here only what is no order at all is refused.

use std::time::Duration;

use exchange::{Diversion, OperatorCommand, StationOrder};
use legacy_protocols::command::{Answer, OutputAction, Programme, Switch, Verdict};
use legacy_protocols::text::{self, Text};
use model::{CallNumber, Priority};

use crate::control::protocol::{
    DivertWhen, Done, OrderAsked, Refusal, RefusalCode, Reply, SwitchTo,
};

/// How long an output may be driven at once.
const SHORTEST_PULSE: Duration = Duration::from_millis(100);
const LONGEST_PULSE: Duration = Duration::from_secs(60);

pub(crate) fn command(station: &str, asked: OrderAsked) -> Result<OperatorCommand, Reply> {
    let station = number(station)?;
    let order = match asked {
        OrderAsked::Text { text } if text.len() > text::MOST_OCTETS => {
            let most = text::MOST_OCTETS;
            return Err(wrong(
                format!("the text has more than {most} octets"),
                "shorten it",
            ));
        }
        OrderAsked::Text { text } => StationOrder::ShowText(Text::clip(&text)),
        OrderAsked::Programme { channel: None } => StationOrder::Programme(Programme::Off),
        OrderAsked::Programme { channel: Some(on) } => {
            StationOrder::Programme(Programme::Channel(on))
        }
        OrderAsked::Announce { message, priority } => {
            let priority = Priority::new(priority.into())
                .map_err(|error| wrong(error.to_string(), "write a number from 1 to 250"))?;
            StationOrder::Announce { message, priority }
        }
        OrderAsked::DivertOff => StationOrder::Divert(Diversion::Off),
        OrderAsked::Divert { when, to } => {
            let to = number(&to)?;
            StationOrder::Divert(match when {
                DivertWhen::Always => Diversion::Always(to),
                DivertWhen::Busy => Diversion::Busy(to),
                DivertWhen::NoReply => Diversion::NoReply(to),
            })
        }
        OrderAsked::Privacy { switch } => StationOrder::Privacy(switched(switch)),
        OrderAsked::Test => StationOrder::Test,
        OrderAsked::Pulse {
            output,
            milliseconds,
        } => {
            let pulse = Duration::from_millis(milliseconds);
            if !(SHORTEST_PULSE..=LONGEST_PULSE).contains(&pulse) {
                let text = "an output is driven for 0.1 to 60 seconds".to_owned();
                return Err(wrong(text, "for longer, use --on and --off"));
            }
            let action = OutputAction::Pulse(pulse);
            StationOrder::Output { output, action }
        }
        OrderAsked::Switch { output, switch } => {
            let action = OutputAction::Set(switched(switch));
            StationOrder::Output { output, action }
        }
    };
    Ok(OperatorCommand::Order(station, order))
}

fn number(text: &str) -> Result<CallNumber, Reply> {
    CallNumber::parse(text).map_err(|error| {
        let text = format!("\"{text}\" is no call number: {error}");
        wrong(text, "look with `stations`")
    })
}

const fn switched(switch: SwitchTo) -> Switch {
    match switch {
        SwitchTo::On => Switch::On,
        SwitchTo::Off => Switch::Off,
    }
}

fn wrong(text: String, remedy: &str) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::BadRequest,
        text,
        remedy: remedy.to_owned(),
    })
}

/// What the station's server says to it.
pub(crate) fn reply(answer: &Answer) -> Reply {
    let done = |text: &str| {
        let text = text.to_owned();
        Reply::Done(Done { text })
    };
    let (text, remedy) = match answer.verdict {
        Verdict::Done => return done("done"),
        Verdict::Accepted => return done("begun; look with `timeline` what came of it"),
        Verdict::Sent => return done("sent, not confirmed"),
        Verdict::Busy => ("the station or its line is busy", "order again"),
        Verdict::NoSuchNumber => (
            "its server knows no such station",
            "compare the directory and the `prefixes` of the line with its numbers",
        ),
        Verdict::NotAllowed => (
            "its server does not allow it",
            "see what its configuration permits this gateway",
        ),
        Verdict::AlreadyTaken => ("it was done already", "order again"),
        Verdict::Expired => ("the order came too late", "order again"),
        Verdict::Unsupported => (
            "its server cannot do this",
            "see what it is, and its version",
        ),
        Verdict::Loop => (
            "the order would go round in circles",
            "compare the system numbers",
        ),
        Verdict::NodeUnreachable => (
            "the station's own server is not reached",
            "look at the network of servers",
        ),
        Verdict::TestRefused => ("the line is being tested", "order again"),
        Verdict::RateLimited => (
            "this output was driven a moment ago, or too many were",
            "wait a second",
        ),
        Verdict::NotConnected => ("the line is not up, and nothing was sent", "order again"),
        Verdict::LineLost => (
            "the line broke; whether it was carried out is not known",
            "see for yourself, then order again",
        ),
        Verdict::NoAnswer => (
            "its server does not answer; whether it was carried out is not known",
            "see for yourself, then order again",
        ),
    };
    let mut text = text.to_owned();
    if let Some(said) = answer
        .text
        .as_ref()
        .filter(|said| !said.as_str().is_empty())
    {
        text.push_str(&format!(" (\"{}\")", said.as_str()));
    }
    Reply::Error(Refusal {
        code: RefusalCode::NotAllowed,
        text,
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_order_is_refused_before_it_goes_anywhere() {
        let refused = |station: &str, asked| match command(station, asked) {
            Err(Reply::Error(refusal)) => refusal.text,
            other => panic!("{other:?}"),
        };
        let pulse = |milliseconds| OrderAsked::Pulse {
            output: 1,
            milliseconds,
        };
        assert!(refused("gate", OrderAsked::Test).contains("no call number"));
        assert!(refused("2101", pulse(50)).contains("0.1 to 60"));
        assert!(refused("2101", pulse(60_001)).contains("0.1 to 60"));
        let text = "x".repeat(121);
        assert!(refused("2101", OrderAsked::Text { text }).contains("120 octets"));
        assert!(command("2101", pulse(100)).is_ok());
    }

    #[test]
    fn an_unknown_outcome_is_never_shown_as_done() {
        for verdict in [Verdict::LineLost, Verdict::NoAnswer, Verdict::NotConnected] {
            let Reply::Error(refusal) = reply(&verdict.into()) else {
                panic!("{verdict:?}");
            };
            assert!(refusal.text.contains("not"), "{}", refusal.text);
        }
        let answer = Answer {
            text: Some(Text::clip("display broken")),
            ..Verdict::NotAllowed.into()
        };
        let Reply::Error(refusal) = reply(&answer) else {
            panic!("{answer:?}");
        };
        assert!(refusal.text.ends_with("(\"display broken\")"));
    }
}
