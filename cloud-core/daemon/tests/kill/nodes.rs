//! Two nodes on one PostgreSQL, and one of them is killed: its devices come to the other, commands
//! reach them wherever they were ordered, and a page at one node hears what happens at the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio_util::sync::CancellationToken;

use crate::core::{Core, Place};
use crate::fleet::Obedient;
use crate::portal::{Change, Portal};

const DEVICES: usize = 40;

/// In which a device that lost its node is at another one (G6).
const MOVE: Duration = Duration::from_secs(30);

const OWNER: &str = "anna@example.com";

/// A command that a node has said it took.
#[derive(Clone, Debug)]
struct Ordered {
    id: String,
    device: usize,
    op: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_nodes_is_killed_and_nothing_ordered_is_lost_or_done_twice_g6() {
    let address = test_postgres::database().expect("a PostgreSQL server for the tests");
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder for the test"));
    let mut first = Core::new(folders[0].path(), Place::Server(address.clone()));
    let password = first.init(OWNER);
    let mut second = first.another(folders[1].path());
    let ports = [first.port, second.port];
    let fleet: Vec<_> = (0..DEVICES)
        .map(|n| Arc::new(Obedient::new(n, [ports[n % 2], ports[(n + 1) % 2]])))
        .collect();
    let names: Vec<_> = fleet.iter().map(|device| device.name.clone()).collect();
    first.register(&names).await;
    first.start();
    second.start();

    let apis = [first.api, second.api];
    for port in apis {
        until("it listens", || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
    }
    let portal = Portal::sign_in(first.api, OWNER, &password).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut events = portal.events(first.api, None).await;
    let listening = tokio::spawn({
        let heard = Arc::clone(&heard);
        async move {
            while let Some(change) = events.next().await {
                heard.lock().expect("no panic").push(change);
            }
        }
    });
    let running: Vec<_> = fleet
        .iter()
        .map(|device| tokio::spawn(Arc::clone(device).run()))
        .collect();
    for (n, device) in fleet.iter().enumerate() {
        let here = || async { device.at() == ports[n % 2] };
        until("each device is at its node", here).await;
    }

    let stop = CancellationToken::new();
    let taken = Arc::new(AtomicUsize::new(0));
    let orders = order(
        portal.clone(),
        apis,
        names,
        Arc::clone(&taken),
        stop.clone(),
    );
    let orders = tokio::spawn(orders);
    let many = |count: usize| {
        let taken = &taken;
        until("orders are taken", move || async move {
            taken.load(Ordering::SeqCst) >= count
        })
    };
    many(2 * DEVICES).await;
    second.kill();
    let killed = Instant::now();
    for device in &fleet {
        let here = || async { device.at() == first.port };
        until("each device is at the node that lives", here).await;
    }
    assert!(killed.elapsed() < MOVE, "{:?}", killed.elapsed());
    many(taken.load(Ordering::SeqCst) + DEVICES).await;
    stop.cancel();
    let ordered = orders.await.expect("no panic");
    judge(&address, &fleet, &ordered).await;
    let heard = |kind: &'static str| {
        let heard = heard.lock().expect("no panic");
        let of_kind = heard.iter().filter(move |change| change.kind == kind);
        of_kind.cloned().collect::<Vec<_>>()
    };
    until("the page has heard of every command", || async {
        let commands: Vec<_> = heard("command").into_iter().map(|c| c.object).collect();
        ordered.iter().all(|ordered| commands.contains(&ordered.id))
    })
    .await;
    // Each came once, and the move has made none of them seem gone.
    assert_eq!(heard("presence").len(), DEVICES);

    // A page goes on at another node where it ended.
    second.start();
    let begun = heard("presence");
    let from = begun.first().expect("many came");
    until("the other node is back", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", second.api))
            .await
            .is_ok()
    })
    .await;
    let mut events = portal.events(second.api, Some(&from.id)).await;
    let mut again: Vec<Change> = Vec::new();
    while again.len() < DEVICES - 1 {
        let next = events.next().await.expect("it goes on");
        again.extend(Some(next).filter(|change| change.kind == "presence"));
    }
    assert_eq!(again, begun[1..]);
    for device in running {
        device.abort();
    }
    listening.abort();
}

/// Orders commands for all devices, on one node and the other in turns, until it is told to stop.
async fn order(
    portal: Portal,
    nodes: [u16; 2],
    names: Vec<String>,
    taken: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Vec<Ordered> {
    let mut ordered = Vec::new();
    let mut turn = 0;
    while !stop.is_cancelled() {
        // Every device gets both kinds, from both nodes.
        let device = turn % names.len();
        let round = turn / names.len();
        let op = ["identify", "reboot"][round % 2];
        let path = format!("/api/v1/devices/{}/commands", names[device]);
        let key = format!("order-{turn}");
        let mut node = (turn + round / 2) % 2;
        let answer = loop {
            let body = json!({ "op": op });
            match portal.post(nodes[node], &path, &key, &body).await {
                Some(answer) => break answer,
                // The same order, at the node that lives: it acts once.
                None => node = 1 - node,
            }
        };
        assert_eq!(answer.status, 202, "{}", answer.body);
        let id = answer.body["id"].as_str().expect("an id").to_owned();
        ordered.push(Ordered { id, device, op });
        turn += 1;
        taken.store(turn, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ordered
}

/// Waits until nothing is under way any more but what nobody can know, and looks what became of it.
async fn judge(address: &str, fleet: &[Arc<Obedient>], ordered: &[Ordered]) {
    let mut database = PgConnection::connect(address).await.expect("it is there");
    let begin = Instant::now();
    let (states, seen) = loop {
        let states = states(&mut database).await;
        let seen: Vec<BTreeMap<_, _>> = fleet.iter().map(|device| device.seen()).collect();
        // What came to a device is answered; what may be repeated comes.
        let is_settled = |o: &Ordered| {
            states[&o.id] == "done" || (o.op == "reboot" && !seen[o.device].contains_key(&o.id))
        };
        if ordered.iter().all(is_settled) || begin.elapsed() > MOVE {
            break (states, seen);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(
        states.len(),
        ordered.len(),
        "none is there that nobody ordered"
    );
    let mut unanswered = 0;
    for Ordered { id, device, op } in ordered {
        let (state, seen) = (states[id].as_str(), seen[*device].get(id));
        let done = seen.map_or(0, |seen| seen.done);
        match *op {
            "identify" => assert_eq!((state, done), ("done", 1), "{id} at device {device}"),
            _ => {
                let came = seen.map_or(0, |seen| seen.came);
                assert!(
                    came <= 1,
                    "{id}: a command of the kind `once` came {came} times"
                );
                // It had left when the node was killed: whether it arrived nobody can say.
                let lost = (state, done) == ("sent", 0);
                assert!(
                    lost || (state, done) == ("done", 1),
                    "{id}: {state}, {done}"
                );
                unanswered += u32::from(lost);
            }
        }
    }
    for seen in seen.iter().flat_map(BTreeMap::keys) {
        assert!(ordered.iter().any(|ordered| ordered.id == *seen), "{seen}");
    }
    assert!(
        unanswered <= 5,
        "{unanswered} commands are without an answer"
    );
}

async fn states(database: &mut PgConnection) -> HashMap<String, String> {
    let rows = sqlx::query("SELECT id, state FROM command").fetch_all(database);
    let rows = rows.await.expect("the table is there");
    rows.iter()
        .map(|row| (row.get("id"), row.get("state")))
        .collect()
}

/// Asks again until it is so; for what another process does.
async fn until<F>(what: &str, mut is_so: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < 2 * MOVE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
