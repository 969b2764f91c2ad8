//! Outputs in words, so that a story reads as one.

use calls::{Alert, CallerProgress, Event, Output, Target, TransferStatus};
use model::{Address, StationId, TalkMode, Talker};

/// The output in words. Legs are named by their number: L1.
pub(crate) fn words(output: &Output) -> (String, &Output) {
    (line(output), output)
}

fn line(output: &Output) -> String {
    match output {
        Output::StartLeg(start) => {
            let alert = match start.alert {
                Alert::Ring => "",
                Alert::Wait => " (waiting)",
                Alert::AutoAnswer => " (opens)",
                Alert::Expected => " (expected)",
            };
            let to = match &start.to {
                Target::Station(id) => name(*id),
                Target::Elsewhere(Address::Sip(_)) => "sip".to_owned(),
                Target::Elsewhere(address) => format!("{address:?}"),
            };
            format!("L{} calls {to}{alert}", start.leg.get())
        }
        Output::ShowProgress { leg, progress } => {
            let progress = match progress {
                CallerProgress::Trying => "trying".to_owned(),
                CallerProgress::Ringing => "ringing".to_owned(),
                CallerProgress::Queued => "queued".to_owned(),
                CallerProgress::EarlyMedia { from } => format!("early media of L{}", from.get()),
            };
            format!("L{} is shown {progress}", leg.get())
        }
        Output::AnswerLeg { leg } => format!("L{} is answered", leg.get()),
        Output::RefuseLeg { leg, cause, .. } => format!("L{} is refused: {cause}", leg.get()),
        Output::EndLeg { leg, cause } => format!("L{} ends: {cause}", leg.get()),
        Output::Connect { a, b, mode } => format!("L{}-L{} {}", a.get(), b.get(), talk(*mode)),
        Output::SetTalkMode { a, b, mode } => {
            format!("L{}-L{} now {}", a.get(), b.get(), talk(*mode))
        }
        Output::Disconnect { a, b } => format!("L{}-L{} parted", a.get(), b.get()),
        Output::EarlyMedia { from, to } => format!("L{} is seen by L{}", from.get(), to.get()),
        Output::Mix { leg, part, .. } => format!("L{} in the room: {part:?}", leg.get()),
        Output::Echo { leg } => format!("L{} hears itself", leg.get()),
        Output::Play { leg, .. } => format!("L{} hears what is played", leg.get()),
        Output::Unmix { leg, .. } => format!("L{} out of the room", leg.get()),
        Output::Tone { leg, tone } => format!("L{} hears {tone:?}", leg.get()),
        Output::SendDigit { leg, digit } => {
            format!("L{} gets digit {}", leg.get(), digit.to_char())
        }
        Output::TransferStatus { leg, status } => match status {
            TransferStatus::Trying => format!("transfer of L{}: trying", leg.get()),
            TransferStatus::Ringing => format!("transfer of L{}: ringing", leg.get()),
            TransferStatus::Done => format!("transfer of L{}: done", leg.get()),
            TransferStatus::Failed(cause) => format!("transfer of L{}: failed, {cause}", leg.get()),
        },
        Output::PulseDoor(pulse) => format!("pulse of {} ms", pulse.pulse.as_millis()),
        Output::ClaimAtHome { .. } => "asked at home of the request".to_owned(),
        Output::Record(record) => {
            format!(
                "record of L{}: {} {}",
                record.leg.get(),
                record.status.name(),
                record.cause
            )
        }
        Output::DoorRecord(record) => format!("door record: {:?}", record.result),
        Output::Event(event) => event_line(event),
        Output::Timeout(_) => "idle".to_owned(),
    }
}

fn event_line(event: &Event) -> String {
    match event {
        Event::CallStarted { .. } => "call started".to_owned(),
        Event::CallChanged { phase, .. } => format!("call {phase:?}"),
        Event::CallEnded { .. } => "call ended".to_owned(),
        Event::Forwarded { to, why, .. } => format!("forwarded to {} ({why:?})", address(to)),
        Event::Skipped { whom, cause, .. } => format!("skipped {}: {cause}", address(whom)),
        Event::PreEmpted { .. } => "pre-empted".to_owned(),
        Event::AlarmEscalated { to, .. } => format!("alarm goes on to {}", address(to)),
        Event::StationChanged { station, state, .. } => {
            format!("station {} {state}", name(*station))
        }
        Event::Request { change, .. } => {
            let text = format!("{change:?}");
            let head = text
                .split([' ', '{'])
                .next()
                .unwrap_or_default()
                .to_lowercase();
            match change {
                calls::RequestChange::Closed { why } => format!("request closed: {why:?}"),
                calls::RequestChange::Taken {
                    by: calls::Claimant::Station(by),
                } => {
                    format!("request taken by {}", name(*by))
                }
                _ => format!("request {head}"),
            }
        }
        Event::Door { stage, .. } => format!("door {stage:?}"),
        Event::DoorCodesLocked { leg } => format!("codes of L{} locked", leg.get()),
        Event::Drained => "drained".to_owned(),
    }
}

fn talk(mode: TalkMode) -> String {
    match mode {
        TalkMode::OpenDuplex => "talk".to_owned(),
        TalkMode::VoiceSwitched => "talk in turns of voice".to_owned(),
        TalkMode::Simplex { talker: Talker::A } => "simplex, the first is heard".to_owned(),
        TalkMode::Simplex { talker: Talker::B } => "simplex, the second is heard".to_owned(),
        TalkMode::Simplex {
            talker: Talker::Nobody,
        } => "simplex, nobody is heard".to_owned(),
        TalkMode::ListenOnly | TalkMode::TalkOnly => format!("{mode:?}"),
    }
}

fn address(address: &Address) -> String {
    match address {
        Address::Local(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// The number of a station; its id is made of it.
fn name(id: StationId) -> String {
    let numbers = (100..=299).chain(500..=599).map(|n: u32| n.to_string());
    let found = numbers.into_iter().find(|n| StationId::from_key(n) == id);
    found.unwrap_or_else(|| id.to_string())
}
