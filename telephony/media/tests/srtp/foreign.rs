//! Packets that other implementations protected: we read them, and write the same octets.

use media::srtp::{MasterKey, Receiver, Sender, Suite};

use super::{protected, rtcp};

/// Written by `libsrtp.py`, with libsrtp 2 behind pylibsrtp 1.0.0.
const LIBSRTP: &str = include_str!("libsrtp.txt");

/// The same packets by rtc-srtp 0.21.1, for the suites that pylibsrtp has no name for.
const RTC_SRTP: &str = include_str!("rtc-srtp.txt");

fn hex(digits: &str) -> Vec<u8> {
    let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
    (0..digits.len()).step_by(2).map(octet).collect()
}

#[test]
fn we_read_what_others_write_and_write_the_same() {
    let suites = check(LIBSRTP) + check(RTC_SRTP);
    assert_eq!(suites, Suite::ALL.len());
}

fn check(packets: &str) -> usize {
    let mut directions: Option<(Sender, Receiver)> = None;
    let mut suites = 0;
    for line in packets.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (kind, plain, foreign) = match *words {
            [name, key] => {
                let suite = Suite::ALL.into_iter().find(|suite| suite.name() == name);
                let suite = suite.expect("a suite of ours");
                let key = MasterKey::new(suite, &hex(key)).expect("the length fits");
                let mut sender = Sender::new(key.clone());
                // They count RTCP from one; both may.
                protected(&mut sender, &rtcp(1));
                directions = Some((sender, Receiver::new(key)));
                suites += 1;
                continue;
            }
            [kind, plain, foreign] => (kind, hex(plain), hex(foreign)),
            _ => panic!("{line}"),
        };
        let (sender, receiver) = directions.as_mut().expect("a key comes first");
        let mut read = foreign.clone();
        let written = protected(sender, &plain);
        let opened = match kind {
            "rtp" => receiver.unprotect_rtp(&mut read),
            _ => receiver.unprotect_rtcp(&mut read),
        };
        assert_eq!(opened, Ok(plain.len()), "{kind}");
        assert_eq!(read[..plain.len()], plain, "{kind}");
        assert_eq!(written, foreign, "{kind}");
    }
    suites
}
