//! The keys that signalling agreed on, as the relay takes them.

use exchange::Protection;
use media::srtp::{MasterKey, Suite};
use sip::sdp;

/// Keys that do not fit their suite let nothing pass.
pub(super) fn protection(agreed: &Protection) -> media::Protection {
    let agreed = match agreed {
        Protection::Plain => return media::Protection::Plain,
        Protection::Awaited => return media::Protection::Awaited,
        Protection::Secure(agreed) => agreed,
    };
    let key = |key: &sdp::Key| {
        let master = MasterKey::new(suite(&agreed.suite)?, key.reveal()).ok()?;
        match key.mki() {
            [] => Some(master),
            mki => master.with_mki(mki).ok(),
        }
    };
    match (key(&agreed.ours), key(&agreed.theirs)) {
        (Some(ours), Some(theirs)) => media::Protection::Secure { ours, theirs },
        (None, _) | (_, None) => {
            tracing::error!(
                suite = agreed.suite.name(),
                "keys that were agreed on are no keys"
            );
            media::Protection::Awaited
        }
    }
}

/// `None`: nothing that we offer.
fn suite(agreed: &sdp::Suite) -> Option<Suite> {
    match agreed {
        sdp::Suite::AeadAes256Gcm => Some(Suite::AeadAes256Gcm),
        sdp::Suite::AeadAes128Gcm => Some(Suite::AeadAes128Gcm),
        sdp::Suite::AesCm128HmacSha1_80 => Some(Suite::AesCm128HmacSha1_80),
        sdp::Suite::AesCm256HmacSha1_80 => Some(Suite::AesCm256HmacSha1_80),
        sdp::Suite::AesCm128HmacSha1_32 => Some(Suite::AesCm128HmacSha1_32),
        sdp::Suite::AesCm256HmacSha1_32 => Some(Suite::AesCm256HmacSha1_32),
        sdp::Suite::AesCm192HmacSha1_80
        | sdp::Suite::AesCm192HmacSha1_32
        | sdp::Suite::F8_128HmacSha1_80
        | sdp::Suite::Other(_) => None,
    }
}
