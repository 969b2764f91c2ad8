//! Who is let in: RFC 3261 22, RFC 7616, RFC 8760.

use sip::digest::{Ha1Set, Md5Use};
use sip::message::{HeaderName, Method, StatusCode};
use sip::registrar::{Account, Authentication, Role};

use super::world::{PASSWORD, REALM, Station, World, account, header, settings};

fn old(user: &str) -> Account {
    Account::new(
        user,
        Ha1Set::from_password(user, REALM, PASSWORD, Md5Use::Allowed),
    )
}

/// Old stations refuse a challenge beside which they find an algorithm that they do not know.
#[test]
fn a_station_is_asked_for_md5_alone_where_its_account_allows_it() {
    let mut world = World::new(settings(), vec![account("101"), old("102")]);
    for (user, algorithm) in [("101", "SHA-256"), ("102", "MD5")] {
        let value = challenge(&mut world, user);
        assert!(
            value.contains(&format!("algorithm={algorithm}, qop=\"auth\"")),
            "{value}"
        );
        assert!(value.contains("realm=\"site\"") && !value.contains("stale"));
    }
}

/// Otherwise the algorithm would tell which names have an account.
#[test]
fn unknown_users_are_asked_for_what_known_ones_are_asked_for() {
    let asked = |accounts: Vec<Account>| {
        let mut world = World::new(settings(), accounts);
        let ask = |number| {
            let user = format!("9{number:02}");
            let value = challenge(&mut world, &user);
            assert_eq!(value.len(), challenge(&mut world, &user).len(), "{user}");
            usize::from(value.contains("algorithm=MD5"))
        };
        (0..40).map(ask).sum::<usize>()
    };
    assert_eq!(asked(vec![account("101"), account("102")]), 0);
    assert_eq!(asked(vec![old("101"), old("102")]), 40);
    let mixed = asked(vec![account("101"), old("102")]);
    assert!((5..=35).contains(&mixed), "{mixed} of 40");
}

fn challenge(world: &mut World, user: &str) -> String {
    let mut station = Station::udp(user, "10.0.0.7:5060");
    let request = station.request(&[]);
    let answer = world.give(&request, &station.flow).unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let values = header(&answer, HeaderName::WwwAuthenticate);
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].to_owned()
}

#[test]
fn an_unknown_user_is_answered_like_a_wrong_password() {
    let mut world = World::usual();
    let mut seen = Vec::new();
    for user in ["101", "999"] {
        let mut station = Station::udp(user, "10.0.0.7:5060");
        station.password = "guess".into();
        let request = station.request(&[]);
        let first = world.give(&request, &station.flow).unwrap();
        station.challenged(&first);
        let request = station.request(&[]);
        let request = station.sign(request);
        let second = world.give(&request, &station.flow).unwrap();
        let shape = |answer: &sip::registrar::Answer| {
            let values = header(answer, HeaderName::WwwAuthenticate);
            let lens: Vec<_> = values.iter().map(|value| value.len()).collect();
            (answer.status, answer.headers.len(), lens)
        };
        seen.push((shape(&first), shape(&second)));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(world.registrar.counters().wrong_credentials, 2);
}

#[test]
fn the_password_of_another_account_does_not_help() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.register(&mut world, &[]);
    let mut request = station.request(&["Contact: <sip:x@10.0.0.7>"]);
    request
        .headers
        .replace(HeaderName::To, "<sip:102@antiphon.example>");
    let request = station.sign(request);
    let answer = world.give(&request, &station.flow).unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!world.up("102"));
}

#[test]
fn an_old_nonce_is_called_stale_and_the_station_gets_in_by_itself() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    world.wait(301);
    let request = station.request(&[]);
    let request = station.sign(request);
    let answer = world.give(&request, &station.flow).unwrap();
    assert!(header(&answer, HeaderName::WwwAuthenticate)[0].ends_with(", stale=true"));
    station.up(&mut world);
    assert_eq!(world.registrar.counters().wrong_credentials, 0);
}

#[test]
fn a_replayed_request_is_not_carried_out() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let line = format!("Contact: {};expires=0", station.contact());
    let request = station.request(&[&line]);
    let request = station.sign(request);
    assert_eq!(
        world.give(&request, &station.flow).unwrap().status,
        StatusCode::OK
    );
    station.up(&mut world);
    let replayed = world.give(&request, &station.flow).unwrap();
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED);
    assert!(world.up("101"));
    // From another address the nonce is worth nothing at all.
    let thief = Station::udp("101", "10.6.6.6:5060");
    let line = format!("Contact: {};expires=0", station.contact());
    let request = station.request(&[&line]);
    let request = station.sign(request);
    let replayed = world.give(&request, &thief.flow).unwrap();
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED);
    assert!(world.up("101"));
}

#[test]
fn credentials_for_other_realms_are_passed_over() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let request = station.request(&[]);
    let foreign = r#"Digest username="a", realm="proxy", nonce="n", uri="sip:x", response="0""#;
    let request = request.with_header(HeaderName::Authorization, foreign);
    let request = request.with_header(HeaderName::Authorization, "Bearer xyz");
    let request = station.sign(request);
    assert_eq!(
        world.give(&request, &station.flow).unwrap().status,
        StatusCode::OK
    );
}

#[test]
fn broken_credentials_are_a_bad_request() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for value in [
        "Digest username=\"101\"",
        "Digest x",
        "Digest realm=\"a\", realm=\"b\"",
    ] {
        let request = station
            .request(&[])
            .with_header(HeaderName::Authorization, value);
        let answer = world.give(&request, &station.flow).unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{value}");
    }
    assert_eq!(world.registrar.counters().malformed, 3);
}

#[test]
fn an_account_without_hashes_cannot_be_registered() {
    let mut world = World::new(settings(), vec![Account::new("101", Ha1Set::default())]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let answer = station
        .register(&mut world, &["Contact: <sip:101@10.0.0.7>"])
        .unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn other_requests_are_authenticated_against_the_same_accounts() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let mut request = station.request(&[]);
    request.method = Method::Invite;
    let now = world.now;
    let first = world
        .registrar
        .authenticate(&request, "101", Role::Proxy, &station.flow, now);
    let Authentication::Answer(answer) = first else {
        panic!("{first:?}");
    };
    assert_eq!(answer.status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let values = header(&answer, HeaderName::ProxyAuthenticate);
    let mut answerer = sip::digest::client::Answerer::choose(values).unwrap();
    let identity = sip::digest::client::Identity::new("101", PASSWORD);
    let uri = request.uri.to_string();
    let asked = sip::digest::client::Asked {
        method: "INVITE",
        uri: &uri,
        body: b"",
    };
    let value = answerer.authorization(&identity, asked, "c").unwrap();
    let request = request.with_header(HeaderName::ProxyAuthorization, value);
    let granted = world
        .registrar
        .authenticate(&request, "101", Role::Proxy, &station.flow, now);
    assert_eq!(granted, Authentication::Granted("101".into()));
}
