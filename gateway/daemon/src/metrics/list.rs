//! The list of figures: name, meaning, source. Names never change once released.

use std::sync::atomic::Ordering;

use client::Standing;
use media::Reason;
use sip::message::Method;
use sip::registrar::{Counters, Registrar};

use super::{Description, Kind, Sources};
use crate::control::protocol::RunState;
use crate::diagnosis::Cause;
use crate::store::LaneFigures;

/// Added when the figures are rendered, because the main loop cannot say it of itself.
pub(super) const STUCK: Description = Description {
    name: "antiphon_main_loop_stuck",
    labels: "",
    kind: Kind::Gauge,
    help: "1 while the main loop has not turned for seconds: no call is handled.",
};

pub(super) const STARTED: Description = Description {
    name: "antiphon_start_time_seconds",
    labels: "",
    kind: Kind::Gauge,
    help: "When the process was started, in seconds since 1970.",
};

macro_rules! figures {
    (|$sources:ident| {
        $( $(#[doc = $help:literal])* $kind:ident $name:literal $([$labels:literal])? = $value:expr; )+
    }) => {
        pub(super) const DESCRIPTIONS: &[Description] = &[
            $( Description {
                name: concat!("antiphon_", $name),
                labels: concat!($($labels)?),
                kind: Kind::$kind,
                help: concat!($($help),*),
            }, )+
        ];

        /// The values in the order of the descriptions.
        pub(super) fn values($sources: &Sources<'_>) -> [u64; DESCRIPTIONS.len()] {
            [$( $value ),+]
        }
    };
}

fn count(number: usize) -> u64 {
    number as u64
}

figures! { |from| {
    /// 1 while new calls are taken, 0 while the gateway stops.
    Gauge "serving" = u64::from(from.hands.about.state == RunState::Serving);

    /// Calls of this moment.
    Gauge "calls" = count(from.state.calls().gauges().calls);
    /// Legs of this moment.
    Gauge "call_legs" = count(from.state.calls().gauges().legs);
    /// Call requests that wait or are being taken.
    Gauge "call_requests" = count(from.state.calls().gauges().requests);
    /// Calls begun.
    Counter "calls_total" = from.state.calls().counters().calls;
    /// Alarm calls begun.
    Counter "alarms_total" = from.state.calls().counters().alarms;
    /// Legs that ended, by what they came to.
    Counter "legs_ended_total" ["status=\"answered\""] = from.state.calls().counters().answered;
    Counter "legs_ended_total" ["status=\"no_answer\""] = from.state.calls().counters().no_answer;
    Counter "legs_ended_total" ["status=\"busy\""] = from.state.calls().counters().busy;
    Counter "legs_ended_total" ["status=\"declined\""] = from.state.calls().counters().declined;
    Counter "legs_ended_total" ["status=\"cancelled\""] = from.state.calls().counters().cancelled;
    Counter "legs_ended_total" ["status=\"answered_elsewhere\""]
        = from.state.calls().counters().answered_elsewhere;
    Counter "legs_ended_total" ["status=\"unreachable\""]
        = from.state.calls().counters().unreachable;
    Counter "legs_ended_total" ["status=\"refused\""] = from.state.calls().counters().refused;
    Counter "legs_ended_total" ["status=\"failed\""] = from.state.calls().counters().failed;
    /// Calls refused because there were too many.
    Counter "calls_refused_overload_total" = from.state.calls().counters().overload;
    /// Calls refused because the gateway was stopping.
    Counter "calls_refused_stopping_total" = from.state.calls().counters().stopping;
    /// Invitations that never became a leg: unknown number, unusable offer, no media port.
    Counter "calls_refused_at_edge_total" = from.state.counters().calls_refused_at_the_edge;
    /// Offers and answers without the encryption that is required, or with one that is not to be had.
    Counter "encryption_refused_total" = from.state.counters().encryption_refused;
    /// Calls that a rule sent elsewhere.
    Counter "calls_forwarded_total" = from.state.calls().counters().forwarded;
    /// Calls lost in a circle of rules.
    Counter "forwarding_loops_total" = from.state.calls().counters().forwarding_loops;
    /// Calls ended to make way for more urgent ones.
    Counter "calls_pre_empted_total" = from.state.calls().counters().pre_empted;
    /// Calls that reached the longest time allowed.
    Counter "calls_time_limit_total" = from.state.calls().counters().time_limit;
    /// Alarms that found nobody and went on.
    Counter "alarms_escalated_total" = from.state.calls().counters().alarms_escalated;
    /// Transfers done.
    Counter "transfers_total" = from.state.calls().counters().transfers;
    /// Transfers that failed.
    Counter "transfers_failed_total" = from.state.calls().counters().transfers_failed;
    /// Calls that a station took over at another of its devices.
    Counter "takeovers_total" = from.state.calls().counters().takeovers;
    /// Call requests filed.
    Counter "call_requests_total" = from.state.calls().counters().requests;
    /// Call requests that led to a conversation.
    Counter "call_requests_connected_total" = from.state.calls().counters().requests_connected;
    /// Call requests that nobody took in time.
    Counter "call_requests_expired_total" = from.state.calls().counters().requests_expired;
    /// Claims that came second.
    Counter "claims_lost_total" = from.state.calls().counters().claims_lost;
    /// Pulses sent to doors.
    Counter "door_pulses_total" = from.state.calls().counters().door_pulses;
    /// Door commands, by what became of them.
    Counter "door_commands_total" ["result=\"opened\""] = from.state.calls().counters().doors_opened;
    Counter "door_commands_total" ["result=\"not_confirmed\""]
        = from.state.calls().counters().doors_not_confirmed;
    Counter "door_commands_total" ["result=\"failed\""] = from.state.calls().counters().doors_failed;
    Counter "door_commands_total" ["result=\"denied\""] = from.state.calls().counters().doors_denied;
    /// Door commands that came again and were not carried out again.
    Counter "door_commands_repeated_total" = from.state.calls().counters().doors_repeated;
    /// Wrong door codes dialled.
    Counter "door_codes_wrong_total" = from.state.calls().counters().door_codes_wrong;
    /// Doors that have no way to be opened from here.
    Counter "doors_without_way_total" = from.state.counters().doors_without_a_way;
    /// Tones and announcements that a leg should have heard and has not.
    Counter "sounds_not_played_total" ["why=\"no_agreement\""] = from.state.unplayed().no_agreement;
    Counter "sounds_not_played_total" ["why=\"no_codec\""] = from.state.unplayed().no_codec;
    /// Requests to open a door by URL that were not begun, because too many were on their way.
    Counter "door_urls_refused_total" = from.hands.counts.urls_refused;
    /// Inputs to the call engine about things that have ended.
    Counter "call_inputs_stale_total" = from.state.calls().counters().stale_inputs;
    /// Inputs to the call engine that did not fit: a fault of ours or of a peer.
    Counter "call_inputs_unfit_total" = from.state.calls().counters().unfit_inputs;
    /// Drains of the machine that were cut short: a fault of ours.
    Counter "drains_cut_short_total" = from.state.counters().drains_cut_short;

    /// SIP sessions of this moment.
    Gauge "sip_sessions" = count(from.state.sip().session_count());
    /// SIP transactions of this moment.
    Gauge "sip_transactions" = count(from.state.sip().transaction_count());
    /// Subscriptions of this moment.
    Gauge "sip_subscriptions" = count(from.state.sip().subscription_count());
    /// Addresses whose rate is being watched.
    Gauge "sip_sources" = count(from.state.sip().source_count());
    /// Requests received, by method.
    Counter "sip_requests_received_total" ["method=\"INVITE\""] = received(from, &Method::Invite);
    Counter "sip_requests_received_total" ["method=\"REGISTER\""]
        = received(from, &Method::Register);
    Counter "sip_requests_received_total" ["method=\"other\""] = received_other(from);
    /// Responses sent, by class.
    Counter "sip_responses_sent_total" ["class=\"1xx\""] = from.state.sip().counters().responses_sent.get(1);
    Counter "sip_responses_sent_total" ["class=\"2xx\""] = from.state.sip().counters().responses_sent.get(2);
    Counter "sip_responses_sent_total" ["class=\"3xx\""] = from.state.sip().counters().responses_sent.get(3);
    Counter "sip_responses_sent_total" ["class=\"4xx\""] = from.state.sip().counters().responses_sent.get(4);
    Counter "sip_responses_sent_total" ["class=\"5xx\""] = from.state.sip().counters().responses_sent.get(5);
    Counter "sip_responses_sent_total" ["class=\"6xx\""] = from.state.sip().counters().responses_sent.get(6);
    /// Messages and calls turned away, by reason.
    Counter "sip_refused_total" ["why=\"malformed\""] = from.state.sip().counters().refused.malformed;
    Counter "sip_refused_total" ["why=\"framing\""] = from.state.sip().counters().refused.framing;
    Counter "sip_refused_total" ["why=\"flood\""] = from.state.sip().counters().refused.flood;
    Counter "sip_refused_total" ["why=\"call_rate\""] = from.state.sip().counters().refused.call_rate;
    Counter "sip_refused_total" ["why=\"overload\""] = from.state.sip().counters().refused.overload;
    Counter "sip_refused_total" ["why=\"connections\""] = from.state.sip().counters().refused.connections;
    Counter "sip_refused_total" ["why=\"unauthorized\""] = from.state.sip().counters().refused.unauthorized;
    Counter "sip_refused_total" ["why=\"unknown_dialog\""] = from.state.sip().counters().refused.unknown_dialog;
    Counter "sip_refused_total" ["why=\"loops\""] = from.state.sip().counters().refused.loops;
    Counter "sip_refused_total" ["why=\"unsupported\""] = from.state.sip().counters().refused.unsupported;
    Counter "sip_refused_total" ["why=\"conflicts\""] = from.state.sip().counters().refused.conflicts;
    /// Requests of ours without an answer in time.
    Counter "sip_timeouts_total" = from.state.sip().counters().timeouts;
    /// Transactions that found no way, or lost it.
    Counter "sip_transport_failures_total" = from.state.sip().counters().transport_failures;
    /// Requests that were repeated to us.
    Counter "sip_requests_repeated_total" = from.state.sip().counters().repeated_requests;
    /// Responses that belong to nothing.
    Counter "sip_responses_stray_total" = from.state.sip().counters().stray_responses;

    /// Registered devices of this moment.
    Gauge "registrations" = registrar(from, |registrar| count(registrar.binding_count()));
    /// Registrations made or refreshed.
    Counter "registrations_total" = registrar_count(from, |counters| counters.registered);
    /// Registrations that ran out.
    Counter "registrations_expired_total" = registrar_count(from, |counters| counters.expired);
    /// Wrong passwords.
    Counter "registrations_wrong_password_total"
        = registrar_count(from, |counters| counters.wrong_credentials);
    /// REGISTER requests refused because their source or account is barred.
    Counter "registrations_barred_total" = registrar_count(from, |counters| counters.barred);
    /// REGISTER requests refused because too many waited for the store.
    Counter "registrations_store_busy_total" = registrar_count(from, |counters| counters.store_busy);

    /// Datagrams received.
    Counter "datagrams_received_total" = from.flows.datagrams_received;
    /// Datagrams sent.
    Counter "datagrams_sent_total" = from.flows.datagrams_sent;
    /// Datagrams dropped by the system because the gateway was too slow.
    Counter "datagrams_lost_total" = from.flows.datagrams_lost;
    /// Datagrams too long, dropped.
    Counter "datagrams_truncated_total" = from.flows.datagrams_truncated;
    /// Datagrams dropped because the system took no more.
    Counter "datagrams_overflowed_total" = from.flows.datagrams_overflowed;
    /// Datagrams the system refused to send.
    Counter "datagrams_refused_total" = from.flows.send_errors.sum();
    /// Messages that could not be sent, whatever the transport.
    Counter "messages_unsent_total" = from.hands.counts.unsent;
    /// Connections accepted.
    Counter "connections_accepted_total" = from.flows.accepted;
    /// Connections opened by us.
    Counter "connections_opened_total" = from.flows.connected;
    /// Connections turned away, by reason.
    Counter "connections_refused_total" ["why=\"total\""] = from.flows.refused_total;
    Counter "connections_refused_total" ["why=\"source\""] = from.flows.refused_source;
    Counter "connections_refused_total" ["why=\"outgoing\""] = from.flows.refused_outgoing;
    Counter "connections_refused_total" ["why=\"handshake\""]
        = from.flows.closed.handshake + from.flows.closed.handshake_timeout;
    /// Connections that ended, opened or not.
    Counter "connections_closed_total" = from.flows.closed.sum();

    /// Recordings that are being made.
    Gauge "recordings" = from.hands.recorder.figures().running.load(Ordering::Relaxed);
    /// Recordings that were begun.
    Counter "recordings_total" = from.hands.recorder.figures().recordings.load(Ordering::Relaxed);
    /// Recordings that could not begin, or were cut short by the disk.
    Counter "recordings_failed_total" = from.hands.recorder.figures().failed.load(Ordering::Relaxed);
    /// Recordings removed because of their age, or to make room.
    Counter "recordings_removed_total" = from.hands.recorder.figures().removed.load(Ordering::Relaxed);
    /// What recordings have written.
    Counter "recording_bytes_total" = from.hands.recorder.figures().bytes.load(Ordering::Relaxed);
    /// Frames of 20 ms that are missing in recordings because the recorder was too busy.
    Counter "recording_frames_lost_total" = from.hands.recorder.figures().frames_lost.load(Ordering::Relaxed);

    /// Keys that came a second time in another form, or in a form that the station is not to use.
    Counter "keys_ignored_total" = from.state.counters().keys_ignored;
    /// Keys that were not passed on to a station: 32 waited for it already, or it takes no events.
    Counter "keys_lost_total" = from.hands.media.refused_keys();

    /// Sockets of media threads.
    Gauge "media_sockets" = from.hands.media.counters().sockets;
    /// Media packets received.
    Counter "media_packets_received_total" = from.hands.media.counters().received;
    /// Media packets sent.
    Counter "media_packets_sent_total" = from.hands.media.counters().sent;
    /// Media packets the system had no room for.
    Counter "media_packets_dropped_total" = from.hands.media.counters().send_full
        + from.hands.media.counters().send_failed;
    /// Media packets that were given to nobody, by reason.
    Counter "media_packets_refused_total" ["why=\"malformed\""] = from.hands.media.refused(Reason::Malformed);
    Counter "media_packets_refused_total" ["why=\"refused_source\""] = from.hands.media.refused(Reason::Refused);
    Counter "media_packets_refused_total" ["why=\"flood\""] = from.hands.media.refused(Reason::Flood);
    Counter "media_packets_refused_total" ["why=\"duplicate\""] = from.hands.media.refused(Reason::Duplicate);
    Counter "media_packets_refused_total" ["why=\"out_of_place\""] = from.hands.media.refused(Reason::OutOfPlace);
    Counter "media_packets_refused_total" ["why=\"foreign_ssrc\""] = from.hands.media.refused(Reason::ForeignSsrc);
    Counter "media_packets_refused_total" ["why=\"unknown_payload\""] = from.hands.media.refused(Reason::UnknownPayload);
    Counter "media_packets_refused_total" ["why=\"not_to_send\""] = from.hands.media.refused(Reason::NotToSend);
    Counter "media_packets_refused_total" ["why=\"no_payload_type\""] = from.hands.media.refused(Reason::NoPayloadType);
    Counter "media_packets_refused_total" ["why=\"nowhere_to_send\""] = from.hands.media.refused(Reason::NowhereToSend);
    Counter "media_packets_refused_total" ["why=\"srtp_authentication\""] = from.hands.media.refused(Reason::Forged);
    Counter "media_packets_refused_total" ["why=\"srtp_replay\""] = from.hands.media.refused(Reason::Replayed);
    Counter "media_packets_refused_total" ["why=\"srtp_no_keys\""] = from.hands.media.refused(Reason::NoKeys);
    Counter "media_packets_refused_total" ["why=\"srtp_key_exhausted\""] = from.hands.media.refused(Reason::KeyExhausted);
    Counter "media_packets_refused_total" ["why=\"no_call\""] = from.hands.media.stray();
    /// Commands that did not reach the media thread: calls without sound.
    Counter "media_commands_lost_total" = from.hands.media.lost_commands();
    /// Recorded messages that stations were called for.
    Counter "media_messages_total" = from.state.counters().messages_played;
    /// Times that a station was called for an audio programme.
    Counter "media_programmes_total" = from.state.counters().programmes_begun;
    /// Messages and programmes that were asked for and are not there.
    Counter "media_playbacks_refused_total" = from.state.counters().playbacks_refused;
    /// Conversations ended because nothing was heard any more.
    Counter "media_silent_total" = from.state.counters().silent_legs;
    /// Legs that sounded badly, by what hurt most.
    Counter "legs_poor_total" ["cause=\"nothing_heard\""] = from.hands.sound.trouble(Cause::NothingHeard);
    Counter "legs_poor_total" ["cause=\"loss_from_device\""] = from.hands.sound.trouble(Cause::LossFromDevice);
    Counter "legs_poor_total" ["cause=\"late_from_device\""] = from.hands.sound.trouble(Cause::LateFromDevice);
    Counter "legs_poor_total" ["cause=\"loss_towards_device\""] = from.hands.sound.trouble(Cause::LossTowardsDevice);
    Counter "legs_poor_total" ["cause=\"jitter_towards_device\""] = from.hands.sound.trouble(Cause::JitterTowardsDevice);
    Counter "legs_poor_total" ["cause=\"long_way\""] = from.hands.sound.trouble(Cause::LongWay);
    Counter "legs_poor_total" ["cause=\"faint\""] = from.hands.sound.trouble(Cause::Faint);
    /// Packets of devices that were lost on their way to us, of legs that ended.
    Counter "leg_packets_lost_total" = from.hands.sound.lost();
    /// Milliseconds of sound that were invented in place of what was missing, of legs that ended.
    Counter "leg_concealed_milliseconds_total" = from.hands.sound.concealed_ms();

    /// 1 while a file of the store cannot be written.
    Gauge "store_degraded" ["file=\"bindings\""] = degraded(&from.store.bindings);
    Gauge "store_degraded" ["file=\"journal\""] = degraded(&from.store.journal);
    Gauge "store_degraded" ["file=\"spool\""] = degraded(&from.store.spool);
    /// Writes that wait for the disk.
    Gauge "store_waiting" ["file=\"bindings\""] = from.store.bindings.waiting.load(Ordering::Relaxed);
    Gauge "store_waiting" ["file=\"journal\""] = from.store.journal.waiting.load(Ordering::Relaxed);
    Gauge "store_waiting" ["file=\"spool\""] = from.store.spool.waiting.load(Ordering::Relaxed);
    /// Writes kept.
    Counter "store_writes_total" ["file=\"bindings\""] = from.store.bindings.writes.load(Ordering::Relaxed);
    Counter "store_writes_total" ["file=\"journal\""] = from.store.journal.writes.load(Ordering::Relaxed);
    Counter "store_writes_total" ["file=\"spool\""] = from.store.spool.writes.load(Ordering::Relaxed);
    /// Commits, each of a group of writes.
    Counter "store_commits_total" ["file=\"bindings\""] = from.store.bindings.commits.load(Ordering::Relaxed);
    Counter "store_commits_total" ["file=\"journal\""] = from.store.journal.commits.load(Ordering::Relaxed);
    Counter "store_commits_total" ["file=\"spool\""] = from.store.spool.commits.load(Ordering::Relaxed);
    /// Commits that failed.
    Counter "store_commits_failed_total" ["file=\"bindings\""]
        = from.store.bindings.failed_commits.load(Ordering::Relaxed);
    Counter "store_commits_failed_total" ["file=\"journal\""]
        = from.store.journal.failed_commits.load(Ordering::Relaxed);
    Counter "store_commits_failed_total" ["file=\"spool\""]
        = from.store.spool.failed_commits.load(Ordering::Relaxed);
    /// Writes lost for good.
    Counter "store_writes_lost_total" ["file=\"bindings\""]
        = from.store.bindings.lost_writes.load(Ordering::Relaxed);
    Counter "store_writes_lost_total" ["file=\"journal\""]
        = from.store.journal.lost_writes.load(Ordering::Relaxed) + from.hands.counts.records_lost;
    Counter "store_writes_lost_total" ["file=\"spool\""]
        = from.store.spool.lost_writes.load(Ordering::Relaxed);
    /// Broken files set aside.
    Counter "store_files_set_aside_total" ["file=\"bindings\""]
        = from.store.bindings.set_aside.load(Ordering::Relaxed);
    Counter "store_files_set_aside_total" ["file=\"journal\""]
        = from.store.journal.set_aside.load(Ordering::Relaxed);
    Counter "store_files_set_aside_total" ["file=\"spool\""]
        = from.store.spool.set_aside.load(Ordering::Relaxed);

    /// 1 while the gateway is one of a cloud core.
    Gauge "link_claimed" = u64::from(from.hands.link.is_claimed());
    /// 1 while the core is connected and has answered the greeting.
    Gauge "link_connected" = link(from, |link| u64::from(link.connected));
    /// 1 while calls may depend on the core.
    Gauge "link_online" = link(from, |link| u64::from(link.phase.is_served_by_core()));
    /// When the certificate for the core ends, in seconds since 1970.
    Gauge "link_certificate_ends_seconds"
        = link(from, |link| u64::try_from(link.certificate_until / 1000).unwrap_or_default());
    /// Certificates that were renewed.
    Counter "link_renewals_total" = link(from, |link| link.renewals);
    /// Renewals that came to nothing.
    Counter "link_renewals_failed_total" = link(from, |link| link.failed_renewals);
    /// Records that wait for the core.
    Gauge "link_outbox_records" = link(from, |link| count(link.waiting));
    /// Octets of these.
    Gauge "link_outbox_octets" = link(from, |link| count(link.waiting_octets));
    /// Records that the core has acknowledged.
    Counter "link_records_total" = figure(from, |figures| figures.events_told);
    /// Records that were sent once more, as a connection ended before they were acknowledged.
    Counter "link_records_repeated_total" = figure(from, |figures| figures.events_repeated);
    /// Records that were given up: no room, too old, unreadable.
    Counter "link_records_dropped_total" ["why=\"telemetry\""] = figure(from, |figures| figures.telemetry_dropped);
    Counter "link_records_dropped_total" ["why=\"calls\""] = figure(from, |figures| figures.calls_dropped);
    Counter "link_records_dropped_total" ["why=\"age\""] = figure(from, |figures| figures.expired);
    Counter "link_records_dropped_total" ["why=\"unreadable\""] = figure(from, |figures| figures.unreadable);
    /// Connections to the core that were greeted and answered.
    Counter "link_connections_total" = figure(from, |figures| figures.settled);
    /// Connections that were lost, or could not be made.
    Counter "link_losses_total" = figure(from, |figures| figures.lost);
    /// Connections that the core refused.
    Counter "link_refusals_total" = figure(from, |figures| figures.refused);
    /// Commands of the core.
    Counter "link_commands_total" = figure(from, |figures| figures.commands);
    /// Of these, those that were refused at once: expired, no clock, too many.
    Counter "link_commands_refused_total" = figure(from, |figures| figures.commands_refused);
    /// Messages of the core that nobody could read.
    Counter "link_malformed_total" = figure(from, |figures| figures.malformed);
    /// 1 while the connection is there by which calls go to the core and come from it.
    Gauge "core_calls_connected" = u64::from(from.hands.uplink.is_up());
    /// Times that this connection was opened.
    Counter "core_calls_connections_total" = from.hands.uplink.opened;
    /// Answers to the core that the link had no room for.
    Counter "link_unsaid_total" = from.hands.link.unsaid;

    /// Entries of the timeline written.
    Counter "timeline_entries_total" = from.hands.timeline.figures().entries.load(Ordering::Relaxed);
    /// What the timeline has written.
    Counter "timeline_bytes_total" = from.hands.timeline.figures().bytes.load(Ordering::Relaxed);
    /// Entries that are missing in the timeline; a gap stands in their place.
    Counter "timeline_entries_lost_total" ["why=\"disk\""]
        = from.hands.timeline.figures().lost[0].load(Ordering::Relaxed);
    Counter "timeline_entries_lost_total" ["why=\"behind\""]
        = from.hands.timeline.figures().lost[1].load(Ordering::Relaxed);
    Counter "timeline_entries_lost_total" ["why=\"flood\""]
        = from.hands.timeline.figures().lost[2].load(Ordering::Relaxed);
    /// Files of the timeline removed because of their age, or to make room.
    Counter "timeline_files_removed_total" = from.hands.timeline.figures().removed.load(Ordering::Relaxed);
    /// 1 while the timeline cannot be written.
    Gauge "timeline_failing" = from.hands.timeline.figures().failing.load(Ordering::Relaxed);
}}

fn received(from: &Sources<'_>, method: &Method) -> u64 {
    from.state.sip().counters().requests_received.get(method)
}

fn received_other(from: &Sources<'_>) -> u64 {
    let all = from.state.sip().counters().requests_received.iter();
    let named = received(from, &Method::Invite) + received(from, &Method::Register);
    all.map(|(_, number)| number).sum::<u64>() - named
}

fn registrar(from: &Sources<'_>, figure: impl Fn(&Registrar) -> u64) -> u64 {
    from.state.sip().registrar().map_or(0, figure)
}

fn registrar_count(from: &Sources<'_>, figure: impl Fn(&Counters) -> u64) -> u64 {
    registrar(from, |registrar| figure(registrar.counters()))
}

/// Of the link; 0 while there is none.
fn link(from: &Sources<'_>, of: impl Fn(&Standing) -> u64) -> u64 {
    from.hands
        .link
        .standing()
        .map_or(0, |standing| of(&standing))
}

fn figure(from: &Sources<'_>, of: impl Fn(&session::Figures) -> u64) -> u64 {
    link(from, |standing| of(&standing.figures))
}

fn degraded(lane: &LaneFigures) -> u64 {
    u64::from(lane.degraded.load(Ordering::Relaxed))
}
