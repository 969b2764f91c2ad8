use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::keys::testing::{connect, keys};
use crate::store::testing::on_both;

#[test]
fn a_network_has_its_most_and_others_have_room() {
    let networks = Arc::new(Networks::default());
    let from = |text: &str| {
        let peer = Peer(text.parse().ok());
        Networks::seat(&networks, peer.neighbourhood())
    };
    let mut seats: Vec<_> = (0..MOST_OF_A_NETWORK)
        .map(|n| from(&format!("2001:db8::{n:x}")).unwrap())
        .collect();
    assert!(from("2001:db8::ffff").is_none(), "the same /64");
    assert!(from("2001:db8:0:1::1").is_some());
    assert!(from("127.0.0.1").is_some());
    assert!(Networks::seat(&networks, None).is_some(), "a proxy");
    seats.pop();
    assert!(from("2001:db8::ffff").is_some(), "one has gone");
    seats.clear();
    assert!(networks.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn g6_silent_connections_keep_nobody_out_and_are_closed() {
    on_both(async |store| {
        let world = keys(&store).await;
        let core = world.core(&store);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let figures = Arc::new(Figures::default());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(
            listener,
            Speaks::Tls(core.keys.web_tls()),
            crate::api::api(core.clone()),
            Arc::clone(&figures),
            stop.clone(),
        ));
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut stream = connect(&core, address, None).await.unwrap();
        let request = "GET /api/v1/health HTTP/1.1\r\nhost: core.example\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        for mut one in silent {
            let mut octet = [0];
            assert_eq!(one.read(&mut octet).await.unwrap_or(0), 0, "closed");
        }
        stop.cancel();
        serving.await.unwrap();
        assert_eq!(figures.refused.load(Ordering::Relaxed), 50);
    })
    .await;
}

/// A listener without TLS that is soon impatient, and where it is.
async fn impatient(app: Router) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let manner = Manner {
        patience: Patience {
            head: Duration::from_millis(300),
            body: Pace {
                grace: Duration::from_millis(300),
                per_second: 1024,
            },
            ..Patience::default()
        },
        ..Speaks::Plain.into()
    };
    tokio::spawn(serve(listener, manner, app, Arc::default(), stop.clone()));
    (address, stop)
}

/// What comes after these octets are sent, until the other end closes.
async fn told(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut answer = Vec::new();
    // Closed with something unread, the other end may reset the connection: what came, came.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(more: &str, body: &str) -> Vec<u8> {
    let head =
        "POST /api/v1/login HTTP/1.1\r\nhost: core.example\r\ncontent-type: application/json\r\n";
    format!("{head}sec-fetch-site: same-origin\r\n{more}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn g6_slow_heads_and_slow_bodies_are_broken_off() {
    on_both(async |store| {
        let world = keys(&store).await;
        let (address, stop) = impatient(crate::api::api(world.core(&store))).await;
        for unfinished in [
            "",
            "GET /api",
            "GET /api/v1/health HTTP/1.1\r\nhost: core.exam",
        ] {
            let answer = told(address, unfinished.as_bytes()).await;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
                "{answer}"
            );
        }
        let answer = told(address, &post("content-length: 500\r\n", "{\"mail\"")).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"code\":\"too_slow\""), "{answer}");
        let answer = told(
            address,
            &post("transfer-encoding: chunked\r\n", "2\r\n{\"\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        stop.cancel();
    })
    .await;
}

#[tokio::test]
async fn g6_oversized_heads_and_bodies_are_refused_before_they_are_read() {
    on_both(async |store| {
        let world = keys(&store).await;
        let (address, stop) = impatient(crate::api::api(world.core(&store))).await;
        let large = "{".repeat(100_000);
        let answer = told(address, &post("content-length: 999999999999\r\n", &large)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{answer}"
        );
        let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
        let answer = told(address, &post("transfer-encoding: chunked\r\n", &chunk)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{answer}"
        );
        let long = format!("x: {}\r\n", "y".repeat(1_000_000));
        let answer = told(address, &post(&long, "")).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
        for unclear in [
            "content-length: 1\r\ncontent-length: 2\r\n",
            "content-length: -1\r\n",
            "transfer-encoding: gzip\r\n",
        ] {
            let answer = told(address, &post(unclear, "{}")).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{unclear}: {answer}");
        }
        stop.cancel();
    })
    .await;
}
