//! A far end: plain RTP on loopback, described in SDP.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use media::rtp::Header;
use sip::sdp::{Description, Kind};

/// Longer than anything here takes; turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Far {
    pub(super) audio: UdpSocket,
    pub(super) video: UdpSocket,
}

impl Far {
    pub(super) fn new() -> Self {
        let bind = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self {
            audio: bind(),
            video: bind(),
        }
    }

    pub(super) fn sound(&self) -> String {
        let port = self.audio.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\n\
             a=rtpmap:97 telephone-event/48000\r\n"
        )
    }

    /// With a picture that comes from the far end only.
    pub(super) fn sound_and_picture(&self) -> String {
        let port = self.video.local_addr().unwrap().port();
        format!(
            "{}m=video {port} RTP/AVP 98\r\na=rtpmap:98 VP8/90000\r\na=rtcp-mux\r\na=sendonly\r\n",
            self.sound()
        )
    }
}

/// Where the edge takes a stream, as it described it.
pub(super) fn place(plain: &[u8], kind: &Kind) -> SocketAddr {
    let described = Description::parse(plain).unwrap();
    described.live(kind).unwrap().rtp.unwrap()
}

pub(super) fn packet(number: u8, sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, number];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 960).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// The next packet of RTP at a socket: its payload type and its payload.
pub(super) fn heard(socket: &UdpSocket) -> (u8, Vec<u8>) {
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = socket.recv_from(&mut buffer).expect("the edge sends");
        if let Ok(header) = Header::parse(&buffer[..len]) {
            let payload = header.payload(&buffer[..len]).to_vec();
            return (header.payload_type, payload);
        }
    }
}
