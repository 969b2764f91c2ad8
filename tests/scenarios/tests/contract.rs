//! Every machine of the house keeps the contract of machines; see `scenarios::contract`.

use scenarios::contract::{Machine, keep};
use scenarios::machines::{
    Calls, IsdnLine, LegacyPorts, LinkSession, MediaRelay, SipEndpoint, StationRegistrar,
    WholeGateway,
};

/// `found`: seeds that once found something.
///
/// More, for a longer look: SEEDS=500 cargo test -p scenarios --test contract
fn lives<M: Machine>(inputs: usize, found: &[u64]) {
    let seeds = std::env::var("SEEDS").map_or(6, |n| n.parse().expect("a number of seeds"));
    for seed in found.iter().copied().chain(0..seeds) {
        keep::<M>(seed, inputs);
    }
}

#[test]
fn the_call_engine_keeps_the_contract() {
    lives::<Calls>(600, &[]);
}

#[test]
fn lines_to_older_servers_keep_the_contract() {
    lives::<LegacyPorts>(600, &[]);
}

#[test]
fn the_link_to_the_core_keeps_the_contract() {
    lives::<LinkSession>(600, &[]);
}

#[test]
fn the_media_relay_keeps_the_contract() {
    lives::<MediaRelay>(600, &[39]);
}

#[test]
fn the_registrar_keeps_the_contract() {
    lives::<StationRegistrar>(600, &[]);
}

#[test]
fn the_sip_endpoint_keeps_the_contract() {
    lives::<SipEndpoint>(600, &[]);
}

#[test]
fn the_gateway_keeps_the_contract() {
    lives::<WholeGateway>(600, &[7]);
}

/// Eight seeds are each kind of line, from each side.
#[test]
fn an_isdn_line_keeps_the_contract() {
    lives::<IsdnLine>(600, &[6, 7]);
}
