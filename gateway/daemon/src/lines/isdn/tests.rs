//! Lines of ISDN over real sockets: two ends of L1oIP, and a stand-in for osmo-e1d.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use bytes::Bytes;
use legacy_protocols::isdn::layer1::bearer::{PACKET, SILENCE};
use legacy_protocols::isdn::layer1::l1oip::Config;
use net::lines::{LineEnd, LineEvent, LineHandle, LineKey, Told, line};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept, bind, listen, recv, sendmsg, socket_with, socketpair,
};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Longer than anything here takes; turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

struct End {
    handle: LineHandle,
    channels: Channels,
    told: mpsc::Receiver<Told>,
    task: JoinHandle<io::Result<()>>,
}

impl End {
    fn new(span: Span) -> Self {
        let (line_of_isdn, channels) = IsdnLine::new(span, Interface::PrimaryRate, 7).unwrap();
        let (events, told) = mpsc::channel(64);
        let (handle, orders) = line(LineKey(0), events);
        Self {
            handle,
            channels,
            told,
            task: tokio::spawn(line_of_isdn.serve(orders)),
        }
    }

    async fn event(&mut self) -> LineEvent {
        loop {
            let told = timeout(PATIENCE, self.told.recv()).await;
            let told = told.expect("an event should come").expect("a task");
            if self.handle.hears(&told) {
                return told.event;
            }
        }
    }

    async fn opened(&mut self) -> String {
        match self.event().await {
            LineEvent::Opened { peer } => peer,
            event => panic!("expected an opening, got {event:?}"),
        }
    }

    async fn frame(&mut self) -> Vec<u8> {
        match self.event().await {
            LineEvent::Received(frame) => frame.to_vec(),
            event => panic!("expected a frame, got {event:?}"),
        }
    }

    fn send(&self, frame: &'static [u8]) {
        self.handle.send(Bytes::from_static(frame)).unwrap();
    }

    /// A leg of the gateway's that hears and feeds a B channel.
    async fn join(&self, channel: u8) -> Leg {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ours = socket.local_addr().unwrap();
        assert!(self.channels.bear(Bearing::Join { channel, ours }));
        let (_, line) = self
            .channels
            .at
            .iter()
            .find(|(at, _)| *at == channel)
            .unwrap();
        Leg {
            socket,
            line: *line,
            sequence: 0,
        }
    }

    async fn finish(self) {
        let Self { handle, task, .. } = self;
        drop(handle);
        timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
    }
}

struct Leg {
    socket: UdpSocket,
    line: SocketAddr,
    sequence: u16,
}

impl Leg {
    /// 20 ms of one octet.
    async fn say(&mut self, octet: u8) {
        let mut packet = vec![0x80, 8];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend([0; 8]);
        packet.extend([octet; PACKET]);
        self.sequence += 1;
        self.socket.send_to(&packet, self.line).await.unwrap();
    }

    /// The sound of the next packet from the line.
    async fn hear(&self) -> Vec<u8> {
        let mut packet = [0; 2_048];
        let (length, from) = timeout(PATIENCE, self.socket.recv_from(&mut packet))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(from, self.line);
        packet[12..length].to_vec()
    }

    async fn hear_until(&self, octet: u8) {
        while self.hear().await != [octet; PACKET] {}
    }
}

fn l1oip(socket: StdUdp, peer: SocketAddr, identity: u32) -> Span {
    let mut config = Config::new(Interface::PrimaryRate, Some(identity));
    config.keep_alive = Duration::from_millis(10);
    config.dead_after = Duration::from_secs(1);
    let at = socket.local_addr().unwrap();
    drop(socket);
    Span::L1oip(L1oip::bind(at, peer, config).unwrap())
}

type StdUdp = std::net::UdpSocket;

fn two_places() -> [StdUdp; 2] {
    [(), ()].map(|()| StdUdp::bind("127.0.0.1:0").unwrap())
}

#[tokio::test]
async fn two_ends_of_l1oip_carry_frames_and_speech_and_one_hears_when_the_other_is_gone() {
    let [a, b] = two_places();
    let (at_a, at_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
    let mut one = End::new(l1oip(a, at_b, 5));
    let mut other = End::new(l1oip(b, at_a, 5));
    one.handle.open();
    other.handle.open();
    assert_eq!(one.opened().await, at_b.to_string());
    other.opened().await;
    one.send(b"setup");
    assert_eq!(other.frame().await, b"setup");
    other.send(b"connect");
    assert_eq!(one.frame().await, b"connect");

    let (mut here, mut there) = (one.join(31).await, other.join(31).await);
    // Before anybody speaks, both hear silence.
    assert_eq!(there.hear().await, [SILENCE; PACKET]);
    for _ in 0..4 {
        here.say(0x11).await;
        there.say(0x22).await;
    }
    there.hear_until(0x11).await;
    here.hear_until(0x22).await;

    one.finish().await;
    assert!(matches!(
        other.event().await,
        LineEvent::Closed(LineEnd::ByPeer)
    ));
    other.finish().await;
}

/// Hands out timeslots as osmo-e1d does: each is one end of a socket pair.
struct StandIn {
    path: PathBuf,
    slots: std_mpsc::Receiver<(u8, u8, OwnedFd)>,
    /// Its end closes the control socket.
    stop: OwnedFd,
    _folder: tempfile::TempDir,
}

impl StandIn {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctl");
        let listener = packets();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        let (sender, slots) = std_mpsc::channel();
        let (stop, stopped) = pair();
        std::thread::spawn(move || {
            let control = accept(&listener).unwrap();
            let mut waiting = [
                rustix::event::PollFd::from_borrowed_fd(
                    control.as_fd(),
                    rustix::event::PollFlags::IN,
                ),
                rustix::event::PollFd::from_borrowed_fd(
                    stopped.as_fd(),
                    rustix::event::PollFlags::IN,
                ),
            ];
            loop {
                rustix::event::poll(&mut waiting, None).unwrap();
                if !waiting[1].revents().is_empty() {
                    return;
                }
                let mut request = [0; 64];
                let (length, _) = recv(&control, &mut request[..], RecvFlags::empty()).unwrap();
                if length == 0 {
                    return;
                }
                let (timeslot, mode) = (request[7], request[8]);
                let (ours, theirs) = pair();
                answer(&control, timeslot, mode, theirs.as_fd());
                sender.send((timeslot, mode, ours)).unwrap();
            }
        });
        Self {
            path,
            slots,
            stop,
            _folder: folder,
        }
    }

    fn slot(&self) -> (u8, u8, OwnedFd) {
        self.slots.recv_timeout(PATIENCE).unwrap()
    }
}

fn packets() -> OwnedFd {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap()
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap()
}

fn answer(control: &OwnedFd, timeslot: u8, mode: u8, slot: std::os::fd::BorrowedFd<'_>) {
    let mut reply = 0x01E1_u16.to_ne_bytes().to_vec();
    reply.extend(14_u16.to_ne_bytes());
    reply.extend([0x84, 0, 0, timeslot, timeslot, mode, 0, 0, 0, 0]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let slots = [slot];
    assert!(message.push(SendAncillaryMessage::ScmRights(&slots)));
    sendmsg(
        control,
        &[IoSlice::new(&reply)],
        &mut message,
        SendFlags::empty(),
    )
    .unwrap();
}

fn say(slot: &OwnedFd, octets: &[u8]) {
    assert_eq!(rustix::io::write(slot, octets).unwrap(), octets.len());
}

fn hear(slot: &OwnedFd) -> Vec<u8> {
    let mut octets = vec![0; 1_024];
    let mut pieces = [IoSliceMut::new(&mut octets)];
    let length = rustix::io::readv(slot, &mut pieces).unwrap();
    octets.truncate(length);
    octets
}

fn e1d(socket: &Path) -> Span {
    Span::E1d(E1d {
        socket: socket.to_owned(),
        interface: 0,
        line: 0,
    })
}

#[tokio::test]
async fn timeslots_of_osmo_e1d_carry_frames_and_speech_until_it_ends() {
    let daemon = StandIn::start();
    let mut end = End::new(e1d(&daemon.path));
    end.handle.open();
    assert_eq!(end.opened().await, "interface 0 line 0");
    let (timeslot, mode, signalling) = daemon.slot();
    // HDLC, with its check sequence done there.
    assert_eq!((timeslot, mode), (16, 0x11));
    say(&signalling, b"setup");
    assert_eq!(end.frame().await, b"setup");
    end.send(b"connect");
    let (signalling, heard) = tokio::task::spawn_blocking(move || {
        let heard = hear(&signalling);
        (signalling, heard)
    })
    .await
    .unwrap();
    assert_eq!(heard, b"connect");

    let mut leg = end.join(3).await;
    let (daemon, channel) = tokio::task::spawn_blocking(move || {
        let slot = daemon.slot();
        (daemon, slot)
    })
    .await
    .unwrap();
    assert_eq!((channel.0, channel.1), (3, 0x10));
    // For each octet of the line one is given back: the interface is the clock.
    say(&channel.2, &[0x33; PACKET]);
    assert_eq!(leg.hear().await, [0x33; PACKET]);
    assert_eq!(hear(&channel.2), [SILENCE; PACKET]);
    for _ in 0..3 {
        leg.say(0x44).await;
    }
    loop {
        say(&channel.2, &[0x33; PACKET]);
        leg.hear().await;
        if hear(&channel.2) == [0x44; PACKET] {
            break;
        }
    }
    drop(daemon.stop);
    assert!(matches!(
        end.event().await,
        LineEvent::Closed(LineEnd::ByPeer)
    ));
    drop(signalling);
    end.finish().await;
}

#[tokio::test]
async fn without_the_daemon_a_line_says_where_it_was_looked_for() {
    let mut end = End::new(e1d(Path::new("/nowhere/e1d.ctl")));
    end.handle.open();
    let LineEvent::Closed(LineEnd::NotOpened(why)) = end.event().await else {
        panic!("nothing was opened");
    };
    assert!(why.contains("/nowhere/e1d.ctl"), "{why}");
}
