//! Legs with keys, and legs that should have some.

use sip::sdp::{Crypto, Keyring, Security};

use super::*;

/// A telephone that speaks SRTP, with its own keys.
struct Telephone {
    keyring: Keyring,
}

fn required(begin: Start) -> Start {
    terms(begin, Encryption::Required, Signalling::Private)
}

fn terms(begin: Start, encryption: Encryption, signalling: Signalling) -> Start {
    let terms = Terms {
        encryption,
        signalling,
    };
    Start { terms, ..begin }
}

impl Telephone {
    fn new(number: u8) -> Self {
        let keyring = Keyring::new([number; 32]);
        Self { keyring }
    }

    fn offer(&self, plain: &str, security: Security, suites: &[Suite]) -> String {
        let mut offer = Description::parse(plain.as_bytes()).unwrap();
        self.keyring.protect_offer(&mut offer, security, suites);
        let bytes = offer.write(1, 1, [10, 0, 0, 7].into());
        text(&bytes).to_owned()
    }

    fn answer(&self, offer: &Bytes, plain: &str) -> String {
        let offer = Description::parse(offer).unwrap();
        let mut answer = Description::parse(plain.as_bytes()).unwrap();
        let agreed = self
            .keyring
            .protect_answer(&offer, &mut answer, Security::Required);
        assert!(agreed[0].is_some());
        text(&answer.write(2, 1, [10, 0, 0, 8].into())).to_owned()
    }
}

fn arrives(plan: &mut MediaPlan, begin: Start, offer: &str) -> Result<Offered, PlanError> {
    plan.arrived(A, begin, Some(offer.as_bytes()))
}

fn protections(commands: &[MediaCommand], leg: LegId) -> Vec<&Protection> {
    let remotes = remotes(commands, leg).into_iter();
    remotes.map(|remote| &remote.protection).collect()
}

fn lines(body: &str) -> Vec<Crypto> {
    let crypto = |line: &str| Crypto::parse(line.strip_prefix("a=crypto:")?);
    body.lines().filter_map(crypto).collect()
}

/// G2: each leg has keys of its own; what one end knows says nothing about the other leg.
#[test]
fn two_secure_legs_agree_on_keys_of_their_own() {
    let mut plan = plan(8);
    let (caller, callee) = (Telephone::new(1), Telephone::new(2));
    let offer = caller.offer(CALLER, Security::Required, &[Suite::AesCm128HmacSha1_32]);
    arrives(&mut plan, required(start([10, 0, 0, 7])), &offer).unwrap();
    let early = commands(&mut plan);
    assert_eq!(protections(&early, A), [&Protection::Awaited]);

    let offered = plan
        .offer(B, required(start([10, 0, 0, 8])), Some(A))
        .unwrap();
    assert!(text(&offered).contains("m=audio 20002 RTP/SAVP "));
    assert_eq!(lines(text(&offered)).len(), Suite::PREFERRED.len());
    let theirs = lines(&offer)[0].key().unwrap();
    let passed_on = |line: &Crypto| line.key().as_ref() == Some(&theirs);
    assert!(!lines(text(&offered)).iter().any(passed_on));

    plan.answered(B, callee.answer(&offered, CALLEE).as_bytes())
        .unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(text(&answer).contains("m=audio 20000 RTP/SAVP 8 101\r\n"));
    let [line] = &lines(text(&answer))[..] else {
        panic!("one line is taken up: {}", text(&answer));
    };
    let all = commands(&mut plan);
    let Some(Protection::Secure(a)) = protections(&all, A).last() else {
        panic!("the caller's leg is secure");
    };
    let Some(Protection::Secure(b)) = protections(&all, B).last() else {
        panic!("the callee's leg is secure");
    };
    assert_eq!(a.suite, Suite::AesCm128HmacSha1_32);
    assert_eq!(b.suite, Suite::AeadAes256Gcm, "the best of both");
    assert_eq!(a.theirs, theirs);
    assert_eq!(Some(&a.ours), line.key().as_ref());
    let keys = [&a.ours, &a.theirs, &b.ours, &b.theirs];
    for (n, key) in keys.iter().enumerate() {
        assert!(!keys[n + 1..].contains(key), "a key is used once");
    }
    assert_eq!(plan.suite(A), Some(&a.suite));
}

#[test]
fn a_secure_leg_talks_with_a_plain_one() {
    let mut plan = plan(8);
    let caller = Telephone::new(1);
    // Linphone and Snom offer keys beside a plain profile.
    let offer = caller.offer(CALLER, Security::BestEffort, &Suite::PREFERRED);
    assert!(offer.contains("RTP/AVP"));
    let preferred = |peer, signalling| terms(start(peer), Encryption::Preferred, signalling);
    let begin = preferred([10, 0, 0, 7], Signalling::Readable);
    arrives(&mut plan, begin, &offer).unwrap();
    let begin = preferred([10, 0, 0, 8], Signalling::Readable);
    let offered = plan.offer(B, begin, Some(A)).unwrap();
    assert!(!text(&offered).contains("crypto"), "anybody could read it");
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(text(&answer).contains("RTP/AVP 8 101\r\n"));
    assert_eq!(lines(text(&answer)).len(), 1);
    let all = commands(&mut plan);
    assert_eq!(protections(&all, B), [&Protection::Plain]);
    assert!(matches!(
        protections(&all, A).last(),
        Some(Protection::Secure(_))
    ));
}

#[test]
fn where_it_is_preferred_keys_are_offered_in_private_and_a_plain_answer_is_taken() {
    let mut plan = plan(8);
    a_calls(&mut plan, Some(CALLER)).unwrap();
    let begin = terms(
        start([10, 0, 0, 8]),
        Encryption::Preferred,
        Signalling::Private,
    );
    let offered = plan.offer(B, begin, Some(A)).unwrap();
    assert!(text(&offered).contains("RTP/AVP "), "{}", text(&offered));
    assert_eq!(lines(text(&offered)).len(), Suite::PREFERRED.len());
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    assert_eq!(protections(&commands(&mut plan), B), [&Protection::Plain]);
}

#[test]
fn plain_media_are_refused_where_encryption_is_required() {
    let mut plan = plan(8);
    let refused = arrives(&mut plan, required(start([10, 0, 0, 7])), CALLER);
    let error = refused.unwrap_err();
    assert_eq!(error.refusal(), StatusCode::NOT_ACCEPTABLE_HERE);
    assert_eq!(error.cause(), EndCause::EncryptionMismatch);
    assert!(error.to_string().contains("write RTP/SAVP"), "{error}");
    assert_eq!(commands(&mut plan), [], "and no port is taken");

    a_calls(&mut plan, Some(CALLER)).unwrap();
    plan.offer(B, required(start([10, 0, 0, 8])), Some(A))
        .unwrap();
    let refused = plan.answered(B, CALLEE.as_bytes()).unwrap_err();
    assert_eq!(refused.cause(), EndCause::EncryptionMismatch);
    assert!(protections(&commands(&mut plan), B).is_empty());
}

#[test]
fn encrypted_media_are_refused_where_encryption_is_off() {
    let mut plan = plan(8);
    let offer = Telephone::new(1).offer(CALLER, Security::Required, &Suite::PREFERRED);
    let refused = a_calls(&mut plan, Some(&offer)).unwrap_err();
    assert_eq!(refused.cause(), EndCause::EncryptionMismatch);
    let without_keys = CALLER.replace("RTP/AVP", "RTP/SAVP");
    let begin = terms(
        start([10, 0, 0, 7]),
        Encryption::Preferred,
        Signalling::Private,
    );
    let refused = arrives(&mut plan, begin, &without_keys).unwrap_err();
    assert!(refused.to_string().contains("no a=crypto"), "{refused}");
}

#[test]
fn of_the_same_stream_offered_plain_and_secure_the_secure_one_is_taken() {
    let mut plan = plan(8);
    let secure = Telephone::new(1).offer(CALLER, Security::Required, &Suite::PREFERRED);
    let both = format!("{CALLER}{}", &secure[secure.find("m=audio").unwrap()..]);
    let begin = terms(
        start([10, 0, 0, 7]),
        Encryption::Preferred,
        Signalling::Private,
    );
    arrives(&mut plan, begin, &both).unwrap();
    let answer = plan.final_answer(A).unwrap().unwrap();
    assert!(text(&answer).contains("m=audio 0 RTP/AVP "));
    assert!(text(&answer).contains("m=audio 20000 RTP/SAVP "));
}

/// A secure caller and a plain callee that talk.
fn secure_call() -> (MediaPlan, Telephone) {
    let mut plan = plan(8);
    let caller = Telephone::new(1);
    let offer = caller.offer(CALLER, Security::Required, &Suite::PREFERRED);
    arrives(&mut plan, required(start([10, 0, 0, 7])), &offer).unwrap();
    b_is_rung(&mut plan).unwrap();
    plan.answered(B, CALLEE.as_bytes()).unwrap();
    plan.connect(A, B, TalkMode::OpenDuplex);
    plan.final_answer(A).unwrap();
    commands(&mut plan);
    (plan, caller)
}

#[test]
fn hold_keeps_our_key_and_takes_a_new_one_of_the_peer() {
    let (mut plan, caller) = secure_call();
    let held = CALLER.replace("m=audio", "a=sendonly\r\nm=audio");
    let mut ours = Vec::new();
    for telephone in [&caller, &Telephone::new(9)] {
        let offer = telephone.offer(&held, Security::Required, &Suite::PREFERRED);
        let Ok(Reoffered::Answer { answer, .. }) = plan.reoffered(A, offer.as_bytes()) else {
            panic!("the codec is still there");
        };
        assert!(
            text(&answer).contains("RTP/SAVP 8 101"),
            "{}",
            text(&answer)
        );
        let all = commands(&mut plan);
        let Some(Protection::Secure(agreed)) = protections(&all, A).last() else {
            panic!("the leg stays secure");
        };
        let offered = lines(&offer);
        assert_eq!(Some(&agreed.theirs), offered[0].key().as_ref());
        ours.push(agreed.ours.clone());
    }
    assert_eq!(ours[0], ours[1]);
}

#[test]
fn nobody_talks_a_secure_leg_out_of_it() {
    let (mut plan, _) = secure_call();
    let refused = plan.reoffered(A, CALLER.as_bytes());
    assert!(
        matches!(refused, Err(PlanError::Security(_))),
        "{refused:?}"
    );
    assert_eq!(commands(&mut plan), [], "the call stays as it was");
    assert!(plan.suite(A).is_some());
}

#[test]
fn another_codec_is_asked_for_under_the_keys_of_before() {
    let (mut plan, caller) = secure_call();
    let other_codec = CALLEE.replace("8 100", "18 100");
    // The plain side asks, so the secure one is offered.
    let Ok(Reoffered::AskOther { other, offer }) = plan.reoffered(B, other_codec.as_bytes()) else {
        panic!("G.729 was never agreed on");
    };
    assert_eq!(other, A);
    assert!(text(&offer).contains("RTP/SAVP 18 "), "{}", text(&offer));
    let answer = caller.answer(&offer, &CALLER.replace("9 8 101", "18 101"));
    let (asker, answer) = plan.reoffer_answered(A, answer.as_bytes()).unwrap();
    assert_eq!(asker, B);
    assert!(text(&answer.unwrap()).contains("RTP/AVP 18 100\r\n"));
    let all = commands(&mut plan);
    assert!(matches!(
        protections(&all, A).last(),
        Some(Protection::Secure(_))
    ));
    assert_eq!(protections(&all, B).last(), Some(&&Protection::Plain));
}

#[test]
fn no_key_shows_in_what_the_plan_prints() {
    let (plan, caller) = secure_call();
    let offer = caller.offer(CALLER, Security::Required, &Suite::PREFERRED);
    let printed = format!("{plan:?}");
    for line in lines(&offer) {
        let key = line.reveal().split("inline:").nth(1).unwrap();
        assert!(!printed.contains(key));
        assert!(!printed.contains(&format!("{:?}", line.key().unwrap().reveal())));
    }
}
