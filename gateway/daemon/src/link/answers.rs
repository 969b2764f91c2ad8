//! What the link says to people, as the control socket answers it.

use client::Standing;
use client::enrol::EnrolError;
use client::identity::KeepError;
use client::reach::Reached;

use super::Told;
use crate::control::protocol::{LinkView, ReachView, Refusal, RefusalCode, Reply};
use crate::operator;

pub(super) fn of_enrolment(error: &EnrolError) -> Refusal {
    let code = match error {
        EnrolError::Waits { .. } | EnrolError::Refused { .. } | EnrolError::Unfit { .. } => {
            RefusalCode::NotAllowed
        }
        EnrolError::NotNow { .. } => RefusalCode::Busy,
        EnrolError::Ask(_) | EnrolError::NoCore { .. } => RefusalCode::NotReached,
        EnrolError::Keep(_) | EnrolError::Request(_) => RefusalCode::NotAllowed,
    };
    divided(code, &error.to_string())
}

pub(super) fn of_disk(error: &KeepError) -> Refusal {
    divided(RefusalCode::NotAllowed, &error.to_string())
}

/// The texts of these errors end with what to do.
fn divided(code: RefusalCode, text: &str) -> Refusal {
    let (text, remedy) = text
        .split_once("; ")
        .unwrap_or((text, "look at the log of the gateway"));
    Refusal {
        code,
        text: text.to_owned(),
        remedy: remedy.to_owned(),
    }
}

pub(crate) fn reply(told: Told) -> Reply {
    match told {
        Told::Standing(None) => Reply::Link(Box::default()),
        Told::Standing(Some(None)) => Reply::Link(Box::new(LinkView {
            claimed: true,
            ..LinkView::default()
        })),
        Told::Standing(Some(Some(standing))) => Reply::Link(Box::new(view(standing))),
        Told::Reached(reached) => Reply::Reach(Box::new(reach(reached))),
        Told::Claimed(device) => operator::done(&format!("claimed; the core calls it {device}")),
        Told::Released => operator::done(
            "released; the core keeps the device until it is released in the portal too",
        ),
        Told::Refused(refusal) => Reply::Error(refusal),
    }
}

/// Nobody has ever claimed it, or the link's thread is gone.
pub(crate) fn no_answer() -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::Busy,
        text: "the link does not answer".to_owned(),
        remedy: "try again; if it stays, restart the gateway".to_owned(),
    })
}

fn view(standing: Standing) -> LinkView {
    LinkView {
        claimed: true,
        phase: Some(standing.phase.name().to_owned()),
        connected: standing.connected,
        device: Some(standing.device),
        core: Some(standing.core),
        certificate_until_ms: Some(standing.certificate_until),
        waiting: standing.waiting,
        waiting_octets: standing.waiting_octets,
        told: standing.figures.events_told,
        last_error: standing.last_error,
    }
}

fn reach(reached: Reached) -> ReachView {
    ReachView {
        service: reached.line.service.to_owned(),
        protocol: reached.line.protocol.to_owned(),
        port: reached.port,
        host: reached.host,
        purpose: reached.line.purpose.to_owned(),
        outcome: reached.outcome.name().to_owned(),
        said: reached.said,
        open: reached.open,
    }
}
