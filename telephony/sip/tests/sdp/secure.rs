//! RFC 4568: streams whose keys belong to the two ends, and legs with keys of their own.

use std::collections::BTreeSet;

use sip::sdp::{
    Crypto, Description, Keyring, Policy, ProtectionPolicy, Security, SecurityError, Suite,
    answer_to, offer_from,
};

use super::relay::{station, written};
use super::survives::ours;

const CALLER: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const CALLEE: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn secure(port: u16, formats: &str, lines: &str) -> Description {
    station(&format!("m=audio {port} RTP/SAVP {formats}\n{lines}"))
}

fn line(tag: u32, suite: &str, key: &str) -> String {
    format!("a=crypto:{tag} {suite} {key}\n")
}

#[test]
fn keys_and_numbers_pass_from_end_to_end() {
    let gcm = line(
        1,
        "AEAD_AES_128_GCM",
        "inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    );
    let cm = line(2, "AES_CM_128_HMAC_SHA1_80", CALLER);
    let offered = secure(4000, "96", &format!("a=rtpmap:96 opus/48000/2\n{gcm}{cm}"));
    let asked = offer_from(&offered, &ours(20_000, 1));
    assert_eq!(
        written(&asked),
        format!("m=audio 20000 RTP/SAVP 96\na=rtpmap:96 opus/48000/2\n{gcm}{cm}a=sendrecv\n")
    );
    let chosen = line(2, "AES_CM_128_HMAC_SHA1_80", CALLEE);
    let settled = secure(5000, "111", &format!("a=rtpmap:111 opus/48000/2\n{chosen}"));
    let answered = answer_to(&offered, &settled, &ours(30_000, 1)).unwrap();
    // Packets cannot be rewritten, so the callee's number is the caller's too.
    assert_eq!(
        written(&answered),
        format!("m=audio 30000 RTP/SAVP 111\na=rtpmap:111 opus/48000/2\n{chosen}a=sendrecv\n")
    );
    assert!(answered.streams[0].is_verbatim());
}

// RFC 4568 5.1.2
#[test]
fn an_answer_must_take_up_one_line_of_the_offer() {
    let offered = secure(4000, "8", &line(1, "AES_CM_128_HMAC_SHA1_80", CALLER));
    let both =
        line(1, "AES_CM_128_HMAC_SHA1_80", CALLEE) + &line(2, "AES_CM_128_HMAC_SHA1_80", CALLEE);
    for lines in [
        line(2, "AES_CM_128_HMAC_SHA1_80", CALLEE),
        line(1, "AES_CM_128_HMAC_SHA1_32", CALLEE),
        both,
    ] {
        let settled = secure(5000, "8", &lines);
        assert!(
            answer_to(&offered, &settled, &ours(30_000, 1)).is_err(),
            "{lines}"
        );
    }
}

#[test]
fn a_secure_offer_is_never_answered_plain_nor_the_other_way_round() {
    let safe = secure(4000, "8", &line(1, "AES_CM_128_HMAC_SHA1_80", CALLER));
    let plain = station("m=audio 5000 RTP/AVP 8\n");
    assert!(answer_to(&safe, &plain, &ours(30_000, 1)).is_err());
    assert!(answer_to(&plain, &safe, &ours(30_000, 1)).is_err());
}

#[test]
fn a_secure_stream_without_a_whole_key_is_refused() {
    for lines in [
        "",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=\n",
        "a=crypto:x\n",
    ] {
        let offered = secure(4000, "8", lines);
        let asked = offer_from(&offered, &ours(20_000, 1));
        assert_eq!(written(&asked), "m=audio 0 RTP/SAVP 8\n");
    }
}

#[test]
fn a_policy_refuses_plain_or_secure_or_prefers_secure() {
    let key = line(1, "AES_CM_128_HMAC_SHA1_80", CALLER);
    let both = station(&format!(
        "m=audio 4000 RTP/AVP 8\nm=audio 4002 RTP/SAVP 8\n{key}"
    ));
    let plain = station("m=audio 4000 RTP/AVP 8\n");
    let live = |offered: &Description, protection| -> Vec<bool> {
        let permitted = Policy {
            protection,
            ..Policy::default()
        }
        .permit(offered);
        permitted
            .streams
            .iter()
            .map(|stream| stream.rtp.is_some())
            .collect()
    };
    assert_eq!(live(&both, ProtectionPolicy::AsOffered), [true, true]);
    assert_eq!(live(&both, ProtectionPolicy::PreferSecure), [false, true]);
    assert_eq!(live(&both, ProtectionPolicy::OnlySecure), [false, true]);
    assert_eq!(live(&both, ProtectionPolicy::OnlyPlain), [true, false]);
    assert_eq!(live(&plain, ProtectionPolicy::PreferSecure), [true]);
    assert_eq!(live(&plain, ProtectionPolicy::OnlySecure), [false]);
}

#[test]
fn keys_in_a_plain_stream_do_not_make_it_secure_and_do_not_pass() {
    let offered = station(&format!(
        "m=audio 4000 RTP/AVP 8\n{}",
        line(1, "AES_CM_128_HMAC_SHA1_80", CALLER)
    ));
    let asked = offer_from(&offered, &ours(20_000, 1));
    assert!(!written(&asked).contains("crypto"));
}

// From here on: legs that agree on keys of their own.

fn ring(number: u8) -> Keyring {
    Keyring::new([number; 32])
}

fn plain_offer() -> Description {
    let heard =
        station("m=audio 4000 RTP/AVP 8\nm=video 4002 RTP/AVPF 96\na=rtpmap:96 VP8/90000\n");
    offer_from(&heard, &ours(20_000, 2))
}

fn protected_offer(security: Security, suites: &[Suite]) -> Description {
    let mut offer = plain_offer();
    ring(1).protect_offer(&mut offer, security, suites);
    offer
}

/// The answer of a station that takes up this line of ours, or that one.
fn taking(offer: &Description, line: usize) -> String {
    let line = &offer.streams[0].crypto[line];
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let digits = match line.suite() {
        Suite::AeadAes256Gcm => 59,
        Suite::AeadAes128Gcm => 38,
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 40,
        _ => 62,
    };
    format!(
        "a=crypto:{} {} inline:{}\n",
        line.tag(),
        line.suite().name(),
        &key[..digits]
    )
}

#[test]
fn an_offer_of_ours_lists_our_suites_with_a_key_each() {
    let offer = protected_offer(Security::Required, &Suite::PREFERRED);
    let text = written(&offer);
    assert!(text.starts_with("m=audio 20000 RTP/SAVP 8 101\n"), "{text}");
    assert!(text.contains("m=video 20002 RTP/SAVPF 96\n"), "{text}");
    let lines = &offer.streams[0].crypto;
    let names: Vec<(u32, &str)> = lines.iter().map(|l| (l.tag(), l.suite().name())).collect();
    assert_eq!(
        names,
        [
            (1, "AEAD_AES_256_GCM"),
            (2, "AEAD_AES_128_GCM"),
            (3, "AES_CM_128_HMAC_SHA1_80"),
            (4, "AES_256_CM_HMAC_SHA1_80"),
            (5, "AES_CM_128_HMAC_SHA1_32"),
            (6, "AES_256_CM_HMAC_SHA1_32"),
        ]
    );
    let keys = offer.streams.iter().flat_map(|stream| &stream.crypto);
    let keys: BTreeSet<Vec<u8>> = keys
        .map(|l| l.key().unwrap().reveal()[..28].to_vec())
        .collect();
    assert_eq!(keys.len(), 12, "no key serves twice");
    let read = station(&text);
    assert_eq!(read.streams[1].crypto, offer.streams[1].crypto);
    assert_eq!(
        protected_offer(Security::Required, &Suite::PREFERRED),
        offer,
        "made again"
    );
    let mut other = plain_offer();
    ring(2).protect_offer(&mut other, Security::Required, &Suite::PREFERRED);
    assert_ne!(other.streams[0].crypto, offer.streams[0].crypto);
}

#[test]
fn best_effort_is_a_plain_offer_with_keys_and_off_has_none() {
    let offer = protected_offer(Security::BestEffort, &[Suite::AesCm128HmacSha1_80]);
    let text = written(&offer);
    assert!(text.contains("m=audio 20000 RTP/AVP 8 101\n"), "{text}");
    assert!(
        text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{text}"
    );
    assert_eq!(
        protected_offer(Security::Off, &Suite::PREFERRED),
        plain_offer()
    );
}

#[test]
fn an_answer_tells_which_line_it_takes_up() {
    for security in [Security::Required, Security::BestEffort] {
        let offer = protected_offer(security, &Suite::PREFERRED);
        for (line, profile) in [(0, "SAVP"), (2, "SAVP"), (5, "AVP")] {
            let chosen = taking(&offer, line);
            let answer = station(&format!(
                "m=audio 5000 RTP/{profile} 8\n{chosen}m=video 0 RTP/{profile}F 96\n"
            ));
            let agreed = ring(1).read_answer(&offer, &answer, security).unwrap();
            let audio = agreed[0].as_ref().unwrap();
            assert_eq!(&audio.suite, offer.streams[0].crypto[line].suite());
            assert_eq!(
                Some(audio.ours.clone()),
                offer.streams[0].crypto[line].key()
            );
            assert!(audio.theirs.reveal().iter().all(|octet| *octet == 0));
            assert_eq!(agreed[1], None);
        }
    }
}

// RFC 4568 5.1.3
#[test]
fn an_answer_that_we_cannot_trust_is_an_error() {
    let read = |security, lines: &str| {
        let offer = protected_offer(security, &[Suite::AesCm128HmacSha1_80]);
        let answer = station(&format!("m=audio 5000 RTP/{lines}m=video 0 RTP/AVPF 96\n"));
        ring(1).read_answer(&offer, &answer, security)
    };
    let stray = line(2, "AES_CM_128_HMAC_SHA1_80", CALLEE);
    let weak = line(
        1,
        "AES_CM_128_HMAC_SHA1_80",
        &format!("{CALLEE} UNENCRYPTED_SRTP"),
    );
    assert_eq!(
        read(Security::Required, "AVP 8\n"),
        Err(SecurityError::Plain(1))
    );
    assert_eq!(read(Security::BestEffort, "AVP 8\n"), Ok(vec![None, None]));
    for security in [Security::Required, Security::BestEffort] {
        let none = read(security, "SAVP 8\n");
        assert_eq!(none, Err(SecurityError::NoSuite(1)));
        for lines in [&stray, &weak] {
            let refused = read(security, &format!("SAVP 8\n{lines}"));
            assert_eq!(refused, Err(SecurityError::NotOffered(1)), "{lines}");
        }
    }
}

/// What we answer to this offer, and with which suites; the other leg has PCMA and nothing secure.
fn answered(
    security: Security,
    offer: &str,
) -> Result<(String, Vec<Option<Suite>>), SecurityError> {
    let offered = station(offer);
    let view = security.unprotected(&offered)?;
    let settled = station("m=audio 6000 RTP/AVP 8\n");
    let mut answer = answer_to(&view, &settled, &ours(30_000, 2)).unwrap();
    let agreed = ring(3).protect_answer(&offered, &mut answer, security);
    for (stream, agreed) in answer.streams.iter().zip(&agreed) {
        let ours = agreed.as_ref().map(|agreed| agreed.ours.clone());
        assert_eq!(stream.crypto.first().and_then(Crypto::key), ours);
    }
    let suites = agreed
        .into_iter()
        .map(|agreed| agreed.map(|agreed| agreed.suite));
    Ok((written(&answer), suites.collect()))
}

#[test]
fn the_best_suite_that_both_have_is_answered_with_its_tag() {
    let gcm = line(
        7,
        "AEAD_AES_128_GCM",
        "inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
    );
    let offer = [
        "m=audio 4000 RTP/SAVP 8\n".to_owned(),
        line(1, "AES_CM_128_HMAC_SHA1_32", CALLER),
        line(2, "AES_CM_128_HMAC_SHA1_80", CALLER),
        line(3, "X_NEW", CALLER),
        gcm,
        line(9, "F8_128_HMAC_SHA1_80", CALLER),
    ];
    for security in [Security::Required, Security::BestEffort] {
        let (text, suites) = answered(security, &offer.concat()).unwrap();
        assert_eq!(suites, [Some(Suite::AeadAes128Gcm)]);
        assert!(text.starts_with("m=audio 30000 RTP/SAVP 8\n"), "{text}");
        assert_eq!(text.matches("a=crypto:").count(), 1);
        assert!(
            text.contains("a=crypto:7 AEAD_AES_128_GCM inline:"),
            "{text}"
        );
        assert!(!text.contains("AAAAAA"), "the key is ours");
    }
    let without = offer[..3].concat();
    let (_, suites) = answered(Security::Required, &without).unwrap();
    assert_eq!(suites, [Some(Suite::AesCm128HmacSha1_80)]);
}

#[test]
fn keys_beside_a_plain_stream_are_taken_up_unless_security_is_off() {
    let cm = line(4, "AES_CM_128_HMAC_SHA1_80", CALLER);
    let offer = format!("m=audio 4000 RTP/AVP 8\n{cm}");
    for security in [Security::Required, Security::BestEffort] {
        let (text, suites) = answered(security, &offer).unwrap();
        assert_eq!(suites, [Some(Suite::AesCm128HmacSha1_80)]);
        assert!(text.starts_with("m=audio 30000 RTP/AVP 8\n"), "{text}");
        assert!(text.contains("a=crypto:4 "), "{text}");
    }
    let (text, suites) = answered(Security::Off, &offer).unwrap();
    assert_eq!(suites, [None]);
    assert!(!text.contains("crypto"));
    let (text, suites) = answered(Security::BestEffort, "m=audio 4000 RTP/AVP 8\n").unwrap();
    assert_eq!(suites, [None]);
    assert!(!text.contains("crypto"));
}

#[test]
fn what_cannot_be_agreed_on_says_why() {
    let why = |security, offer: &str| answered(security, offer).unwrap_err();
    let plain = "m=audio 4000 RTP/AVP 8\n";
    assert_eq!(why(Security::Required, plain), SecurityError::Plain(1));
    let cm = line(4, "AES_CM_128_HMAC_SHA1_80", CALLER);
    let secure = format!("m=audio 4000 RTP/SAVP 8\n{cm}");
    assert_eq!(why(Security::Off, &secure), SecurityError::Secure(1));
    let odd = line(4, "F8_128_HMAC_SHA1_80", CALLER);
    for offer in [
        "m=audio 4000 RTP/SAVP 8\n".to_owned(),
        format!("m=audio 4000 RTP/SAVP 8\n{odd}"),
        format!("m=audio 4000 RTP/AVP 8\n{odd}"),
    ] {
        assert_eq!(
            why(Security::Required, &offer),
            SecurityError::NoSuite(1),
            "{offer}"
        );
    }
    // One of two is enough, in the place of its own.
    let (text, suites) = answered(Security::Required, &format!("{plain}{secure}")).unwrap();
    assert_eq!(suites, [None, Some(Suite::AesCm128HmacSha1_80)]);
    assert!(
        text.starts_with("m=audio 0 RTP/AVP 8\nm=audio 30002 RTP/SAVP 8\n"),
        "{text}"
    );
}

// RFC 4568 6.1, 6.3
#[test]
fn session_parameters_that_weaken_a_line_make_it_useless() {
    let key = |rest: &str| {
        let value = format!("1 AES_CM_128_HMAC_SHA1_80 {CALLER}{rest}");
        Crypto::parse(&value).and_then(|line| line.key())
    };
    for good in [
        "",
        "|2^31",
        "|1048576",
        " WSH=128",
        " FEC_ORDER=FEC_SRTP",
        " -new=1",
    ] {
        assert_eq!(key(good).unwrap().reveal().len(), 30, "{good}");
        assert!(key(good).unwrap().mki().is_empty());
    }
    assert_eq!(key("|2^20|258:4").unwrap().mki(), [0, 0, 1, 2]);
    assert_eq!(key("|1:1").unwrap().mki(), [1]);
    for bad in [
        " UNENCRYPTED_SRTP",
        " UNENCRYPTED_SRTCP",
        " UNAUTHENTICATED_SRTP",
        " KDR=1",
        " FEC_KEY=inline:AAAA",
        " NEW",
        " WSH=64 UNENCRYPTED_SRTCP",
        "|x",
        "|2^",
        "|1:0",
        "|1:17",
        "|256:1",
        "|1:x",
    ] {
        assert_eq!(key(bad), None, "{bad}");
    }
    // Two keys in one line: only key identifiers could tell them apart.
    assert_eq!(key(&format!("|1:1;{CALLER}|2:1")), None);
}

#[test]
fn neither_a_ring_nor_a_key_shows() {
    let offer = protected_offer(Security::Required, &Suite::PREFERRED);
    let line = &offer.streams[0].crypto[0];
    let shown = format!("{:?} {:?} {:?}", ring(7), line.key(), line);
    assert_eq!(
        shown,
        "Keyring(..) Some(Key(..)) Crypto(1 AeadAes256Gcm ..)"
    );
}
