//! TCP connections, in and out.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use net::flows::{
    CloseReason, ConnectError, ConnectionId, Destination, FlowEvent, Flows, FlowsConfig,
    ListenerId, ListenerKind, Refusal, SendError, StreamSettings, Transport,
};
use socket2::{Domain, Socket, Type};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::support::{
    PATIENCE, bind, bind_with, listener, next, opened, received, received_exactly,
};

fn call(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// From another address of loopback.
fn call_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source: SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything up to the end, while the flows go on.
async fn read_to_end(flows: &mut Flows, mut stream: TcpStream) -> (Vec<u8>, Vec<FlowEvent>) {
    let reader = spawn_blocking(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let mut events = Vec::new();
    tokio::pin!(reader);
    loop {
        tokio::select! {
            all = &mut reader => return (all.unwrap(), events),
            event = flows.next() => events.push(event),
        }
    }
}

fn out(remote: SocketAddr) -> Destination {
    Destination {
        transport: Transport::Tcp,
        remote,
        from: None,
        server_name: None,
    }
}

fn only_outgoing(streams: StreamSettings) -> Flows {
    Flows::bind(FlowsConfig {
        streams,
        ..FlowsConfig::default()
    })
    .unwrap()
}

#[tokio::test]
async fn a_connection_opens_carries_both_ways_and_closes() {
    let (mut flows, address) = bind(ListenerKind::Tcp);
    let mut station = call(address);
    let flow = opened(&mut flows).await;
    assert_eq!(flow.transport, Transport::Tcp);
    assert_eq!(flow.listener, ListenerId(1));
    assert_eq!(flow.remote, station.local_addr().unwrap());
    assert_eq!(flow.local, address);

    station.write_all(b"hello").unwrap();
    assert_eq!(received(&mut flows).await, (flow, b"hello".to_vec()));

    flows.outlet().send(&flow, b"good ").unwrap();
    flows.outlet().send(&flow, b"bye").unwrap();
    flows.outlet().close(flow.connection);
    let (said, events) = read_to_end(&mut flows, station).await;
    assert_eq!(said, b"good bye");
    let closed = match events.first() {
        Some(event) => event.clone(),
        None => next(&mut flows).await,
    };
    let why = CloseReason::Local;
    assert_eq!(closed, FlowEvent::Closed { flow, why });

    assert_eq!(flows.outlet().send(&flow, b"late"), Err(SendError::Closed));
    assert_eq!(flows.outlet().incoming(), 0);
    assert_eq!(flows.counters().accepted, 1);
    assert_eq!(flows.counters().closed.local, 1);
    assert_eq!(flows.counters().closed.sum(), 1);
}

#[tokio::test]
async fn a_peer_that_leaves_is_reported() {
    let (mut flows, address) = bind(ListenerKind::Tcp);
    let station = call(address);
    let flow = opened(&mut flows).await;
    drop(station);
    let why = CloseReason::Peer;
    assert_eq!(next(&mut flows).await, FlowEvent::Closed { flow, why });

    let station = call(address);
    let flow = opened(&mut flows).await;
    Socket::from(station)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    let why = CloseReason::Broken(ErrorKind::ConnectionReset);
    assert_eq!(next(&mut flows).await, FlowEvent::Closed { flow, why });
}

/// A close with bytes unread would reset the connection and destroy what is on its way.
#[tokio::test]
async fn the_last_words_arrive_though_the_peer_is_still_talking() {
    let (mut flows, address) = bind(ListenerKind::Tcp);
    let mut station = call(address);
    let flow = opened(&mut flows).await;
    station.write_all(&[b'x'; 100_000]).unwrap();
    received(&mut flows).await;
    flows.outlet().send(&flow, b"too large, good bye").unwrap();
    flows.outlet().close(flow.connection);
    let (said, _) = read_to_end(&mut flows, station).await;
    assert_eq!(said, b"too large, good bye");
}

#[tokio::test]
async fn shutdown_lets_connections_send_what_they_have() {
    let (mut flows, address) = bind(ListenerKind::Tcp);
    let mut station = call(address);
    let flow = opened(&mut flows).await;
    // Nobody takes what the station says any more; that must not cut off what it is told.
    station.write_all(&[b'x'; 100_000]).unwrap();
    let words = vec![b'w'; 200_000];
    flows.outlet().send(&flow, &words).unwrap();
    let reader = spawn_blocking(move || {
        let mut all = Vec::new();
        station.read_to_end(&mut all).unwrap();
        all
    });
    flows.shutdown(PATIENCE).await;
    assert!(reader.await.unwrap() == words);
    assert!(TcpStream::connect(address).is_err());
}

/// A talkative peer that does not read could hold a closing connection forever.
#[tokio::test]
async fn closing_ends_though_the_peer_does_not_read() {
    let settings = StreamSettings {
        close_timeout: Duration::from_millis(100),
        queued_bytes: 100 << 20,
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let mut station = call(address);
    let flow = opened(&mut flows).await;
    // More than the kernel's buffers of both ends hold.
    flows.outlet().send(&flow, &vec![b'w'; 50 << 20]).unwrap();
    flows.outlet().close(flow.connection);
    let chatter = spawn_blocking(move || while station.write_all(b"and another thing").is_ok() {});
    loop {
        match next(&mut flows).await {
            FlowEvent::Received { .. } => {}
            FlowEvent::Closed { why, .. } => {
                assert_eq!(why, CloseReason::Local);
                break;
            }
            event => panic!("expected nothing else, got {event:?}"),
        }
    }
    chatter.await.unwrap();
}

#[tokio::test]
async fn one_source_cannot_take_more_connections_than_its_share() {
    let settings = StreamSettings {
        per_source: 3,
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let mut greedy = Vec::new();
    for _ in 0..3 {
        greedy.push(call(address));
        opened(&mut flows).await;
    }
    let one_more = call(address);
    let refused = FlowEvent::Refused {
        listener: ListenerId(1),
        remote: one_more.local_addr().unwrap(),
        why: Refusal::Source,
    };
    assert_eq!(next(&mut flows).await, refused);
    assert_eq!(read_to_end(&mut flows, one_more).await, (vec![], vec![]));
    assert_eq!(flows.counters().refused_source, 1);

    let _other = call_from("127.0.0.2", address);
    opened(&mut flows).await;

    greedy.pop();
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));
    let _again = call(address);
    opened(&mut flows).await;
}

#[tokio::test]
async fn all_sources_together_cannot_take_more_than_the_total() {
    let settings = StreamSettings {
        incoming: 2,
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let _first = call_from("127.0.0.2", address);
    opened(&mut flows).await;
    let _second = call_from("127.0.0.3", address);
    opened(&mut flows).await;
    let _third = call_from("127.0.0.4", address);
    let why = match next(&mut flows).await {
        FlowEvent::Refused { why, .. } => why,
        event => panic!("expected a refusal, got {event:?}"),
    };
    assert_eq!(why, Refusal::Total);
    assert_eq!(flows.outlet().incoming(), 2);
    assert_eq!(flows.counters().refused_total, 1);
}

#[tokio::test]
async fn a_flood_of_refusals_is_told_in_part_and_counted_in_full() {
    let settings = StreamSettings {
        incoming: 0,
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let _flood: Vec<_> = (0..100).map(|_| call(address)).collect();
    while flows.counters().refused_total < 100 {
        // Accepting happens here; nobody takes the refusals.
        timeout(PATIENCE, flows.ready()).await.unwrap();
    }
    let mut told = 0;
    while flows.drain(64, |_, _| told += 1) > 0 {}
    assert_eq!(told + flows.counters().refusals_untold, 100);
    assert!(told > 0 && told < 100);
}

#[tokio::test]
async fn who_never_speaks_is_closed_while_others_are_served() {
    let settings = StreamSettings {
        first_bytes_timeout: Duration::from_millis(300),
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let mut speaker = call(address);
    let speaking = opened(&mut flows).await;
    speaker.write_all(b"here").unwrap();
    assert_eq!(received(&mut flows).await.1, b"here");

    let silent: Vec<_> = (0..20).map(|_| call(address)).collect();
    let mut closed = 0;
    while closed < silent.len() {
        match next(&mut flows).await {
            FlowEvent::Opened { .. } => {}
            FlowEvent::Closed { flow, why } => {
                assert_eq!(why, CloseReason::NeverSpoke);
                assert_ne!(flow, speaking);
                closed += 1;
            }
            event => panic!("expected nothing else, got {event:?}"),
        }
    }
    speaker.write_all(b"still").unwrap();
    assert_eq!(received(&mut flows).await, (speaking, b"still".to_vec()));
    assert_eq!(flows.counters().closed.never_spoke, 20);
}

#[tokio::test]
async fn who_falls_silent_is_closed() {
    let settings = StreamSettings {
        idle_timeout: Duration::from_millis(100),
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let mut station = call(address);
    let flow = opened(&mut flows).await;
    station.write_all(b"once").unwrap();
    received(&mut flows).await;
    let why = CloseReason::Idle;
    // First the silence must pass again: the byte came after the timer was set.
    assert_eq!(
        next_after_farewell(&mut flows, station).await,
        FlowEvent::Closed { flow, why }
    );
}

/// The peer answers our end of the stream with its own.
async fn next_after_farewell(flows: &mut Flows, station: TcpStream) -> FlowEvent {
    let (said, mut events) = read_to_end(flows, station).await;
    assert_eq!(said, b"");
    match events.pop() {
        Some(event) => event,
        None => next(flows).await,
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_and_harms_no_other() {
    let settings = StreamSettings {
        queued_bytes: 64 << 10,
        ..StreamSettings::default()
    };
    let (mut flows, address) = bind_with(ListenerKind::Tcp, settings);
    let deaf_station = call(address);
    let deaf = opened(&mut flows).await;
    let mut good_station = call(address);
    let good = opened(&mut flows).await;

    let message = [b'm'; 1_000];
    let mut sent = 0_usize;
    loop {
        match flows.outlet().send(&deaf, &message) {
            Ok(()) => sent += message.len(),
            Err(error) => {
                assert_eq!(error, SendError::NotReading);
                break;
            }
        }
        // The kernel's buffers fill up first.
        tokio::task::yield_now().await;
        assert!(sent < 100 << 20, "the queue must end somewhere");
    }
    let why = CloseReason::NotReading;
    assert_eq!(
        next(&mut flows).await,
        FlowEvent::Closed { flow: deaf, why }
    );
    assert_eq!(flows.counters().closed.not_reading, 1);

    flows.outlet().send(&good, b"you hear me").unwrap();
    flows.outlet().close(good.connection);
    let said = spawn_blocking(move || {
        let mut all = Vec::new();
        good_station.read_to_end(&mut all).unwrap();
        all
    });
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));
    assert_eq!(said.await.unwrap(), b"you hear me");
    drop(deaf_station);
}

#[tokio::test]
async fn what_is_sent_before_the_connection_is_open_arrives() {
    let house = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut flows = only_outgoing(StreamSettings::default());
    let flow = flows
        .outlet()
        .connect(&out(house.local_addr().unwrap()))
        .unwrap();
    assert_eq!(flow.listener, ListenerId::OUTGOING);
    assert!(flow.local.ip().is_unspecified());
    flows.outlet().send(&flow, b"early").unwrap();

    let open = opened(&mut flows).await;
    assert_eq!(open.connection, flow.connection);
    let (mut far_end, remote) = house.accept().unwrap();
    assert_eq!(open.local, remote);
    far_end.write_all(b"welcome").unwrap();
    assert_eq!(received(&mut flows).await, (open, b"welcome".to_vec()));
    let mut said = [0; 5];
    far_end.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"early");
    assert_eq!(flows.outlet().outgoing(), 1);
    drop(far_end);
    let why = CloseReason::Peer;
    assert_eq!(
        next(&mut flows).await,
        FlowEvent::Closed { flow: open, why }
    );
    assert_eq!(flows.outlet().outgoing(), 0);
}

#[tokio::test]
async fn a_connection_comes_from_the_address_it_was_told() {
    let house = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut flows = only_outgoing(StreamSettings::default());
    let to = Destination {
        from: Some("127.0.0.9:0".parse().unwrap()),
        ..out(house.local_addr().unwrap())
    };
    flows.outlet().connect(&to).unwrap();
    let flow = opened(&mut flows).await;
    assert_eq!(flow.local.ip(), to.from.unwrap().ip());
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_says_why() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = StreamSettings {
        connect_timeout: Duration::from_millis(200),
        ..StreamSettings::default()
    };
    let mut flows = only_outgoing(settings);
    let flow = flows.outlet().connect(&out(gone)).unwrap();
    let why = CloseReason::Connect(ErrorKind::ConnectionRefused);
    assert_eq!(next(&mut flows).await, FlowEvent::Closed { flow, why });

    // A listener whose queue is full does not answer any more.
    let busy = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    busy.bind(&any.into()).unwrap();
    busy.listen(0).unwrap();
    let busy_at = busy.local_addr().unwrap().as_socket().unwrap();
    let why = loop {
        flows.outlet().connect(&out(busy_at)).unwrap();
        match next(&mut flows).await {
            FlowEvent::Opened { .. } => {}
            FlowEvent::Closed { why, .. } => break why,
            event => panic!("expected nothing else, got {event:?}"),
        }
    };
    assert_eq!(why, CloseReason::ConnectTimeout);
    assert_eq!(flows.counters().closed.connect, 1);
    assert_eq!(flows.counters().closed.connect_timeout, 1);
}

#[tokio::test]
async fn an_attempt_can_be_called_off() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut flows = only_outgoing(StreamSettings::default());
    let flow = flows
        .outlet()
        .connect(&out(busy.local_addr().unwrap()))
        .unwrap();
    flows.outlet().close(flow.connection);
    let why = CloseReason::Local;
    assert_eq!(next(&mut flows).await, FlowEvent::Closed { flow, why });
    // Closing what is closed is nothing.
    flows.outlet().close(flow.connection);
    flows.outlet().close(ConnectionId::NONE);
}

#[tokio::test]
async fn attempts_that_cannot_start_are_refused_at_once() {
    let house = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = out(house.local_addr().unwrap());
    let settings = StreamSettings {
        outgoing: 1,
        ..StreamSettings::default()
    };
    let mut flows = only_outgoing(settings);
    flows.outlet().connect(&to).unwrap();
    let refused = flows.outlet().connect(&to);
    assert!(matches!(refused, Err(ConnectError::TooMany)));
    assert_eq!(flows.counters().refused_outgoing, 1);

    let mut flows = only_outgoing(StreamSettings::default());
    let over = |transport| Destination {
        transport,
        ..to.clone()
    };
    let refused = flows.outlet().connect(&over(Transport::Tls));
    assert!(matches!(refused, Err(ConnectError::NoTls)));
    let refused = flows.outlet().connect(&over(Transport::Udp));
    assert!(matches!(refused, Err(ConnectError::Datagrams)));
}

#[tokio::test]
async fn giving_up_on_next_loses_no_byte_of_a_stream() {
    let (mut flows, address) = bind(ListenerKind::Tcp);
    let mut station = call(address);
    opened(&mut flows).await;
    let words: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let to_send = words.clone();
    let writer = spawn_blocking(move || station.write_all(&to_send).map(|()| station));
    let mut heard = Vec::new();
    while heard.len() < words.len() {
        match timeout(Duration::ZERO, flows.next()).await {
            Ok(FlowEvent::Received { bytes, .. }) => heard.extend_from_slice(&bytes),
            Ok(event) => panic!("expected bytes, got {event:?}"),
            Err(_given_up) => tokio::task::yield_now().await,
        }
    }
    assert!(heard == words);
    drop(writer.await.unwrap());
}

/// A source that always has more must not keep others from their turn.
#[tokio::test]
async fn a_flood_of_datagrams_does_not_starve_connections() {
    let mut flows = Flows::bind(FlowsConfig {
        listeners: vec![
            listener(1, ListenerKind::Tcp, "127.0.0.1:0"),
            listener(2, ListenerKind::Udp, "127.0.0.1:0"),
        ],
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = |flows: &Flows, id| {
        let mut all = flows.listeners();
        all.find(|at| at.id == ListenerId(id)).unwrap().local
    };
    let tcp = address(&flows, 1);
    let udp = address(&flows, 2);
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let pour = |count| {
        for _ in 0..count {
            flood.send_to(b"flood", udp).unwrap();
        }
    };
    pour(1_000);
    let mut station = call(tcp);
    station.write_all(b"emergency").unwrap();
    let mut datagrams = 0;
    let mut heard = false;
    while !heard {
        timeout(PATIENCE, flows.ready()).await.unwrap();
        let taken = flows.drain(64, |_, event| match event {
            FlowEvent::Received { flow, .. } if flow.transport == Transport::Udp => datagrams += 1,
            FlowEvent::Received { bytes, .. } => heard = bytes == b"emergency",
            _ => {}
        });
        pour(taken);
        assert!(
            datagrams < 3_000,
            "the connection waits behind {datagrams} datagrams"
        );
    }
}

#[tokio::test]
async fn ipv6_connections_keep_their_addresses() {
    let mut flows = Flows::bind(FlowsConfig {
        listeners: vec![listener(1, ListenerKind::Tcp, "[::]:0")],
        ..FlowsConfig::default()
    })
    .unwrap();
    let port = flows.listeners().next().unwrap().local.port();
    let mut station = call(SocketAddr::new("::1".parse().unwrap(), port));
    station.write_all(b"six").unwrap();
    let flow = opened(&mut flows).await;
    assert_eq!(flow.remote, station.local_addr().unwrap());
    assert_eq!(flow.local, station.peer_addr().unwrap());
    assert_eq!(received_exactly(&mut flows, 3).await, b"six");
    // IPv4 is left to a listener of its own.
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
