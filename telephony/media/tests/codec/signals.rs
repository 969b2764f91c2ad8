//! Signals made of whole numbers, so that they are the same on every machine:
//! the references are fingerprints of what other programs made of them.

/// Samples in each: two seconds of 16 kHz.
const LENGTH: usize = 32_000;

type Signal = (&'static str, fn() -> Vec<i16>);

pub(crate) const ALL: [Signal; 9] = [
    ("noise", noise),
    ("quiet noise", quiet_noise),
    ("square", square),
    ("sweep", sweep),
    ("bursts", bursts),
    ("impulses", impulses),
    ("alternating", alternating),
    ("voice", voice),
    ("slow square", slow_square),
];

/// Those that overload no filter, so that programs without the limits behind
/// the transmit filter give the same.
pub(crate) const MODEST: [Signal; 4] = [
    ("quiet noise", quiet_noise),
    ("half sweep", half_sweep),
    ("voice", voice),
    ("bursts", bursts),
];

/// Octets without a pattern: to a decoder of G.711 or G.722 they are speech.
pub(crate) fn octets() -> Vec<u8> {
    let mut random = Random(7);
    (0..LENGTH / 2).map(|_| random.next() as u8).collect()
}

/// Octets that swing between the loudest codes, to drive a decoder to its limits.
pub(crate) fn loud_octets() -> Vec<u8> {
    const LOUDEST: [u8; 6] = [0x84, 0xa0, 0x04, 0xe0, 0x20, 0x05];
    let mut random = Random(11);
    let mut codes = Vec::new();
    while codes.len() < LENGTH / 2 {
        let [first, second] = [0; 2].map(|_| LOUDEST[random.next() as usize % 6]);
        let period = 1 + random.next() as usize % 9;
        for index in 0..200 {
            codes.push(if even(index / period) { first } else { second });
        }
    }
    codes
}

/// The upper bits of Knuth's linear congruences.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}

fn noise() -> Vec<i16> {
    let mut random = Random(1);
    (0..LENGTH).map(|_| random.next() as i16).collect()
}

fn quiet_noise() -> Vec<i16> {
    let mut random = Random(2);
    (0..LENGTH)
        .map(|_| (random.next() % 41) as i16 - 20)
        .collect()
}

fn square() -> Vec<i16> {
    let high = |n: usize| even(n * 880 / 16_000);
    (0..LENGTH)
        .map(|n| if high(n) { 32767 } else { -32768 })
        .collect()
}

fn slow_square() -> Vec<i16> {
    let high = |n: usize| even(n / 400);
    (0..LENGTH)
        .map(|n| if high(n) { 32767 } else { -32768 })
        .collect()
}

fn sweep() -> Vec<i16> {
    let mut phase = 0_u32;
    let rising = (0..LENGTH as u32).map(|n| {
        // From 50 Hz to 7850 Hz, in units of 2^-32 turns.
        phase = phase.wrapping_add(13_421_773 + n * 65_431);
        triangle(phase)
    });
    rising.collect()
}

fn half_sweep() -> Vec<i16> {
    sweep().into_iter().map(|sample| sample / 2).collect()
}

/// Noise and silence in turns of 100 ms.
fn bursts() -> Vec<i16> {
    let noise = noise().into_iter().map(|sample| sample / 4);
    let on = |n: usize| even(n / 1600);
    let gated = noise
        .enumerate()
        .map(|(n, sample)| if on(n) { sample } else { 0 });
    gated.collect()
}

fn impulses() -> Vec<i16> {
    let height = |n: usize| if even(n / 317) { 32767 } else { -32768 };
    (0..LENGTH)
        .map(|n| if n.is_multiple_of(317) { height(n) } else { 0 })
        .collect()
}

fn alternating() -> Vec<i16> {
    (0..LENGTH)
        .map(|n| if even(n) { 32767 } else { -32767 })
        .collect()
}

/// A tone of 130 Hz with its harmonics, gliding and swelling, and breath.
pub(crate) fn voice() -> Vec<i16> {
    let mut random = Random(3);
    let mut phases = [0_u32; 12];
    let spoken = (0..LENGTH as u32).map(|n| {
        let pitch = 34_896_609_u32.wrapping_add_signed(i32::from(triangle(n << 17)) * 200);
        let mut sum = 0;
        for (harmonic, phase) in (1..).zip(&mut phases) {
            *phase = phase.wrapping_add(pitch.wrapping_mul(harmonic));
            sum += i32::from(triangle(*phase)) / (2 * harmonic as i32 + 2);
        }
        let loudness = 4096 + i32::from(triangle(n << 18)) / 8;
        let breath = (random.next() % 401) as i32 - 200;
        (((sum / 2 * loudness) >> 13) + breath) as i16
    });
    spoken.collect()
}

/// -32768 to 32767 and back in one turn.
fn triangle(phase: u32) -> i16 {
    let half = (phase >> 15) as i32;
    let folded = if half < 65536 { half } else { 131_071 - half };
    (folded - 32768) as i16
}

fn even(number: usize) -> bool {
    number.is_multiple_of(2)
}
