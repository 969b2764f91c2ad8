//! The field of 32 elements, in which the check character of a claim code is reckoned.
//!
//! Each of the 32 symbols is an element; a code is right when it vanishes as a polynomial at a
//! primitive element. As that element has order 31 and a code has 21 places, every wrong symbol and
//! every exchange of two symbols, adjacent or not, is noticed, and the check character stays within
//! the same 32 symbols (a remainder modulo 37, the usual choice, needs five more).

/// x^5 + x^2 + 1, primitive over the field of two elements.
const MODULUS: u8 = 0b10_0101;

/// Multiplies by the primitive element x.
fn times_x(element: u8) -> u8 {
    let shifted = element << 1;
    if shifted & 0b10_0000 == 0 {
        shifted
    } else {
        shifted ^ MODULUS
    }
}

/// The polynomial with these coefficients, the highest first, at the primitive element.
pub(super) fn value(symbols: &[u8]) -> u8 {
    symbols
        .iter()
        .fold(0, |value, symbol| times_x(value) ^ symbol)
}

/// The last symbol that makes the whole vanish.
pub(super) fn check_symbol(symbols: &[u8]) -> u8 {
    times_x(value(symbols))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_element_has_order_31() {
        let mut element = 1;
        for power in 1..31 {
            element = times_x(element);
            assert_ne!(element, 1, "order {power}");
        }
        assert_eq!(times_x(element), 1);
    }
}
