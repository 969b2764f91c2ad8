//! As much of a packet as must be known before it is verified.

use super::keys::RTCP_HEAD;

/// The part of an RTP packet that is never encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RtpHead {
    /// Fixed header, contributing sources, extension.
    pub(super) len: usize,
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
}

impl RtpHead {
    /// `None`: the packet is not RTP, or ends inside its header. Padding is not looked at, for it
    /// is encrypted.
    pub(super) fn read(packet: &[u8]) -> Option<RtpHead> {
        let fixed: &[u8; 12] = packet.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut len = 12 + usize::from(fixed[0] & 0x0f) * 4;
        if fixed[0] & 0x10 != 0 {
            let extension: &[u8; 4] = packet.get(len..)?.first_chunk()?;
            len += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
        }
        (len <= packet.len()).then_some(RtpHead {
            len,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

/// Whose RTCP it is: the sender of the first packet of a compound signs for all.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let head: &[u8; RTCP_HEAD] = packet.first_chunk()?;
    (head[0] >> 6 == 2).then(|| u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_ends_behind_sources_and_extension() {
        let mut packet = vec![0x80, 8, 0x12, 0x34, 0, 0, 0, 0, 1, 2, 3, 4];
        let head = RtpHead {
            len: 12,
            sequence: 0x1234,
            ssrc: 0x0102_0304,
        };
        assert_eq!(RtpHead::read(&packet), Some(head));
        packet[0] = 0x92;
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7]);
        assert_eq!(RtpHead::read(&packet), Some(RtpHead { len: 28, ..head }));
        for end in 0..28 {
            assert_eq!(RtpHead::read(&packet[..end]), None, "{end}");
        }
        packet[0] = 0x52;
        assert_eq!(RtpHead::read(&packet), None);
    }
}
