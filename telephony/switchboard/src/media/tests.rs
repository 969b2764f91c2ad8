//! The media side on real sockets: who hears whom, whatever legs were joined before.

use std::net::UdpSocket;
use std::time::Duration;

use calls::Part;
use exchange::{Medium, Protection, Remote};
use model::{CallId, Digit, LegId};
use sip::sdp::{Codec, Format};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
/// Packets in a row that have to be missed for "hears nothing".
const TRIES: u16 = 50;

/// A shell and the peers of its legs.
struct House {
    shell: MediaShell,
    phones: Vec<Phone>,
    free: Vec<FreePort>,
}

/// The far end of a leg.
struct Phone {
    leg: LegId,
    socket: UdpSocket,
    gateway: SocketAddr,
    sequence: u16,
}

impl House {
    async fn with_phones(count: u64) -> Self {
        Self::over_threads(count, 1).await
    }

    /// Phones in turn at each of so many threads.
    async fn over_threads(count: u64, threads: u16) -> Self {
        let shell = MediaShell::start(MediaOptions {
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            ports: 30_000..=39_999,
            dscp: 46,
            threads,
            seed: 7,
            frames: nobody_listens(),
        })
        .unwrap();
        let mut house = Self {
            shell,
            phones: Vec::new(),
            free: Vec::new(),
        };
        for number in 1..=count {
            let thread = (number - 1) % u64::from(threads);
            house.add(LegId::new(number), thread as u16).await;
        }
        house
    }

    fn tell(&mut self, command: MediaCommand) {
        self.shell.command(command);
        self.shell.flush();
    }

    /// What a phone takes from now on.
    fn agree(&mut self, phone: usize, formats: Vec<Format>) {
        let phone = &self.phones[phone];
        let remote = remote(&phone.socket, formats);
        let (leg, stream) = (phone.leg, 0);
        self.tell(MediaCommand::Remote {
            leg,
            stream,
            remote,
        });
    }

    async fn add(&mut self, leg: LegId, thread: u16) {
        let port = loop {
            if let Some(port) = self.free.pop() {
                break port;
            }
            match self.shell.heard().await {
                Some(Heard::Ports(ports)) => self.free = ports,
                Some(Heard::Event(_)) => {}
                None => panic!("the media thread has ended"),
            }
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.tell(MediaCommand::Open {
            leg,
            stream: 0,
            medium: Medium::Audio,
            port,
            thread,
        });
        self.tell(MediaCommand::Remote {
            leg,
            stream: 0,
            remote: remote(&socket, vec![Codec::Pcma.format(8)]),
        });
        self.phones.push(Phone {
            leg,
            socket,
            gateway: port.rtp,
            sequence: 0,
        });
    }

    fn route(&mut self, from: usize, to: usize) {
        let (from, to) = (self.phones[from].leg, self.phones[to].leg);
        let streams = vec![(0, 0)];
        self.tell(MediaCommand::Route { from, to, streams });
    }

    fn unroute(&mut self, from: usize, to: usize) {
        let (from, to) = (self.phones[from].leg, self.phones[to].leg);
        self.tell(MediaCommand::Unroute { from, to });
    }

    fn mix(&mut self, phone: usize, part: Part) {
        let leg = self.phones[phone].leg;
        let (room, stream) = (CallId::new(9), 0);
        self.tell(MediaCommand::Mix {
            room,
            leg,
            stream,
            part,
        });
    }

    fn talk(&mut self, a: usize, b: usize) {
        self.route(a, b);
        self.route(b, a);
    }

    fn part(&mut self, a: usize, b: usize) {
        self.unroute(a, b);
        self.unroute(b, a);
    }

    /// Phone `from` speaks until `to` hears it. Commands travel beside packets, so the first ones
    /// may be lost.
    fn assert_hears(&mut self, to: usize, from: usize) {
        self.forget(to);
        for _ in 0..1_000 {
            self.phones[from].speak();
            if self.phones[to].hears(PATIENCE / 1_000) == Some(self.phones[from].mark()) {
                return;
            }
        }
        panic!("phone {to} does not hear phone {from}");
    }

    /// Phone `from` speaks, and while `witness` hears it, `to` does not.
    fn assert_does_not_hear(&mut self, to: usize, from: usize, witness: usize) {
        self.assert_hears(witness, from);
        self.forget(to);
        for _ in 0..TRIES {
            self.phones[from].speak();
        }
        // What the witness has, was sent before or after what the other one would have.
        self.assert_hears(witness, from);
        assert_eq!(self.phones[to].hears(Duration::from_millis(1)), None);
    }

    fn sockets_become(&self, wanted: u64) {
        let begin = std::time::Instant::now();
        while self.shell.counters().sockets != wanted {
            assert!(begin.elapsed() < PATIENCE, "sockets stay open");
            std::thread::yield_now();
        }
    }

    /// At least so many.
    fn keys_lost_become(&self, wanted: u64) {
        let begin = std::time::Instant::now();
        while self.shell.refused_keys() < wanted {
            assert!(begin.elapsed() < PATIENCE, "keys were passed on");
            std::thread::yield_now();
        }
    }

    fn forget(&self, phone: usize) {
        while self.phones[phone].hears(Duration::from_millis(1)).is_some() {}
    }
}

fn remote(socket: &UdpSocket, formats: Vec<Format>) -> Remote {
    Remote {
        rtp: socket.local_addr().unwrap(),
        rtcp: None,
        signalling: "127.0.0.1".parse().unwrap(),
        sends: true,
        receives: true,
        formats,
        protection: Protection::Plain,
    }
}

impl Phone {
    /// What this phone says, so that others know whom they hear.
    fn mark(&self) -> u8 {
        u8::try_from(self.leg.get()).unwrap()
    }

    fn speak(&mut self) {
        self.sequence += 1;
        let mut packet = vec![0x80, 8];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(u32::from(self.mark()).to_be_bytes());
        packet.extend([self.mark(); 160]);
        self.socket.send_to(&packet, self.gateway).unwrap();
    }

    /// Whom this phone hears next.
    fn hears(&self, patience: Duration) -> Option<u8> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut packet = [0; 2_048];
        let (length, from) = self.socket.recv_from(&mut packet).ok()?;
        // RTCP comes from the next port.
        (from == self.gateway && length == 172).then_some(packet[12])
    }
}

#[tokio::test]
async fn a_key_that_is_not_passed_on_is_counted() {
    let mut house = House::with_phones(1).await;
    let press = |house: &mut House| {
        house.tell(MediaCommand::Press {
            leg: house.phones[0].leg,
            stream: 0,
            digit: Digit::from_char('5').unwrap(),
            lasting: Duration::from_secs(1),
        });
    };
    press(&mut house);
    house.keys_lost_become(1);
    let events = Codec::TelephoneEvent.format(101);
    house.agree(0, vec![Codec::Pcma.format(8), events]);
    // 32 wait, one or two are told meanwhile.
    for _ in 0..40 {
        press(&mut house);
    }
    house.keys_lost_become(7);
}

#[tokio::test]
async fn two_legs_hear_each_other_until_they_are_parted() {
    let mut house = House::with_phones(3).await;
    house.talk(0, 1);
    house.assert_hears(1, 0);
    house.assert_hears(0, 1);
    house.unroute(0, 1);
    house.route(0, 2);
    house.assert_does_not_hear(1, 0, 2);
    // The other direction was not meant.
    house.assert_hears(0, 1);
}

#[tokio::test]
async fn early_media_go_to_all_who_ring_and_leave_them_one_by_one() {
    let mut house = House::with_phones(4).await;
    for rung in 1..4 {
        house.route(0, rung);
    }
    for rung in 1..4 {
        house.assert_hears(rung, 0);
    }
    let leg = house.phones[1].leg;
    house.tell(MediaCommand::Close { leg });
    house.unroute(0, 2);
    house.assert_does_not_hear(2, 0, 3);
    house.route(3, 0);
    house.assert_hears(0, 3);
}

#[tokio::test]
async fn legs_of_two_conversations_are_joined_by_a_transfer() {
    let mut house = House::with_phones(4).await;
    house.talk(0, 1);
    house.talk(2, 3);
    house.assert_hears(1, 0);
    house.assert_hears(3, 2);
    house.part(0, 1);
    house.part(2, 3);
    house.talk(0, 2);
    house.assert_hears(2, 0);
    house.assert_hears(0, 2);
    house.assert_does_not_hear(1, 0, 2);
    assert_eq!(house.shell.lost_commands(), 0);
}

#[tokio::test]
async fn legs_of_two_threads_are_joined_at_one_of_them() {
    let mut house = House::over_threads(4, 2).await;
    // Phones 0 and 2 are at the first thread, 1 and 3 at the second.
    house.talk(0, 2);
    house.talk(1, 3);
    house.assert_hears(2, 0);
    house.assert_hears(3, 1);
    house.part(0, 2);
    let legs = vec![house.phones[1].leg, house.phones[3].leg];
    house.tell(MediaCommand::Move { legs, thread: 0 });
    // Who came together still hears each other.
    house.assert_hears(3, 1);
    house.assert_hears(1, 3);
    house.part(1, 3);
    house.talk(0, 1);
    house.assert_hears(1, 0);
    house.assert_hears(0, 1);
    house.assert_does_not_hear(3, 0, 1);
    let leg = house.phones[3].leg;
    house.tell(MediaCommand::Close { leg });
    house.sockets_become(6);
    assert_eq!(house.shell.lost_commands(), 0);
}

#[tokio::test]
async fn threads_that_exchange_legs_do_not_wait_for_each_other() {
    let mut house = House::over_threads(2, 2).await;
    for round in 0..100 {
        for phone in [0, 1] {
            let legs = vec![house.phones[phone].leg];
            let thread = (phone as u16 + round + 1) % 2;
            house.shell.command(MediaCommand::Move { legs, thread });
        }
        house.shell.flush();
    }
    let legs = vec![house.phones[1].leg];
    house.tell(MediaCommand::Move { legs, thread: 0 });
    house.talk(0, 1);
    house.assert_hears(1, 0);
    assert_eq!(house.shell.lost_commands(), 0);
}

#[tokio::test]
async fn joining_two_conversations_keeps_what_each_of_them_hears() {
    let mut house = House::with_phones(4).await;
    house.talk(0, 1);
    house.route(2, 3);
    house.assert_hears(3, 2);
    // A fifth wheel: the talker of one conversation is now heard in the other, too.
    house.route(0, 3);
    house.assert_hears(3, 0);
    house.assert_hears(1, 0);
    house.assert_hears(0, 1);
}

#[tokio::test]
async fn ports_of_a_closed_leg_are_given_back() {
    let mut house = House::with_phones(2).await;
    house.talk(0, 1);
    house.assert_hears(1, 0);
    assert_eq!(house.shell.counters().sockets, 4);
    for leg in [0, 1].map(|phone| house.phones[phone].leg) {
        house.tell(MediaCommand::Close { leg });
    }
    house.sockets_become(0);
}

#[tokio::test]
async fn who_is_in_a_room_hears_the_talker_and_nobody_else() {
    let mut house = House::with_phones(4).await;
    // Whatever was before.
    house.talk(1, 3);
    house.assert_hears(3, 1);
    house.part(1, 3);
    house.mix(0, Part::Talk);
    house.mix(1, Part::Listen);
    house.mix(2, Part::Listen);
    house.assert_hears(1, 0);
    house.assert_hears(2, 0);
    house.assert_does_not_hear(3, 0, 2);
    // The word goes to another.
    house.mix(0, Part::Listen);
    house.mix(1, Part::Talk);
    house.assert_hears(2, 1);
    house.assert_hears(0, 1);
    let leg = house.phones[0].leg;
    house.tell(MediaCommand::Unmix { leg });
    house.assert_does_not_hear(0, 1, 2);
    assert_eq!(house.shell.lost_commands(), 0);
}

fn nobody_listens() -> FrameSender {
    FrameSender::bounded(1, Arc::default()).0
}
