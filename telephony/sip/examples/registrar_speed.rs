//! How fast stations register and what they cost: `cargo run --release -p sip --example
//! registrar_speed [stations]`.
//!
//! Each station sends REGISTER, is challenged, and sends it again with a SHA-256 digest, from an
//! address of its own. Timed is what a server does: read, check, bind, order the store, write the
//! answers. The store confirms at once. Memory is what the process grew by, accounts included.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sip::digest::client::{Answerer, Asked, Identity};
use sip::digest::server::Realm;
use sip::digest::{Ha1Set, Md5Use};
use sip::flow::{Flow, ListenerId};
use sip::message::{Limits, Message, Request, parse_datagram};
use sip::registrar::{Account, Answer, Decision, Output, Registrar, Settings, Store};

/// How many bindings are taken back after a restart.
const RESTORED: usize = 5000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let now = Instant::now();
    let before = resident_bytes()?;
    let mut registrar = Registrar::new(Settings::new(Realm::new("site")?), 1, now);
    let account = |n| {
        let user = user(n);
        let ha1 = Ha1Set::from_password(&user, "site", "secret", Md5Use::Refused);
        Account::new(&user, ha1)
    };
    registrar.set_accounts((0..count).map(account));
    let with_accounts = resident_bytes()?;

    let mut busy = Duration::ZERO;
    for n in 0..count {
        register(&mut registrar, n, now, &mut busy)?;
    }
    let bound = registrar.binding_count();
    let after = resident_bytes()?;
    // Once more: what a station does every half hour.
    let later = now + Duration::from_secs(1800);
    let mut refreshing = Duration::ZERO;
    let mut stored = Vec::new();
    for n in 0..count {
        let written = register(&mut registrar, n, later, &mut refreshing)?;
        if stored.len() < RESTORED {
            stored.extend(
                written
                    .bindings
                    .into_iter()
                    .map(|one| (written.aor.clone(), one)),
            );
        }
    }
    let mut restarted = Registrar::new(Settings::new(Realm::new("site")?), 2, later);
    restarted.set_accounts((0..RESTORED as u32).map(account));
    let begun = Instant::now();
    let restored = restarted.restore(stored, later).bindings;
    let restoring = begun.elapsed();
    let per_station = |bytes: u64| bytes / u64::from(count.max(1));
    let rate = |busy: Duration| f64::from(count) / busy.as_secs_f64();
    let report = format!(
        "{bound} stations registered\n\
         new bindings:  {:.0} registrations/s on one core (challenge and digest included)\n\
         refreshes:     {:.0} registrations/s on one core\n\
         memory:        {} bytes per station ({} of them for the account)\n\
         restart:       {restored} bindings taken back in {restoring:.1?}\n",
        rate(busy),
        rate(refreshing),
        per_station(after.saturating_sub(before)),
        per_station(with_accounts.saturating_sub(before)),
    );
    std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes())?;
    Ok(())
}

/// One station's round trip; adds the time the server took.
fn register(
    registrar: &mut Registrar,
    n: u32,
    now: Instant,
    busy: &mut Duration,
) -> Result<Store, Failure> {
    let remote = SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + n), 5060));
    let flow = Flow::udp(
        ListenerId(1),
        SocketAddr::from(([10, 0, 0, 1], 5060)),
        remote,
    );
    let first = request(n, remote, 1, "");
    let (challenge, _) = serve(registrar, &first, &flow, now, busy)?;
    let values = challenge.headers.iter().map(|(_, value)| value);
    let mut answerer = Answerer::choose(values).ok_or("the challenge cannot be answered")?;
    let asked = Asked {
        method: "REGISTER",
        uri: "sip:antiphon.example",
        body: b"",
    };
    let identity = Identity::new(&user(n), "secret");
    let value = answerer
        .authorization(&identity, asked, "c0ffee")
        .ok_or("no credentials")?;
    let second = request(n, remote, 2, &format!("Authorization: {value}\r\n"));
    let (answer, stored) = serve(registrar, &second, &flow, now, busy)?;
    match answer.status.code() {
        200 => stored.ok_or_else(|| "a binding was not stored".into()),
        code => Err(format!("station {n} was answered {code}").into()),
    }
}

fn serve(
    registrar: &mut Registrar,
    bytes: &[u8],
    flow: &Flow,
    now: Instant,
    busy: &mut Duration,
) -> Result<(Answer, Option<Store>), Failure> {
    let begun = Instant::now();
    let Message::Request(request) = parse_datagram(bytes, &Limits::default())? else {
        return Err("not a request".into());
    };
    let decision = registrar.register(&request, flow, now);
    let mut answer = match decision {
        Decision::Answer(answer) => Some(answer),
        Decision::Held(_) | Decision::Silence => None,
    };
    let mut stored = None;
    loop {
        match registrar.poll_output() {
            Output::Store(store) => {
                registrar.stored(store.token);
                stored = Some(store);
            }
            Output::Answer { answer: held, .. } => answer = Some(held),
            Output::Event(_) => {}
            Output::Timeout(_) => break,
        }
    }
    let answer = answer.ok_or("no answer")?;
    let written = response_bytes(&answer, &request);
    *busy += begun.elapsed();
    std::hint::black_box(written);
    Ok((answer, stored))
}

fn response_bytes(answer: &Answer, request: &Request) -> Vec<u8> {
    let response = answer.to_response(request).with_to_tag("7a3f");
    Message::from(response).to_bytes()
}

fn request(n: u32, remote: SocketAddr, cseq: u32, extra: &str) -> Vec<u8> {
    let user = user(n);
    format!(
        "REGISTER sip:antiphon.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP {remote};branch=z9hG4bK{n:x}{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{user}@antiphon.example>;tag={n:x}\r\n\
         To: <sip:{user}@antiphon.example>\r\n\
         Call-ID: {n:08x}-4f3a-11ee-be56-0242ac120002@{}\r\n\
         CSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{user}@{remote};transport=udp>\r\n\
         Expires: 3600\r\n\
         User-Agent: Door station 4.2\r\n\
         {extra}Content-Length: 0\r\n\r\n",
        remote.ip(),
    )
    .into_bytes()
}

fn user(n: u32) -> String {
    format!("{}", 1_000_000 + n)
}

fn resident_bytes() -> Result<u64, Failure> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages
        .split(' ')
        .nth(1)
        .ok_or("statm has no second field")?
        .parse()?;
    Ok(resident * 4096)
}
