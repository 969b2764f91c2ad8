//! What protecting and unprotecting a packet costs, in place, on one core: the least of many rounds.
//!
//! `cargo bench -p media --bench srtp`. Judges nothing; figures are for docs/performance.md.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use std::time::{Duration, Instant};

use media::srtp::{MAX_GROWTH, MasterKey, Receiver, Sender, Suite};

const PACKETS: usize = 256;
const ROUNDS: usize = 4000;

fn main() {
    for len in [172, 972] {
        for suite in Suite::ALL {
            round_trips(suite, len);
        }
    }
}

fn round_trips(suite: Suite, len: usize) {
    let key = MasterKey::new(suite, &[7; 46][..suite.keying_len()]).expect("the length fits");
    let (mut sender, mut receiver) = (Sender::new(key.clone()), Receiver::new(key));
    let mut packets = vec![vec![0x80; len + MAX_GROWTH]; PACKETS];
    let mut longs = [0; PACKETS];
    let mut sequence: u16 = 0;
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for packet in &mut packets {
            sequence = sequence.wrapping_add(1);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        }
        let start = Instant::now();
        for (packet, long) in packets.iter_mut().zip(&mut longs) {
            *long = sender.protect_rtp(packet, len).expect("a new packet");
        }
        let middle = Instant::now();
        for (packet, long) in packets.iter_mut().zip(&longs) {
            receiver
                .unprotect_rtp(&mut packet[..*long])
                .expect("genuine");
        }
        least[0] = least[0].min(middle - start);
        least[1] = least[1].min(middle.elapsed());
    }
    let [protect, unprotect] = least.map(|least| PACKETS as f64 / least.as_secs_f64() / 1e6);
    let name = suite.name();
    println!("{name:<24} {len:>5} octets {protect:>7.2} M/s {unprotect:>7.2} M/s");
}
