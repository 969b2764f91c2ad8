//! What happened in calls, for the log.
//!
//! Messages are constant, what varies is a field, and what belongs to people is wrapped: the model
//! prints it as redacted. INFO is what somebody at the site would notice.

use calls::{DoorStage, Event, RequestChange};
use model::{CallRecord, DoorResult, Pii};
use sip::registrar;
use tracing::{debug, field, info, warn};

use crate::diagnosis::Cause;

pub(crate) fn log(event: &Event) {
    match event {
        Event::CallStarted { call, priority, .. } => info!(%call, %priority, "a call has begun"),
        Event::CallChanged { call, phase } => debug!(%call, ?phase, "a call has changed"),
        Event::CallEnded { call } => info!(%call, "a call has ended"),
        Event::Forwarded { call, why, .. } => info!(%call, ?why, "a call is forwarded"),
        Event::Skipped { call, cause, .. } => info!(%call, %cause, "a member is not rung"),
        Event::PreEmpted { call, by } => {
            info!(%call, %by, "a call makes way for a more urgent one");
        }
        Event::AlarmEscalated { call, .. } => {
            warn!(%call, "an alarm has found nobody yet and goes on");
        }
        Event::StationChanged {
            station,
            state,
            faults,
        } => debug!(%station, %state, ?faults, "a station has changed"),
        Event::Request { request, change } => match change {
            RequestChange::Queued { desk, priority, .. } => {
                info!(%request, %desk, %priority, "a call request waits");
            }
            RequestChange::Reminder => debug!(%request, "a call request still waits"),
            RequestChange::Taken { by } => info!(%request, %by, "a call request was taken"),
            RequestChange::Returned { cause } => {
                info!(%request, %cause, "a call request waits again");
            }
            RequestChange::AlsoAt { desk } => {
                info!(%request, %desk, "a call request is seen at another desk too");
            }
            RequestChange::Closed { why } => info!(%request, ?why, "a call request is closed"),
        },
        Event::Door {
            command,
            door,
            stage,
        } => match stage {
            DoorStage::Sent => info!(%command, %door, "a door is being opened"),
            DoorStage::Concluded(DoorResult::Denied(why)) => {
                warn!(%command, %door, %why, "a door was not opened");
            }
            DoorStage::Concluded(DoorResult::Failed) => {
                warn!(%command, %door, "a door could not be opened");
            }
            DoorStage::Concluded(result @ (DoorResult::Opened | DoorResult::SentNotConfirmed)) => {
                info!(%command, %door, ?result, "a door command is concluded");
            }
        },
        Event::DoorCodesLocked { leg } => {
            warn!(%leg, "too many wrong door codes; this leg opens nothing any more");
        }
        Event::Drained => info!("the last call has ended"),
    }
}

/// Somebody should look: the figures, what most likely causes them, and what to do.
pub(crate) fn log_poor_leg(record: &CallRecord, cause: Cause) {
    let Some(audio) = &record.audio else { return };
    let (received, sent) = (&audio.received, &audio.sent);
    warn!(
        call = %record.call,
        leg = %record.leg,
        station = record.party.station.map(field::display),
        codec = audio.codec.map(|codec| codec.name()),
        packets = received.packets,
        lost = received.lost,
        jitter = ?received.jitter,
        late = received.decoded.map(|decoded| decoded.late),
        mos = received.mos.map(field::display),
        sent = sent.packets,
        far_lost = sent.far.map(|far| far.lost),
        far_jitter = sent.far.map(|far| field::debug(far.jitter)),
        far_mos = sent.far.and_then(|far| far.mos).map(field::display),
        round_trip = audio.round_trip.map(field::debug),
        cause = cause.name(),
        remedy = cause.remedy(),
        "a leg sounded badly"
    );
}

pub(crate) fn log_registrar(event: &registrar::Event) {
    match event {
        registrar::Event::StationUp { aor, by } => {
            debug!(account = %Pii::new(aor), ?by, "a station can be reached");
        }
        registrar::Event::StationDown { aor, cause } => {
            info!(account = %Pii::new(aor), ?cause, "a station cannot be reached any more");
        }
        // The address of an attacker is what a firewall needs.
        registrar::Event::SourceBarred {
            source,
            failures,
            duration,
        } => warn!(%source, failures, ?duration, "an address guesses passwords and is barred"),
        registrar::Event::AccountBarred {
            aor,
            failures,
            duration,
        } => warn!(
            account = %Pii::new(aor),
            failures,
            ?duration,
            "the password of a station is being guessed from several addresses"
        ),
    }
}
