//! Table tests of one end, and two ends over a line that loses, doubles and reorders.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One end; the test is the other.
struct End {
    link: Link,
    now: Instant,
}

impl End {
    fn new(config: Config) -> Self {
        Self {
            link: Link::new(config),
            now: Instant::now(),
        }
    }

    fn connected(config: Config) -> Self {
        let mut end = Self::new(config);
        end.link.establish(end.now);
        end.says(&["C 7f"]);
        end.hears(Kind::Response, "73");
        end.says(&["up Requested"]);
        end
    }

    fn hears(&mut self, kind: Kind, hex: &str) {
        self.link.receive(Some(kind), &octets(hex), self.now);
    }

    fn sends(&mut self, payload: u8) {
        self.link.send(vec![payload], self.now).unwrap();
    }

    /// Until its next deadline, which must be so far away.
    fn waits(&mut self, expected: Duration) {
        let Output::Timeout(Some(at)) = self.link.poll_output() else {
            panic!("nothing scheduled");
        };
        assert_eq!(at - self.now, expected);
        self.now = at;
        self.link.handle_timeout(at);
    }

    fn says(&mut self, expected: &[&str]) {
        assert_eq!(drain(&mut self.link), expected);
    }
}

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.split_whitespace();
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn drain(link: &mut Link) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        match link.poll_output() {
            Output::Transmit { kind, octets } => {
                let kind = if kind == Kind::Command { 'C' } else { 'R' };
                let hex: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                words.push(format!("{kind} {}", hex.join(" ")));
            }
            Output::Event(Event::Established(cause)) => words.push(format!("up {cause:?}")),
            Output::Event(Event::Released(cause)) => words.push(format!("down {cause:?}")),
            Output::Event(Event::Received(payload)) => words.push(format!("got {payload:02x?}")),
            Output::Event(Event::Interrupted { discarded }) => {
                words.push(format!("lost {discarded}"));
            }
            Output::Event(Event::UnsolicitedAnswer) => words.push("unsolicited".into()),
            Output::Timeout(_) => return words,
        }
    }
}

#[test]
fn a_link_nobody_answers_is_given_up_after_n200_attempts() {
    let mut end = End::new(Config::primary_rate());
    end.link.establish(end.now);
    end.says(&["C 7f"]);
    for _ in 0..3 {
        end.waits(SECOND);
        end.says(&["C 7f"]);
    }
    end.waits(SECOND);
    end.says(&["down NoAnswer"]);
    assert_eq!(end.link.poll_output(), Output::Timeout(None));
}

#[test]
fn payloads_fill_the_window_and_no_more() {
    let mut end = End::connected(Config {
        window: 2,
        ..Config::primary_rate()
    });
    end.sends(0xA0);
    end.sends(0xA1);
    end.sends(0xA2);
    end.says(&["C 00 00 a0", "C 02 00 a1"]);
    end.hears(Kind::Response, "01 02");
    end.says(&["C 04 00 a2"]);
    end.hears(Kind::Response, "01 06");
    end.says(&[]);
    assert_eq!(end.link.waiting(), 0);
}

#[test]
fn a_gap_is_rejected_once_and_filled_in_order() {
    let mut end = End::connected(Config::primary_rate());
    end.hears(Kind::Command, "00 00 b0");
    end.says(&["got [b0]", "R 01 02"]);
    end.hears(Kind::Command, "04 00 b2");
    end.says(&["R 09 02"]);
    end.hears(Kind::Command, "06 00 b3");
    end.says(&[]);
    end.hears(Kind::Command, "02 00 b1");
    end.says(&["got [b1]", "R 01 04"]);
}

#[test]
fn a_reject_sends_all_again_from_there() {
    let mut end = End::connected(Config::primary_rate());
    for payload in 0xA0..0xA3 {
        end.sends(payload);
    }
    end.says(&["C 00 00 a0", "C 02 00 a1", "C 04 00 a2"]);
    end.hears(Kind::Response, "09 02");
    end.says(&["C 02 00 a1", "C 04 00 a2"]);
    assert_eq!(end.link.counters().repeated, 2);
}

#[test]
fn an_unacknowledged_payload_is_asked_for_and_sent_again() {
    let mut end = End::connected(Config::primary_rate());
    end.sends(0xA0);
    end.says(&["C 00 00 a0"]);
    end.waits(SECOND);
    end.says(&["C 01 01"]);
    end.hears(Kind::Response, "01 01");
    end.says(&["C 00 00 a0"]);
}

#[test]
fn without_an_address_the_payload_itself_polls() {
    let mut end = End::connected(Config {
        addressing: Addressing::ControlOnly,
        ..Config::primary_rate()
    });
    end.sends(0xA0);
    end.says(&["C 00 00 a0"]);
    end.waits(SECOND);
    end.says(&["C 00 01 a0"]);
    end.link.receive(None, &[0x01, 0x03], end.now);
    end.says(&[]);
    assert_eq!(end.link.poll_output(), Output::Timeout(None));
}

#[test]
fn an_idle_link_is_watched_and_a_silent_peer_found_out() {
    let mut end = End::connected(Config::primary_rate());
    end.waits(10 * SECOND);
    end.says(&["C 01 01"]);
    for _ in 0..3 {
        end.waits(SECOND);
        end.says(&["C 01 01"]);
    }
    end.waits(SECOND);
    end.says(&["lost 0", "C 7f"]);
    end.hears(Kind::Response, "73");
    end.says(&["up Recovered"]);
}

#[test]
fn a_poll_is_answered_with_the_final_bit() {
    let mut end = End::connected(Config::primary_rate());
    end.hears(Kind::Command, "01 01");
    end.says(&["R 01 01"]);
    end.link.pause_receiving();
    end.says(&["R 05 00"]);
    end.hears(Kind::Command, "00 01 b0");
    end.says(&["R 05 01"]);
    end.link.resume_receiving();
    end.says(&["R 01 00"]);
}

#[test]
fn a_busy_peer_gets_nothing_but_questions() {
    let mut end = End::connected(Config::primary_rate());
    end.hears(Kind::Response, "05 00");
    end.sends(0xA0);
    end.says(&[]);
    for _ in 0..10 {
        end.waits(SECOND);
        end.says(&["C 01 01"]);
        end.hears(Kind::Response, "05 01");
        end.says(&[]);
    }
    end.hears(Kind::Response, "01 00");
    end.says(&["C 00 00 a0"]);
}

#[test]
fn a_peer_that_begins_anew_is_answered_and_reported() {
    let mut end = End::connected(Config::primary_rate());
    end.sends(0xA0);
    end.says(&["C 00 00 a0"]);
    end.hears(Kind::Command, "7f");
    end.says(&["R 73", "up Peer"]);
    assert_eq!(end.link.counters().discarded, 1);
}

#[test]
fn what_is_rejected_or_impossible_establishes_the_link_anew() {
    for (kind, hex) in [
        (Kind::Response, "87 01 02 03 04"),
        (Kind::Response, "01 40"),
        (Kind::Response, "0f"),
        (Kind::Command, "ff"),
        (Kind::Command, "0d 00"),
    ] {
        let mut end = End::connected(Config::primary_rate());
        end.hears(kind, hex);
        end.says(&["lost 0", "C 7f"]);
    }
}

#[test]
fn while_down_commands_are_refused_and_answers_ignored() {
    let mut end = End::new(Config::primary_rate());
    end.hears(Kind::Command, "53");
    end.says(&["R 1f"]);
    end.hears(Kind::Command, "00 01 aa");
    end.says(&["R 1f"]);
    end.hears(Kind::Response, "01 01");
    end.says(&[]);
    end.hears(Kind::Response, "73");
    end.says(&["unsolicited"]);
    assert_eq!(
        end.link.send(vec![1], end.now),
        Err(SendError::NotConnected)
    );
}

#[test]
fn release_and_release_from_the_peer_end_the_link() {
    let mut end = End::connected(Config::primary_rate());
    end.link.release(end.now);
    end.says(&["C 53"]);
    end.hears(Kind::Response, "73");
    end.says(&["down Requested"]);
    let mut end = End::connected(Config::primary_rate());
    end.hears(Kind::Command, "53");
    end.says(&["R 73", "down Peer"]);
}

#[test]
fn a_full_queue_and_a_long_payload_are_refused_and_counted() {
    let mut end = End::connected(Config {
        queue: 2,
        longest_payload: 1,
        ..Config::primary_rate()
    });
    end.sends(1);
    end.sends(2);
    assert_eq!(end.link.send(vec![3], end.now), Err(SendError::QueueFull));
    assert_eq!(end.link.send(vec![3, 4], end.now), Err(SendError::TooLong));
    assert_eq!(end.link.counters().send_refused, 2);
}

// ---- two ends and a bad line -------------------------------------------------------

/// What the line does to a frame.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Doubled,
    /// Arrives after so many milliseconds more.
    Late(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Doubled),
        1 => (1u64..60).prop_map(Fate::Late),
    ]
}

#[derive(Default)]
struct Reader {
    /// The highest number received.
    last: Option<u32>,
    received: usize,
}

struct Line {
    ends: [Link; 2],
    /// (when, to whom, kind, octets), in order of sending.
    under_way: Vec<(Instant, usize, Kind, Vec<u8>)>,
    fates: std::iter::Cycle<std::vec::IntoIter<Fate>>,
    readers: [Reader; 2],
    /// A gap may follow: an end said that the link is new or broken.
    announced: [bool; 2],
    next_number: u32,
    now: Instant,
    quiet: bool,
}

impl Line {
    fn new(config: Config, fates: Vec<Fate>) -> Self {
        Self {
            ends: [Link::new(config), Link::new(config)],
            under_way: Vec::new(),
            fates: fates.into_iter().cycle(),
            readers: Default::default(),
            announced: [true; 2],
            next_number: 0,
            now: Instant::now(),
            quiet: false,
        }
    }

    fn send(&mut self, end: usize) {
        let payload = self.next_number.to_be_bytes().to_vec();
        self.next_number += 1;
        // Refused is known to the sender: not lost.
        if self.ends[end].send(payload, self.now).is_err() {
            self.announced[1 - end] = true;
        }
        self.drain(end);
    }

    fn drain(&mut self, end: usize) {
        loop {
            match self.ends[end].poll_output() {
                Output::Transmit { kind, octets } => self.carry(1 - end, kind, octets),
                Output::Event(Event::Received(payload)) => {
                    let number = u32::from_be_bytes(payload.try_into().unwrap());
                    let reader = &mut self.readers[end];
                    assert!(reader.last < Some(number), "doubled or out of order");
                    reader.last = Some(number);
                    reader.received += 1;
                }
                Output::Event(_) => self.announced = [true; 2],
                Output::Timeout(_) => return,
            }
        }
    }

    fn carry(&mut self, to: usize, kind: Kind, octets: Vec<u8>) {
        let at = self.now + Duration::from_millis(10);
        let fate = if self.quiet {
            Fate::Arrives
        } else {
            self.fates.next().unwrap_or(Fate::Arrives)
        };
        match fate {
            Fate::Arrives => self.under_way.push((at, to, kind, octets)),
            Fate::Lost => {}
            Fate::Doubled => {
                self.under_way.push((at, to, kind, octets.clone()));
                self.under_way.push((at, to, kind, octets));
            }
            Fate::Late(more) => {
                let at = at + Duration::from_millis(more);
                self.under_way.push((at, to, kind, octets));
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.under_way.iter().map(|(at, ..)| *at).min();
            let timers = [0, 1].map(|end| match self.ends[end].poll_output() {
                Output::Timeout(at) => at,
                other => panic!("not drained: {other:?}"),
            });
            let next = timers.into_iter().chain([arrival]).flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            assert!(next >= self.now, "a deadline in the past");
            self.now = next;
            if let Some(index) = self.under_way.iter().position(|(at, ..)| *at == next) {
                let (_, to, kind, octets) = self.under_way.remove(index);
                self.ends[to].receive(Some(kind), &octets, next);
                self.drain(to);
            }
            for end in [0, 1] {
                self.ends[end].handle_timeout(next);
                self.drain(end);
            }
        }
    }
}

fn configs() -> impl Strategy<Value = Config> {
    let addressing = prop_oneof![Just(Addressing::CommandBit), Just(Addressing::ControlOnly)];
    (addressing, prop_oneof![Just(1u8), Just(7), Just(127)]).prop_map(|(addressing, window)| {
        Config {
            addressing,
            window,
            ..Config::primary_rate()
        }
    })
}

proptest! {
    #[test]
    fn a_bad_line_loses_and_doubles_nothing_unannounced(
        config in configs(),
        fates in proptest::collection::vec(fate(), 1..200),
        steps in proptest::collection::vec((0usize..2, 0u64..400), 1..60),
    ) {
        let mut line = Line::new(config, fates);
        line.ends[0].establish(line.now);
        line.drain(0);
        line.run(5 * SECOND);
        for (end, pause) in steps {
            line.send(end);
            line.run(Duration::from_millis(pause));
        }
        // The line is good again: what is still wrong is put right.
        line.quiet = true;
        line.run(60 * SECOND);
        if line.ends.iter().any(|end| end.status() != Status::Connected) {
            line.ends[0].establish(line.now);
            line.drain(0);
            line.run(10 * SECOND);
        }
        line.announced = [false; 2];
        let before = [line.readers[0].received, line.readers[1].received];
        for _ in 0..20 {
            line.send(0);
            line.send(1);
            line.run(Duration::from_millis(30));
        }
        line.run(60 * SECOND);
        prop_assert_eq!(line.announced, [false; 2]);
        prop_assert_eq!([line.readers[0].received, line.readers[1].received], before.map(|n| n + 20));
    }

    /// Losses alone, as long as N200 bears them, break nothing: all arrives without a word.
    #[test]
    fn losses_within_n200_go_unnoticed(
        config in configs(),
        fates in proptest::collection::vec(
            prop_oneof![9 => Just(Fate::Arrives), 1 => Just(Fate::Lost)],
            101..=101,
        ),
        count in 1usize..120,
    ) {
        let config = Config { retries: 20, ..config };
        let mut line = Line::new(config, fates);
        line.quiet = true;
        line.ends[0].establish(line.now);
        line.drain(0);
        line.run(SECOND / 2);
        line.quiet = false;
        line.announced = [false; 2];
        for _ in 0..count {
            line.send(0);
            line.send(1);
            line.run(Duration::from_millis(120));
        }
        line.run(120 * SECOND);
        prop_assert_eq!(line.announced, [false; 2]);
        prop_assert_eq!([line.readers[0].received, line.readers[1].received], [count; 2]);
    }

    #[test]
    fn any_frames_leave_it_bounded_and_with_a_deadline_to_come(
        frames in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..6)), 0..80),
    ) {
        let mut link = Link::new(Config { queue: 4, ..Config::primary_rate() });
        let mut now = Instant::now();
        link.establish(now);
        for (command, octets) in frames {
            let kind = if command { Kind::Command } else { Kind::Response };
            link.receive(Some(kind), &octets, now);
            let _ = link.send(vec![1], now);
            prop_assert!(link.waiting() <= 4);
            let said = drain(&mut link);
            prop_assert!(said.len() < 20, "{said:?}");
            if let Output::Timeout(Some(at)) = link.poll_output() {
                prop_assert!(at > now);
                if octets.len() % 3 == 0 {
                    now = at;
                    link.handle_timeout(now);
                    drain(&mut link);
                }
            }
        }
    }
}
