//! The list of figures: name, meaning, source. Names never change once released.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::web_calls::WebCalls;

use super::{Description, Kind, Sources, Stored};

macro_rules! figures {
    (|$sources:ident, $stored:ident| {
        $( $(#[doc = $help:literal])* $kind:ident $name:literal $([$labels:literal])? = $value:expr; )+
    }) => {
        pub(super) const DESCRIPTIONS: &[Description] = &[
            $( Description {
                name: concat!("antiphon_cloud_", $name),
                labels: concat!($($labels)?),
                kind: Kind::$kind,
                help: concat!($($help),*),
            }, )+
        ];

        /// Each figure with its value, if that is known now.
        pub(super) fn values(
            $sources: &Sources,
            $stored: Option<&Stored>,
        ) -> impl Iterator<Item = (&'static Description, Option<u64>)> {
            let values: [Option<u64>; DESCRIPTIONS.len()] = [$( $value.into() ),+];
            DESCRIPTIONS.iter().zip(values)
        }
    };
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// By the name that the door itself gives it.
fn door(from: &Sources, name: &str) -> u64 {
    let all = from.door.all();
    let found = all.iter().find(|(known, _)| *known == name);
    found.map_or(0, |(_, value)| *value)
}

/// Of calls in browsers, where this core takes them.
fn web(from: &Sources, read: impl FnOnce(&WebCalls) -> u64) -> Option<u64> {
    from.core.web_calls.as_ref().map(read)
}

figures! { |from, stored| {
    /// When the process was started, in seconds since 1970.
    Gauge "start_time_seconds" = u64::try_from(from.started.unix_ms() / 1000).unwrap_or(0);
    /// 1 while the store answers.
    Gauge "store_up" = u64::from(stored.is_some());
    /// Connections to the database of this moment.
    Gauge "store_connections" = from.core.store.connections().all;
    /// Those of them that nobody uses.
    Gauge "store_connections_idle" = from.core.store.connections().idle;

    /// Nodes that serve: their leases have not run out.
    Gauge "nodes" = stored.map(|stored| stored.nodes);
    /// Devices that belong to somebody.
    Gauge "devices_claimed" = stored.map(|stored| stored.devices_claimed);
    /// Devices that are online, at any node.
    Gauge "devices_online" = stored.map(|stored| stored.devices_online);
    /// Commands that are not over.
    Gauge "commands_open" = stored.map(|stored| stored.commands_open);
    /// Letters that wait for the mail server.
    Gauge "letters_waiting" = stored.map(|stored| stored.letters_waiting);
    /// Letters of the last month that never left.
    Gauge "letters_failed" = stored.map(|stored| stored.letters_failed);
    /// How long the oldest letter that waits has waited.
    Gauge "letters_oldest_seconds" = stored.map(|stored| stored.oldest_letter);

    /// Letters that left, from this node.
    Counter "letters_sent_total" = read(&from.core.mail.figures().sent);
    /// Tries after which a letter waits for the next.
    Counter "letters_put_off_total" = read(&from.core.mail.figures().put_off);
    /// Letters that were given up.
    Counter "letters_given_up_total" = read(&from.core.mail.figures().given_up);
    /// Times the mail server could not be used at all.
    Counter "mail_server_failures_total" = read(&from.core.mail.figures().server_failures);
    /// Letters about notices that were not written, because their reader has enough of them.
    Counter "letters_held_back_total" = read(&from.core.mail.figures().held_back);

    /// Rows and blobs that were forgotten because their time was over, by this node.
    Counter "forgotten_total" = from.core.forgotten.total();

    /// Connections taken, by listener.
    Counter "connections_accepted_total" ["listener=\"api\""] = read(&from.api.accepted);
    Counter "connections_accepted_total" ["listener=\"revocation\""] = read(&from.revocation.accepted);
    /// Connections that never came about: no TLS, a certificate that is not taken, silence.
    Counter "connections_refused_total" ["listener=\"api\""] = read(&from.api.refused);
    Counter "connections_refused_total" ["listener=\"revocation\""] = read(&from.revocation.refused);
    /// Connections closed at once, because their network had its most already.
    Counter "connections_crowded_total" ["listener=\"api\""] = read(&from.api.crowded);
    Counter "connections_crowded_total" ["listener=\"revocation\""] = read(&from.revocation.crowded);
    /// Requests refused because there were too many of one address or one caller.
    Counter "requests_limited_total" ["by=\"address\""] = from.limits().refused()[0];
    Counter "requests_limited_total" ["by=\"caller\""] = from.limits().refused()[1];
    /// Pages that listen to what changes, at this node.
    Gauge "event_streams" = crate::core::streams_open(&from.core);

    /// Devices whose connections this node holds.
    Gauge "door_devices" = from.door.devices();
    /// Sockets accepted at the devices' door.
    Counter "door_sockets_total" = door(from, "sockets");
    /// Sockets refused there because there were as many as there may be.
    Counter "door_sockets_over_limit_total" = door(from, "sockets_over_limit");
    /// TLS handshakes of devices that failed or took too long.
    Counter "door_handshakes_failed_total" = door(from, "handshakes_failed");
    /// Certificates without a name of the link in them.
    Counter "door_certificates_nameless_total" = door(from, "certificates_nameless");
    /// Devices that were let in.
    Counter "door_admitted_total" = door(from, "admitted");
    /// Devices that were not.
    Counter "door_refused_total" = door(from, "refused");
    /// Messages of devices that were stored.
    Counter "door_messages_stored_total" = door(from, "stored");
    /// Messages that were stored before.
    Counter "door_messages_repeated_total" = door(from, "repeated");
    /// Messages that were no document of the link.
    Counter "door_documents_refused_total" = door(from, "documents_refused");
    /// Messages that the store would not take.
    Counter "door_messages_not_stored_total" = door(from, "not_stored");
    /// Transactions that stored messages.
    Counter "door_commits_total" = door(from, "commits");
    /// Commands that were put on the wire.
    Counter "door_commands_sent_total" = door(from, "commands_sent");
    /// Settings that were put on the wire.
    Counter "door_settings_sent_total" = door(from, "settings_sent");
    /// Connections to a broker that ended, or did not come about.
    Counter "door_broker_lost_total" = door(from, "broker_lost");
    /// Connections of devices that ended, by why.
    Counter "door_ended_total" ["why=\"goodbye\""] = door(from, "ended_goodbye");
    Counter "door_ended_total" ["why=\"protocol\""] = door(from, "ended_protocol");
    Counter "door_ended_total" ["why=\"not_allowed\""] = door(from, "ended_not_allowed");
    Counter "door_ended_total" ["why=\"silence\""] = door(from, "ended_silence");
    Counter "door_ended_total" ["why=\"taken_over\""] = door(from, "ended_taken_over");
    Counter "door_ended_total" ["why=\"barred\""] = door(from, "ended_barred");
    Counter "door_ended_total" ["why=\"slow_reader\""] = door(from, "ended_slow_reader");
    Counter "door_ended_total" ["why=\"leaving\""] = door(from, "ended_leaving");
    Counter "door_ended_total" ["why=\"lost\""] = door(from, "ended_lost");

    /// Gateways that are connected for calls, at this node.
    Gauge "calls_gateways" = from.calls.of("flows");
    /// Companies whose calls this node makes.
    Gauge "calls_companies" = from.calls.of("companies");
    /// Calls of this moment, as of the last ten seconds.
    Gauge "calls_running" = from.calls.of("calls");
    /// Flows of SIP that were turned away before anybody was known there.
    Counter "calls_flows_refused_total" = from.calls.of("flows_refused");
    /// Flows that ended because their certificate opens nothing, or no longer.
    Counter "calls_flows_barred_total" = from.calls.of("flows_barred");
    /// Messages of SIP that did not leave: their flow was gone, or they led to somebody without one.
    Counter "calls_messages_unsent_total" = from.calls.of("unsent");
    /// Records of legs that were written.
    Counter "calls_records_total" = from.calls.of("records");
    /// Records that are lost because the store took none for too long.
    Counter "calls_records_lost_total" = from.calls.of("records_lost");
    /// Questions of the thread of calls that found no room.
    Counter "calls_questions_lost_total" = from.calls.of("questions_lost");
    /// Commands that a media thread was too busy to take.
    Gauge "calls_media_commands_lost" = from.calls.of("media_lost");
    /// Pages that can be rung, at this node.
    Gauge "web_calls_pages" = web(from, WebCalls::pages);
    /// Legs of browsers at this node.
    Gauge "web_calls_legs" = web(from, |calls| calls.edge().figures().legs());
    /// Legs whose network came about: ICE and DTLS.
    Counter "web_calls_legs_connected_total" = web(from, |calls| calls.edge().figures().connected());
    /// Legs that were not made: too many, or a description that is not understood.
    Counter "web_calls_legs_refused_total" = web(from, |calls| calls.edge().figures().refused());
    /// Packets of sound and pictures, by direction.
    Counter "web_calls_packets_total" ["to=\"far_end\""] = web(from, |calls| calls.edge().figures().from_browsers());
    Counter "web_calls_packets_total" ["to=\"browser\""] = web(from, |calls| calls.edge().figures().to_browsers());
    /// Packets that went no further, by why.
    Counter "web_calls_packets_dropped_total" ["why=\"not_agreed\""] = web(from, |calls| calls.edge().figures().not_carried());
    Counter "web_calls_packets_dropped_total" ["why=\"no_room\""] = web(from, |calls| calls.edge().figures().dropped());
    Counter "web_calls_packets_dropped_total" ["why=\"nobodys\""] = web(from, |calls| calls.edge().figures().strays());
    /// Checks of ICE that were refused, by why.
    Counter "web_calls_checks_refused_total" ["why=\"password\""] = web(from, |calls| calls.edge().figures().wrong_passwords());
    Counter "web_calls_checks_refused_total" ["why=\"too_many\""] = web(from, |calls| calls.edge().figures().checks_limited());
    /// Questions for one's own address (STUN), by what came of them.
    Counter "web_calls_addresses_total" ["answer=\"told\""] = web(from, |calls| calls.edge().figures().addresses_told());
    Counter "web_calls_addresses_total" ["answer=\"none\""] = web(from, |calls| calls.edge().figures().addresses_limited());
    /// Connections of browsers without UDP, by what came of them.
    Counter "web_calls_tcp_total" ["outcome=\"accepted\""] = web(from, |calls| calls.edge().figures().tcp_accepted());
    Counter "web_calls_tcp_total" ["outcome=\"refused\""] = web(from, |calls| calls.edge().figures().tcp_refused());
    /// What became of legs and was not told, because too much waited.
    Counter "web_calls_news_lost_total" = web(from, |calls| calls.edge().figures().notices_lost());
    /// What calls wanted of pages and was not done, because too much waited.
    Counter "web_calls_commands_lost_total" = from.calls.of("page_commands_lost");
    /// Messages of pages that were not understood, or could not be done.
    Counter "web_calls_messages_refused_total" = web(from, |calls| read(&calls.figures().messages_refused));
    /// Pages that were cut off because they said too much.
    Counter "web_calls_pages_cut_off_total" = web(from, |calls| read(&calls.figures().pages_cut_off));
    /// Pages that came back to where they were.
    Counter "web_calls_pages_back_total" = web(from, |calls| read(&calls.figures().pages_back));
    /// Calls that ended because their page did not come back.
    Counter "web_calls_abandoned_total" = web(from, |calls| read(&calls.figures().calls_abandoned));
    /// Test calls that people made.
    Counter "web_calls_tests_total" = web(from, |calls| read(&calls.figures().test_calls));
} }
