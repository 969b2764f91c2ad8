//! `hash-password`: the digests of a password (RFC 7616 A1) for use in the directory.
//!
//! Invariant: the password is neither shown nor kept; it is read from the terminal with echo off.

use std::io::{self, BufRead, IsTerminal, Write};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use sip::digest::{Algorithm, ha1};

use super::args::HashPassword;
use super::{Exit, Failure};

pub(super) fn run(options: &HashPassword) -> Result<Exit, Failure> {
    let password = read_password().map_err(Failure::input)?;
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty: type one, or pipe one line in",
        ));
    }
    let text = digests(&options.user, &options.realm, &password);
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::output)?;
    Ok(Exit::Done)
}

fn digests(user: &str, realm: &str, password: &str) -> String {
    let hex = |algorithm| {
        let hex = ha1(algorithm, user, realm, password).to_hex();
        String::from_utf8_lossy(hex.as_bytes()).into_owned()
    };
    format!(
        "# user \"{user}\" in realm \"{realm}\"\nha1_sha256 = \"{}\"\n\
         # only for stations that know nothing newer, together with allow_md5 = true:\n\
         # ha1_md5 = \"{}\"\n",
        hex(Algorithm::Sha256),
        hex(Algorithm::Md5)
    )
}

fn read_password() -> io::Result<String> {
    let stdin = io::stdin();
    let shown = if stdin.is_terminal() {
        let shown = tcgetattr(&stdin)?;
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&stdin, SetArg::TCSANOW, &hidden)?;
        io::stderr().write_all(b"password: ")?;
        Some(shown)
    } else {
        None
    };
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = shown {
        tcsetattr(&stdin, SetArg::TCSANOW, &shown)?;
        io::stderr().write_all(b"\n")?;
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        // RFC 2617 3.5 and RFC 7616 3.9.1 use these names; the hashes are of A1.
        let text = digests("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert!(text.contains("939e7578ed9e3c518a452acee763bce9"), "{text}");
        let text = digests("Mufasa", "http-auth@example.org", "Circle of Life");
        assert!(
            text.contains("7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"),
            "{text}"
        );
    }
}
