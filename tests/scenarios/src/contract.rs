//! The contract that every machine of this house keeps, as a test.
//!
//! A [`Machine`] is one of our machines with somebody around it who chooses what happens next; all
//! chance comes from one seed. [`keep`] lets it live and checks: a drain ends within a bound; after
//! it no deadline is due; what is asked again says the same; an early `handle_timeout` changes
//! nothing; nothing waits behind `Timeout` that should have been said; the same inputs and seed
//! give the same outputs. That something is done *right* other tests show.

use std::fmt;
use std::time::{Duration, Instant};

use crate::clock::{HOUR, MILLISECOND, since_start, start};
use crate::random::Random;

/// One machine and whoever speaks with it.
pub trait Machine {
    /// What can happen to it.
    type Input: fmt::Debug;

    fn new(seed: u64, now: Instant) -> Self;

    /// The next thing to happen. It may depend on what the machine has said.
    fn choose(&mut self, random: &mut Random, now: Instant) -> Self::Input;

    fn handle(&mut self, input: Self::Input, now: Instant);

    fn handle_timeout(&mut self, now: Instant);

    fn poll(&mut self) -> Step;
}

/// One step of a drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An output, in words.
    Said(String),
    Timeout(Option<Instant>),
}

/// One input causes at most so many outputs. Hundreds are usual at a full house.
const LONGEST_DRAIN: usize = 20_000;
/// A machine left alone for an hour is woken at most so often.
const MOST_WAKES: usize = 200_000;
const PAUSES: [Duration; 9] = [
    Duration::ZERO,
    Duration::ZERO,
    MILLISECOND,
    Duration::from_millis(20),
    Duration::from_millis(150),
    Duration::from_millis(499),
    Duration::from_millis(2_000),
    Duration::from_millis(17_000),
    Duration::from_millis(140_000),
];

/// When the owner calls `handle_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waking {
    WhenDue,
    /// Also after each input, and a nanosecond before each deadline.
    TooEarlyAsWell,
}

/// Lets a machine live through so many inputs, twice, and checks the contract all along.
pub fn keep<M: Machine>(seed: u64, inputs: usize) {
    let told = |waking| {
        let mut witness = Witness::<M>::new(seed, waking);
        let life = std::panic::AssertUnwindSafe(|| witness.live(inputs));
        match std::panic::catch_unwind(life) {
            Ok(()) => witness.told,
            Err(panic) => {
                let last = witness.told.len().saturating_sub(40);
                eprintln!(
                    "seed {seed}, {waking:?}:\n{}",
                    witness.told[last..].join("\n")
                );
                std::panic::resume_unwind(panic)
            }
        }
    };
    let exact = told(Waking::WhenDue);
    let early = told(Waking::TooEarlyAsWell);
    if let Some(at) = (0..exact.len().max(early.len())).find(|at| exact.get(*at) != early.get(*at))
    {
        let last = at.saturating_sub(20);
        panic!(
            "seed {seed}: the same inputs gave other outputs, or an early timeout changed something:\n\
             {}\nonce:  {:?}\nagain: {:?}",
            exact[last..at].join("\n"),
            exact.get(at),
            early.get(at),
        );
    }
}

struct Witness<M> {
    machine: M,
    random: Random,
    waking: Waking,
    now: Instant,
    deadline: Option<Instant>,
    /// All that happened and was said, in words.
    told: Vec<String>,
}

impl<M: Machine> Witness<M> {
    fn new(seed: u64, waking: Waking) -> Self {
        let now = start();
        Self {
            machine: M::new(seed, now),
            random: Random::new(seed),
            waking,
            now,
            deadline: None,
            told: Vec::new(),
        }
    }

    fn live(&mut self, inputs: usize) {
        self.drain();
        for _ in 0..inputs {
            let pause = self.random.pick(&PAUSES);
            self.pass(pause);
            let input = self.machine.choose(&mut self.random, self.now);
            self.told
                .push(format!("{} <- {input:?}", since_start(self.now)));
            self.machine.handle(input, self.now);
            self.drain();
            self.poke(self.now);
        }
        self.pass(HOUR);
    }

    /// Time goes on; the machine is woken when it wants to be.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut wakes = 0;
        while let Some(due) = self.deadline.filter(|due| *due <= until) {
            let before = due - Duration::from_nanos(1);
            if before > self.now {
                self.now = before;
                self.poke(before);
            }
            self.now = due;
            self.machine.handle_timeout(due);
            // That something was said, or the deadline has moved, the drain makes sure: a deadline
            // of this moment would be one that nothing was done about.
            self.drain();
            wakes += 1;
            assert!(wakes < MOST_WAKES, "it wants to be woken for ever");
        }
        self.now = until;
    }

    /// It is woken though nothing is due.
    fn poke(&mut self, now: Instant) {
        if self.waking == Waking::TooEarlyAsWell {
            self.machine.handle_timeout(now);
            let step = self.machine.poll();
            let expected = Step::Timeout(self.deadline);
            assert_eq!(step, expected, "woken too early it did something");
        }
    }

    fn drain(&mut self) {
        for _ in 0..LONGEST_DRAIN {
            match self.machine.poll() {
                Step::Said(words) => self
                    .told
                    .push(format!("{} -> {words}", since_start(self.now))),
                Step::Timeout(deadline) => {
                    let waits = deadline.is_none_or(|at| at > self.now);
                    assert!(waits, "after a drain a deadline is due at once");
                    let again = self.machine.poll();
                    assert_eq!(
                        again,
                        Step::Timeout(deadline),
                        "something waited behind the timeout"
                    );
                    self.deadline = deadline;
                    self.told.push(match deadline {
                        Some(at) => format!("until {}", since_start(at)),
                        None => "until something happens".into(),
                    });
                    return;
                }
            }
        }
        panic!("a drain that does not end");
    }
}
