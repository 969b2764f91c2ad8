//! New keys in a call, streams that come and go, and what a forger can do.

use media::srtp::{MAX_GROWTH, ProtectError, Receiver, Sender, Suite, UnprotectError};

use super::{key, protected, rtcp, rtp};

const SUITE: Suite = Suite::AeadAes128Gcm;

fn receive(receiver: &mut Receiver, packet: &[u8]) -> Result<usize, UnprotectError> {
    receiver.unprotect_rtp(&mut packet.to_vec())
}

#[test]
fn packets_of_the_old_key_pass_until_the_peer_has_changed_over() {
    let (mut old, mut new) = (
        Sender::new(key(SUITE, 1)),
        Sender::new(key(Suite::AesCm128HmacSha1_80, 2)),
    );
    let mut receiver = Receiver::new(key(SUITE, 1));
    let held_back = [0, 1, 2, 100].map(|n| protected(&mut old, &rtp(7, n)));
    assert!(receive(&mut receiver, &held_back[0]).is_ok());
    receiver.rekey(key(Suite::AesCm128HmacSha1_80, 2));
    assert_eq!(receiver.suite(), Suite::AesCm128HmacSha1_80);
    assert!(
        receive(&mut receiver, &held_back[1]).is_ok(),
        "the peer does not know yet"
    );
    assert!(receive(&mut receiver, &protected(&mut new, &rtp(7, 4))).is_ok());
    assert!(
        receive(&mut receiver, &held_back[2]).is_ok(),
        "held back by the network"
    );
    assert_eq!(
        receive(&mut receiver, &held_back[1]),
        Err(UnprotectError::Replay)
    );
    for n in (5..133).filter(|n| *n != 100) {
        assert!(receive(&mut receiver, &protected(&mut new, &rtp(7, n))).is_ok());
    }
    let refused = receive(&mut receiver, &held_back[3]);
    assert_eq!(refused, Err(UnprotectError::Authentication));
}

#[test]
fn the_same_key_again_changes_nothing() {
    let mut sender = Sender::new(key(SUITE, 1));
    let mut receiver = Receiver::new(key(SUITE, 1));
    let packet = protected(&mut sender, &rtp(7, 0xffff));
    assert!(receive(&mut receiver, &packet).is_ok());
    sender.rekey(key(SUITE, 1));
    receiver.rekey(key(SUITE, 1));
    assert_eq!(receive(&mut receiver, &packet), Err(UnprotectError::Replay));
    let next = protected(&mut sender, &rtp(7, 0));
    assert!(receive(&mut receiver, &next).is_ok(), "both count on");
}

#[test]
fn a_key_that_comes_back_remembers_its_packets() {
    let mut sender = Sender::new(key(SUITE, 1));
    let mut receiver = Receiver::new(key(SUITE, 1));
    let packet = protected(&mut sender, &rtp(7, 3));
    assert!(receive(&mut receiver, &packet).is_ok());
    receiver.rekey(key(SUITE, 2));
    receiver.rekey(key(SUITE, 1));
    assert_eq!(receive(&mut receiver, &packet), Err(UnprotectError::Replay));
}

// Its key stream would repeat otherwise.
#[test]
fn a_sender_whose_key_comes_back_counts_on() {
    let mut sender = Sender::new(key(SUITE, 1));
    let mut receiver = Receiver::new(key(SUITE, 1));
    for sequence in [0, 0x7000, 0xe000, 5] {
        let packet = protected(&mut sender, &rtp(7, sequence));
        assert!(receive(&mut receiver, &packet).is_ok());
    }
    for number in 2..=6 {
        sender.rekey(key(SUITE, number));
        protected(&mut sender, &rtp(7, 5));
    }
    sender.rekey(key(SUITE, 1));
    let packet = protected(&mut sender, &rtp(7, 6));
    assert!(
        receive(&mut receiver, &packet).is_ok(),
        "of the second turn"
    );
    let mut again = rtp(7, 5);
    again.resize(again.len() + MAX_GROWTH, 0);
    let refused = sender.protect_rtp(&mut again, 172);
    assert_eq!(refused, Err(ProtectError::Reused));
}

/// Some begin a new key with a new count, some count on.
#[test]
fn a_peer_may_keep_its_count_over_a_new_key_or_begin_anew() {
    let wrapped = |number: u8| {
        let mut sender = Sender::new(key(SUITE, number));
        for sequence in [0, 0x7000, 0xe000] {
            protected(&mut sender, &rtp(7, sequence));
        }
        sender
    };
    for keeps in [true, false] {
        let mut old = wrapped(1);
        let mut receiver = Receiver::new(key(SUITE, 1));
        for sequence in [0, 0x7000, 0xe000] {
            let mut sender = Sender::new(key(SUITE, 1));
            assert!(receive(&mut receiver, &protected(&mut sender, &rtp(7, sequence))).is_ok());
        }
        assert!(receive(&mut receiver, &protected(&mut old, &rtp(7, 5))).is_ok());
        receiver.rekey(key(SUITE, 2));
        let mut new = match keeps {
            true => wrapped(2),
            false => Sender::new(key(SUITE, 2)),
        };
        for sequence in 6..9 {
            let packet = protected(&mut new, &rtp(7, sequence));
            assert!(
                receive(&mut receiver, &packet).is_ok(),
                "{keeps} {sequence}"
            );
        }
    }
}

#[test]
fn a_forger_makes_us_remember_nothing() {
    let mut sender = Sender::new(key(SUITE, 1));
    let mut forger = Sender::new(key(SUITE, 9));
    let mut receiver = Receiver::new(key(SUITE, 1));
    let early = protected(&mut sender, &rtp(7, 10));
    assert!(receive(&mut receiver, &early).is_ok());
    // Far ahead, and as many other streams as it likes.
    let forged = protected(&mut forger, &rtp(7, 5000));
    assert_eq!(
        receive(&mut receiver, &forged),
        Err(UnprotectError::Authentication)
    );
    for ssrc in 100..200 {
        let mut forger = Sender::new(key(SUITE, 9));
        let forged = protected(&mut forger, &rtp(ssrc, 1));
        assert_eq!(
            receive(&mut receiver, &forged),
            Err(UnprotectError::Authentication)
        );
        let forged = protected(&mut forger, &rtcp(ssrc));
        let refused = receiver.unprotect_rtcp(&mut forged.clone());
        assert_eq!(refused, Err(UnprotectError::Authentication));
    }
    assert_eq!(receive(&mut receiver, &early), Err(UnprotectError::Replay));
    assert!(receive(&mut receiver, &protected(&mut sender, &rtp(7, 11))).is_ok());
}

#[test]
fn four_streams_are_remembered_and_the_one_silent_longest_gives_way() {
    let mut receiver = Receiver::new(key(SUITE, 1));
    let mut packets = Vec::new();
    for ssrc in 0..5 {
        let mut sender = Sender::new(key(SUITE, 1));
        packets.push(protected(&mut sender, &rtp(ssrc, 0)));
    }
    for packet in &packets[..4] {
        assert!(receive(&mut receiver, packet).is_ok());
    }
    let mut first = Sender::new(key(SUITE, 1));
    assert!(receive(&mut receiver, &protected(&mut first, &rtp(0, 1))).is_ok());
    assert!(receive(&mut receiver, &packets[4]).is_ok());
    for known in [0, 2, 3, 4] {
        assert_eq!(
            receive(&mut receiver, &packets[known]),
            Err(UnprotectError::Replay)
        );
    }
}

#[test]
fn a_sender_repeats_no_key_stream() {
    let mut sender = Sender::new(key(SUITE, 1));
    let mut send = |plain: &[u8]| {
        let mut packet = plain.to_vec();
        packet.resize(plain.len() + MAX_GROWTH, 0);
        let sent = sender.protect_rtp(&mut packet, plain.len());
        assert!(
            sent.is_ok() || packet[..plain.len()] == *plain,
            "left as it was"
        );
        sent.map(|_| ())
    };
    assert_eq!(send(&rtp(1, 5)), Ok(()));
    assert_eq!(send(&rtp(1, 5)), Err(ProtectError::Reused));
    assert_eq!(send(&rtp(1, 500)), Ok(()));
    assert_eq!(send(&rtp(1, 6)), Err(ProtectError::Reused));
    for ssrc in 2..5 {
        assert_eq!(send(&rtp(ssrc, 5)), Ok(()));
    }
    // To forget one of the four would begin its count anew.
    assert_eq!(send(&rtp(5, 5)), Err(ProtectError::TooManySources));
    assert_eq!(send(&[0x80; 11]), Err(ProtectError::Malformed));
}

#[test]
fn a_buffer_without_room_is_refused() {
    let mut sender = Sender::new(key(SUITE, 1));
    let plain = rtp(1, 1);
    let mut short = plain.clone();
    short.resize(plain.len() + 15, 0);
    assert_eq!(
        sender.protect_rtp(&mut short, plain.len()),
        Err(ProtectError::NoRoom)
    );
    assert_eq!(
        sender.protect_rtp(&mut short, 900),
        Err(ProtectError::Malformed)
    );
    let plain = rtcp(1);
    let mut short = plain.clone();
    short.resize(plain.len() + 19, 0);
    assert_eq!(
        sender.protect_rtcp(&mut short, plain.len()),
        Err(ProtectError::NoRoom)
    );
}

#[test]
fn a_packet_with_another_key_identifier_is_refused() {
    for suite in Suite::ALL {
        let named = |mki: &[u8]| key(suite, 1).with_mki(mki).unwrap();
        let mut receiver = Receiver::new(named(&[1]));
        let refused = receive(
            &mut receiver,
            &protected(&mut Sender::new(named(&[2])), &rtp(7, 1)),
        );
        assert_eq!(refused, Err(UnprotectError::Authentication));
        let bare = protected(&mut Sender::new(key(suite, 1)), &rtp(7, 1));
        assert!(receive(&mut receiver, &bare).is_err());
        let right = protected(&mut Sender::new(named(&[1])), &rtp(7, 1));
        assert!(receive(&mut receiver, &right).is_ok());
    }
}
