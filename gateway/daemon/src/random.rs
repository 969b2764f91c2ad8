//! Numbers that nobody can foretell, from the operating system.

use std::fs::File;
use std::io::{self, Read};

/// So many random bytes. The kernel's source never runs dry once it has started.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_draws_are_the_same() {
        assert_ne!(super::bytes::<32>().unwrap(), super::bytes::<32>().unwrap());
    }
}
