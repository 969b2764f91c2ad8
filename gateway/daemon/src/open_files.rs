//! Raises the number of files and sockets the process may have open to what the system allows.
//!
//! Each TLS station is one, each media port is one; the usual soft limit of 1024 is a leftover for
//! programs that use select(2).

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Sets the soft limit to the hard one and answers what holds now.
pub(crate) fn raise_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((limit, limit)));
    }
}
