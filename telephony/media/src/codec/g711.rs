//! G.711 (ITU-T G.711, 1988): 8 kHz in octets of A-law or mu-law.
//!
//! Encodes every 16-bit sample as the ITU's reference software (G.191) does.
//! The standard is for signals of 13 and 14 bits; what to do with the bits below
//! is free, so other programs choose the other neighbour within four of a
//! decision level.
//!
//! Encoding is arithmetic, not a table: the position of a number's first bit
//! and the four bits behind it are what a floating point number starts with,
//! and compilers make vector instructions of that. Decoding is a table of 256.

/// 16-bit samples from A-law octets.
static FROM_A_LAW: [i16; 256] = {
    let mut samples = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        // Every other bit is sent inverted, so that silence is no run of equal bits.
        let code = octet ^ 0x55;
        let (segment, step) = (code >> 4 & 7, code & 15);
        let magnitude = match segment {
            0 => (step << 4) + 8,
            _ => ((step << 4) + 0x108) << (segment - 1),
        };
        samples[octet as usize] = if code & 0x80 != 0 {
            magnitude
        } else {
            -magnitude
        };
        octet += 1;
    }
    samples
};

/// 16-bit samples from mu-law octets.
static FROM_MU_LAW: [i16; 256] = {
    let mut samples = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = !octet & 0xff;
        let (segment, step) = (code >> 4 & 7, code & 15);
        let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
        samples[octet as usize] = if code & 0x80 == 0 {
            magnitude
        } else {
            -magnitude
        };
        octet += 1;
    }
    samples
};

/// Writes a sample for each octet, as far as there is room.
pub(super) fn decode_a_law(octets: &[u8], pcm: &mut [i16]) {
    for (sample, octet) in pcm.iter_mut().zip(octets) {
        *sample = FROM_A_LAW[usize::from(*octet)];
    }
}

/// Writes a sample for each octet, as far as there is room.
pub(super) fn decode_mu_law(octets: &[u8], pcm: &mut [i16]) {
    for (sample, octet) in pcm.iter_mut().zip(octets) {
        *sample = FROM_MU_LAW[usize::from(*octet)];
    }
}

/// Writes an octet for each sample, as far as there is room.
pub(super) fn encode_a_law(pcm: &[i16], octets: &mut [u8]) {
    for (octet, sample) in octets.iter_mut().zip(pcm) {
        *octet = a_law(*sample);
    }
}

/// Writes an octet for each sample, as far as there is room.
pub(super) fn encode_mu_law(pcm: &[i16], octets: &mut [u8]) {
    for (octet, sample) in octets.iter_mut().zip(pcm) {
        *octet = mu_law(*sample);
    }
}

#[inline(always)]
fn a_law(sample: i16) -> u8 {
    let (sign, magnitude) = parts(sample);
    let steps = magnitude >> 4;
    // Below 32 steps the scale is linear; above, 16 steps to each octave.
    let code = if steps < 32 {
        steps
    } else {
        segment_and_step(steps, 3)
    };
    (code | (0x80 & !sign)) as u8 ^ 0x55
}

#[inline(always)]
fn mu_law(sample: i16) -> u8 {
    let (sign, magnitude) = parts(sample);
    // 33 makes the first segment begin at a power of two as all others do.
    let steps = ((magnitude >> 2) + 33).min(8191);
    !(segment_and_step(steps, 5) | (0x80 & sign)) as u8
}

/// The sign (0 or -1), and what of the sample is not sign: -1 is a 0 below it,
/// as in G.191.
#[inline(always)]
fn parts(sample: i16) -> (i32, i32) {
    let sample = i32::from(sample);
    let sign = sample >> 31;
    (sign, sample ^ sign)
}

/// The octave of `steps`, counted from `first`, and the four bits behind the
/// first; the first twenty-three bits of a number are exact in an f32.
#[inline(always)]
fn segment_and_step(steps: i32, first: i32) -> i32 {
    let bits = (steps as f32).to_bits() as i32;
    (bits >> 19) - ((127 + first) << 4)
}
