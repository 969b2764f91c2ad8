//! SRTP on one side of a call: keys in a description, packets under them (SDES, RFC 4568).
//!
//! The packets are protected by the product's own SRTP, whose tests hold it against other
//! libraries; the peer under load has one of its own, so two that differ hear nothing here.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use clap::ValueEnum;
use media::srtp::{MAX_GROWTH, MasterKey, Receiver, Sender, Suite};

use crate::text::random;

/// What the load tool offers; the first is what every device has.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Srtp {
    Cm128,
    Gcm128,
}

impl Srtp {
    fn suite(self) -> Suite {
        match self {
            Self::Cm128 => Suite::AesCm128HmacSha1_80,
            Self::Gcm128 => Suite::AeadAes128Gcm,
        }
    }
}

/// One leg's keys, once both ends have named theirs.
#[derive(Debug)]
pub(crate) struct Secure {
    suite: Suite,
    keying: Vec<u8>,
    agreed: Option<Box<(Sender, Receiver)>>,
}

impl Secure {
    pub(crate) fn new(srtp: Srtp) -> Self {
        let suite = srtp.suite();
        let octets = (0..suite.keying_len()).map(|_| random() as u8);
        Self {
            suite,
            keying: octets.collect(),
            agreed: None,
        }
    }

    /// The description of a plain stream with our key.
    pub(crate) fn offer(&self, plain: &str) -> String {
        let key = STANDARD.encode(&self.keying);
        let line = format!("a=crypto:1 {} inline:{key}\r\n", self.suite.name());
        plain.replace("RTP/AVP", "RTP/SAVP") + &line
    }

    /// Takes the peer's key from its answer.
    pub(crate) fn agree(&mut self, answer: &str) -> Result<()> {
        let head = format!("a=crypto:1 {} inline:", self.suite.name());
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(&head));
        let line = line.with_context(|| format!("our key is not taken up: {answer}"))?;
        let digits = line.split([' ', '|']).next().unwrap_or_default().trim();
        // Some leave the padding out.
        let theirs = STANDARD_NO_PAD.decode(digits.trim_end_matches('='));
        let theirs = theirs.ok().context("a key that is no base64")?;
        let sender = Sender::new(MasterKey::new(self.suite, &self.keying)?);
        let receiver = Receiver::new(MasterKey::new(self.suite, &theirs)?);
        self.agreed = Some(Box::new((sender, receiver)));
        Ok(())
    }

    /// Protects the packet in the first `length` octets; `None`: it must not leave.
    pub(crate) fn protect(&mut self, packet: &mut [u8], length: usize) -> Option<usize> {
        let (sender, _) = self.agreed.as_deref_mut()?;
        sender.protect_rtp(packet, length).ok()
    }

    /// `None`: not from our peer.
    pub(crate) fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (_, receiver) = self.agreed.as_deref_mut()?;
        receiver.unprotect_rtp(packet).ok()
    }
}

/// Room behind a packet.
pub(crate) const ROOM: usize = MAX_GROWTH;
