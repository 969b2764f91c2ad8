//! The constants of ITU-T G.722 (09/2012) and tables made of them at compile time.
//!
//! Only the numbers of the recommendation's own tables stand here; each table
//! that saves a search or a shift at run time is computed from them, and a test
//! compares it with the rule it replaces.

/// The filter of both filter banks (table 11), which is its own mirror image.
pub(super) const QMF: [i16; 24] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, //
    3876, 951, -805, -210, 362, 32, -156, 12, 53, -11, -11, 3,
];

/// Decision levels of the low band's 60 steps, in 1/4096 of the scale (table 14).
const LOW_DECISIONS: [i16; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, //
    786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Output levels of the low band at six bits (table 16).
const LOW_OUTPUTS: [i16; 31] = [
    0, 17, 54, 91, 130, 170, 211, 254, 300, 347, 396, 447, 501, 558, 618, 682, //
    750, 822, 899, 982, 1072, 1170, 1279, 1399, 1535, 1689, 1873, 2088, 2376, 2738, 3101,
];

/// Output levels of the low band at the four bits that drive the predictor.
const LOW_COARSE_OUTPUTS: [i16; 8] = [0, 150, 323, 530, 786, 1121, 1612, 2557];

/// What each of the four-bit levels adds to the logarithmic scale (table 19).
const LOW_SCALE_STEPS: [i16; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];

/// The high band's only decision level beside zero.
const HIGH_DECISION: i32 = 564;
const HIGH_OUTPUTS: [i16; 2] = [202, 926];
const HIGH_SCALE_STEPS: [i16; 2] = [-214, 798];

/// 2048 * 2^(i/32), as the recommendation rounds it (table 20).
const POWERS: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// What one quantised difference means to the predictor and to its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// The difference, in 1/32768 of the scale.
    pub(super) coarse: i16,
    /// The same as the listener hears it: finer in the low band.
    pub(super) fine: i16,
    pub(super) scale_step: i16,
    /// The code word of this level.
    pub(super) code: u8,
}

const NOTHING: Level = Level {
    coarse: 0,
    fine: 0,
    scale_step: 0,
    code: 0,
};

/// The low band's levels by code word.
pub(super) const LOW_BY_CODE: [Level; 64] = {
    let mut levels = [NOTHING; 64];
    let mut code = 0;
    while code < 64 {
        // Codes 0 to 3 are never sent (they would make too long runs of zeros);
        // a decoder takes them for the smallest negative step.
        let (magnitude, negative) = match code {
            0..4 => (1, true),
            4..32 => (34 - code, true),
            32..62 => (62 - code, false),
            _ => (64 - code, true),
        };
        // 0 to 3 and 60 to 63 are the same four-bit levels, of no height.
        let coarse = if code < 4 { 0 } else { (magnitude + 1) / 4 };
        levels[code] = Level {
            coarse: signed(LOW_COARSE_OUTPUTS[coarse], negative),
            fine: signed(LOW_OUTPUTS[magnitude], negative),
            scale_step: LOW_SCALE_STEPS[coarse],
            code: code as u8,
        };
        code += 1;
    }
    levels
};

/// The high band's levels by code word.
pub(super) static HIGH_BY_CODE: [Level; 4] = {
    let mut levels = [NOTHING; 4];
    let mut code = 0;
    while code < 4 {
        let large = 1 - code % 2;
        let output = signed(HIGH_OUTPUTS[large], code < 2);
        levels[code] = Level {
            coarse: output,
            fine: output,
            scale_step: HIGH_SCALE_STEPS[large],
            code: code as u8,
        };
        code += 1;
    }
    levels
};

const fn signed(output: i16, negative: bool) -> i16 {
    if negative { -8 * output } else { 8 * output }
}

/// The low band's levels by sign and by how many decision levels were reached,
/// negative ones in the upper half.
pub(super) static LOW_BY_MAGNITUDE: [Level; 64] = {
    let mut levels = [NOTHING; 64];
    let mut magnitude = 1;
    while magnitude <= 30 {
        let negative = if magnitude <= 2 {
            64 - magnitude
        } else {
            34 - magnitude
        };
        levels[magnitude] = LOW_BY_CODE[62 - magnitude];
        levels[32 + magnitude] = LOW_BY_CODE[negative];
        magnitude += 1;
    }
    levels
};

/// How many decision levels a difference of so many 1/4096 of the scale reaches.
static LOW_MAGNITUDES: [u8; 4096] = {
    let mut magnitudes = [0; 4096];
    let mut height = 0;
    while height < 4096 {
        let mut magnitude = 0;
        while magnitude < 30 && LOW_DECISIONS[magnitude] as usize <= height {
            magnitude += 1;
        }
        magnitudes[height] = magnitude as u8;
        height += 1;
    }
    magnitudes
};

/// QUANTL without its search: how many decision levels a difference reaches.
/// Its height in units of the scale is an index; the division by the scale is a
/// product with its reciprocal.
#[inline(always)]
pub(super) fn low_magnitude(difference: i32, scale: &Scale) -> usize {
    // Above the scale itself there are no more levels.
    let height = difference.min(scale.linear - 1);
    let numerator = (height as u64) << 12 | 4095;
    let height = (numerator * scale.reciprocal) >> 40;
    usize::from(LOW_MAGNITUDES[(height & 4095) as usize] & 31)
}

/// One entry of the scale: the linear scale, and what the quantiser needs of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) linear: i32,
    /// The high band's decision level.
    pub(super) high_decision: i32,
    /// 2^40 / linear, rounded up.
    pub(super) reciprocal: u64,
}

/// The longest logarithmic scale, in the steps of [`SCALES`].
const SCALE_STEPS: usize = 353;

/// Scales by the upper bits of the high band's logarithmic scale. The low
/// band's smallest scale is four times as large.
pub(super) static SCALES: [Scale; SCALE_STEPS] = {
    let mut scales = [Scale {
        linear: 0,
        high_decision: 0,
        reciprocal: 0,
    }; SCALE_STEPS];
    let mut index = 0;
    while index < SCALE_STEPS {
        let power = POWERS[index % 32] as i32;
        let linear = 4 * (power << (index / 32) >> 10);
        scales[index] = Scale {
            linear,
            high_decision: (8 * HIGH_DECISION * linear) >> 15,
            reciprocal: (1_u64 << 40).div_ceil(linear as u64),
        };
        index += 1;
    }
    scales
};
/// Where the low band's scales begin.
pub(super) const LOW_SCALES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The recommendation's own way.
    fn searched(difference: i32, scale: &Scale) -> usize {
        let level = |decision: &i16| (i32::from(*decision) * scale.linear) >> 12;
        let reached = LOW_DECISIONS
            .iter()
            .filter(|decision| level(decision) <= difference);
        reached.count()
    }

    #[test]
    fn quantising_without_a_search_finds_what_a_search_finds() {
        for scale in &SCALES[LOW_SCALES..] {
            for decision in LOW_DECISIONS.iter().chain(&[4095, 4096, 32767]) {
                let level = (i32::from(*decision) * scale.linear) >> 12;
                for difference in (level - 2).max(0)..=level + 2 {
                    let found = low_magnitude(difference, scale);
                    assert_eq!(found, searched(difference, scale), "{difference} {scale:?}");
                }
            }
        }
    }

    #[test]
    fn each_code_word_is_the_level_it_names() {
        for (code, level) in LOW_BY_CODE.iter().enumerate() {
            assert_eq!(usize::from(level.code), code);
        }
        for (magnitude, level) in LOW_BY_MAGNITUDE.iter().enumerate() {
            let [height, negative] = [magnitude % 32, magnitude / 32];
            if (1..=30).contains(&height) {
                assert!(level.code >= 4, "codes 0 to 3 are never sent");
                assert_eq!(level.fine.signum(), if negative == 1 { -1 } else { 1 });
                assert_eq!(level.fine.abs(), 8 * LOW_OUTPUTS[height]);
            }
        }
    }

    /// Each scale is four times the recommendation's table ILA and one more.
    #[test]
    fn scales_double_every_32_steps() {
        let linear = |index: usize| SCALES[index].linear;
        assert_eq!([0, LOW_SCALES, 352].map(linear), [8, 32, 16_384]);
        for index in 32..353 {
            let half = linear(index) / 2;
            assert!((half - 4..=half + 4).contains(&linear(index - 32)));
        }
    }
}
