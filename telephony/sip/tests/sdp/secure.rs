//! RFC 4568: streams whose keys belong to the two ends.

use sip::sdp::{Policy, ProtectionPolicy, answer_to, offer_from};

use super::relay::{station, written};
use super::survives::ours;

const CALLER: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const CALLEE: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn secure(port: u16, formats: &str, lines: &str) -> sip::sdp::Description {
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
    let live = |offered: &sip::sdp::Description, protection| -> Vec<bool> {
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
