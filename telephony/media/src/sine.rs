//! A sine of our own, the same to the last bit on every machine.
//!
//! The platform's may differ between libraries, and it cannot be asked while
//! compiling, where the filter tables are made. Takes turns, not radians.

use std::f64::consts::TAU;

/// The sine of a number of turns; true to 1e-12.
pub(crate) const fn sine(turns: f64) -> f64 {
    // Into half a turn around zero, then into a quarter, where few terms suffice.
    let mut part = turns - (turns as i64) as f64;
    if part > 0.5 {
        part -= 1.0;
    } else if part < -0.5 {
        part += 1.0;
    }
    if part > 0.25 {
        part = 0.5 - part;
    } else if part < -0.25 {
        part = -0.5 - part;
    }
    let x = part * TAU;
    let square = x * x;
    let mut term = x;
    let mut sum = x;
    let mut n = 1;
    while n <= 8 {
        term *= -square / ((2 * n) as f64 * (2 * n + 1) as f64);
        sum += term;
        n += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_platform() {
        for step in -4000..4000 {
            let turns = f64::from(step) / 777.0;
            assert!((sine(turns) - (turns * TAU).sin()).abs() < 1e-11, "{turns}");
        }
    }
}
