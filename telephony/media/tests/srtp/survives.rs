//! What must hold for any octets at a receiver. The fuzz target `srtp` feeds the same body.

use media::srtp::{MAX_GROWTH, MasterKey, Receiver, Sender, Suite};

/// The first octets choose suite and key identifier; then come datagrams, each behind a head of
/// two octets: what is done with it, and its length.
pub(crate) fn datagrams(script: &[u8]) {
    let Some(([suite, mki], mut rest)) = script.split_first_chunk() else {
        return;
    };
    let suite = Suite::ALL[usize::from(*suite) % Suite::ALL.len()];
    let key = |number: u8| {
        let keying = [number; 46];
        let key = MasterKey::new(suite, &keying[..suite.keying_len()]).expect("the length fits");
        match usize::from(*mki) % 4 {
            0 => key,
            len => key.with_mki(&[*mki; 3][..len]).expect("short enough"),
        }
    };
    let mut sender = Sender::new(key(1));
    let mut receiver = Receiver::new(key(1));
    while let Some(([what, len], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        match what % 4 {
            0 => forged(&mut receiver, datagram),
            1 | 2 => genuine(&mut sender, &mut receiver, datagram),
            _ => {
                sender.rekey(key(*what));
                receiver.rekey(key(*what));
            }
        }
    }
}

/// Nobody but us has the key: what did not come from our sender is refused and left alone.
fn forged(receiver: &mut Receiver, datagram: &[u8]) {
    let mut packet = datagram.to_vec();
    assert!(receiver.unprotect_rtp(&mut packet).is_err());
    assert!(receiver.unprotect_rtcp(&mut packet).is_err());
    assert_eq!(packet, datagram);
}

fn genuine(sender: &mut Sender, receiver: &mut Receiver, datagram: &[u8]) {
    let mut packet = datagram.to_vec();
    packet.resize(datagram.len() + MAX_GROWTH, 0);
    let rtcp = matches!(datagram.get(1), Some(192..=223));
    let protected = match rtcp {
        true => sender.protect_rtcp(&mut packet, datagram.len()),
        false => sender.protect_rtp(&mut packet, datagram.len()),
    };
    let Ok(len) = protected else {
        assert_eq!(packet[..datagram.len()], *datagram);
        return;
    };
    let opened = match rtcp {
        true => receiver.unprotect_rtcp(&mut packet[..len]),
        false => receiver.unprotect_rtp(&mut packet[..len]),
    };
    // A receiver that forgot the stream, or a count that jumped by half, may refuse it.
    if let Ok(inside) = opened {
        assert_eq!(packet[..inside], *datagram);
    }
}
