//! What must hold for any bytes in place of a session description; shared with the fuzz target.

use std::net::{IpAddr, SocketAddr};

use sip::sdp::{Description, Local, LocalStream, Policy, answer_to, offer_from};

/// Reads, derives, writes and reads again whatever came.
pub(crate) fn description(body: &[u8]) {
    let Ok(offered) = Description::parse(body) else {
        return;
    };
    let count = offered.streams.len();
    assert!((1..=16).contains(&count));
    let again = offered.write(1, 1, [10, 0, 0, 1].into());
    let again = Description::parse(&again).expect("what we write can be read");
    assert_eq!(again.streams.len(), count);
    let permitted = Policy::default().permit(&offered);
    let asked = offer_from(&permitted, &ours(20_000, 16));
    assert_eq!(asked.streams.len(), count);
    for (asked, offered) in asked.streams.iter().zip(&offered.streams) {
        assert_eq!(asked.kind, offered.kind);
        assert_eq!(asked.profile, offered.profile);
        assert!(asked.rtp.is_none() || offered.is_relayable());
    }
    // A callee that takes all it is offered.
    let Ok(answered) = answer_to(&offered, &asked, &ours(30_000, 16)) else {
        return;
    };
    assert_eq!(answered.streams.len(), count);
    for (answer, offer) in answered.streams.iter().zip(&offered.streams) {
        if answer.rtp.is_none() {
            continue;
        }
        let legal = offer.direction.mirrored();
        assert!(!answer.direction.sends() || legal.sends());
        assert!(!answer.direction.receives() || legal.receives());
        for format in &answer.formats {
            assert!(offer.formats.iter().any(|f| f.is_same_as(format)));
        }
    }
    let text = answered.write(1, 1, [10, 0, 0, 1].into());
    assert_eq!(
        Description::parse(&text)
            .expect("what we write can be read")
            .streams
            .len(),
        count
    );
}

/// Our ports from `first` on for `count` streams.
pub(crate) fn ours(first: u16, count: u16) -> Local {
    let address = IpAddr::from([10, 0, 0, 1]);
    let place = |n: u16| LocalStream {
        rtp: SocketAddr::new(address, first + 2 * n),
        rtcp: SocketAddr::new(address, first + 2 * n + 1),
    };
    Local {
        address,
        streams: (0..count).map(|n| Some(place(n))).collect(),
    }
}
