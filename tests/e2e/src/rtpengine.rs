//! rtpengine as an oracle for SRTP: it protects what is plain on its one side and gives back plain
//! what is protected on the other, with an SRTP that has nothing to do with ours.
//!
//! Driven over its control protocol "ng": a cookie and a bencoded dictionary in a datagram.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::{PATIENCE, Program, raw, wait};

const CONTROL: u16 = 2223;

/// What rtpengine would offer if it were not told which.
const SUITES: [&str; 12] = [
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
];

#[derive(Debug)]
pub struct Rtpengine {
    _program: Program,
    control: UdpSocket,
    at: SocketAddr,
    asked: u32,
}

impl Rtpengine {
    /// Starts it at `address`.
    pub fn start(address: IpAddr) -> Result<Self> {
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--foreground", "--table=-1"])
            .args(["--log-stderr", "--log-level=5", "--num-threads=1"])
            .args(["--port-min=30000", "--port-max=30999", "--delete-delay=0"])
            .arg(format!("--interface={address}"))
            .arg(format!("--listen-ng={address}:{CONTROL}"));
        let program = Program::start("rtpengine", address, &command)?;
        let control = raw::socket_at(address)?;
        control.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut rtpengine = Self {
            _program: program,
            control,
            at: SocketAddr::new(address, CONTROL),
            asked: 0,
        };
        wait::until_true("rtpengine to answer", || {
            Ok(rtpengine.ask("7:command4:ping")?.is_some())
        })?;
        Ok(rtpengine)
    }

    /// The offer `plain` as SRTP by this suite alone, to be sent on to whoever shall answer it.
    pub fn protect_offer(&mut self, call: &str, plain: &str, suite: &str) -> Result<String> {
        let others = SUITES.iter().filter(|other| **other != suite);
        let flags: String = others
            .map(|other| text(&format!("SDES-no-{other}")))
            .collect();
        let tags = format!(
            "7:command5:offer3:ICE6:remove4:DTLS3:off18:transport-protocol8:RTP/SAVP5:flagsl{flags}e"
        );
        self.description(call, plain, &tags)
    }

    /// The answer that came to it, for whoever made the plain offer.
    pub fn unprotect_answer(&mut self, call: &str, secure: &str) -> Result<String> {
        self.description(call, secure, "7:command6:answer6:to-tag6:callee")
    }

    fn description(&mut self, call: &str, sdp: &str, tags: &str) -> Result<String> {
        let words = format!(
            "7:call-id{}8:from-tag6:caller3:sdp{}{tags}",
            text(call),
            text(sdp)
        );
        let answer = wait::until("rtpengine's answer", || self.ask(&words))?;
        let (_, rest) = answer.split_once("3:sdp").with_context(|| answer.clone())?;
        let (length, sdp) = rest.split_once(':').context("broken bencoding")?;
        let sdp = sdp.get(..length.parse()?).context("broken bencoding")?;
        Ok(sdp.to_owned())
    }

    fn ask(&mut self, words: &str) -> Result<Option<String>> {
        self.asked += 1;
        let cookie = format!("e2e{} ", self.asked);
        let request = format!("{cookie}d{words}e");
        // Refused while it does not listen yet.
        let _ = self.control.send_to(request.as_bytes(), self.at);
        let mut buffer = [0; 8192];
        let Ok(length) = self.control.recv(&mut buffer) else {
            return Ok(None);
        };
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if answer.contains("6:result5:error") {
            bail!("rtpengine: {answer}");
        }
        Ok(answer.strip_prefix(&cookie).map(str::to_owned))
    }
}

fn text(words: &str) -> String {
    format!("{}:{words}", words.len())
}

/// A plain end of a call: a socket, and packets of PCMA.
#[derive(Debug)]
pub struct PlainEnd {
    pub socket: UdpSocket,
    remote: Option<SocketAddr>,
}

impl PlainEnd {
    pub fn new(host: IpAddr) -> Result<Self> {
        let socket = raw::socket_at(host)?;
        socket.set_read_timeout(Some(PATIENCE / 100))?;
        Ok(Self {
            socket,
            remote: None,
        })
    }

    pub fn description(&self) -> Result<String> {
        let local = self.socket.local_addr()?;
        Ok(format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n",
            local.port(),
            ip = local.ip()
        ))
    }

    /// Where the description of the other side says that it listens.
    pub fn aim(&mut self, description: &str) -> Result<()> {
        let after = |start: &str| {
            let line = description
                .lines()
                .find_map(|line| line.strip_prefix(start));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.with_context(|| format!("no {start} in {description}"))
        };
        let host: IpAddr = after("c=IN IP4 ")?.parse()?;
        self.remote = Some((host, after("m=audio ")?.parse()?).into());
        Ok(())
    }

    /// Aims at whoever sends here; false: nobody does yet.
    pub fn learn(&mut self) -> Result<bool> {
        let Ok((_, from)) = self.socket.recv_from(&mut [0; 2048]) else {
            return Ok(false);
        };
        self.remote = Some(from);
        Ok(true)
    }

    /// Says a packet with this number and payload.
    pub fn say(&self, number: u16, payload: &[u8]) -> Result<()> {
        let mut packet = vec![0x80, 8];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend([7, 7, 7, 7]);
        packet.extend(payload);
        let remote = self.remote.context("nobody to talk to")?;
        self.socket.send_to(&packet, remote)?;
        Ok(())
    }

    /// The payload of the next RTP packet; `None`: nothing comes for a while.
    pub fn hear(&self) -> Result<Option<Vec<u8>>> {
        let mut buffer = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let packet = &buffer[..length];
            if length > 1 && (200..=207).contains(&packet[1]) {
                continue;
            }
            ensure!(
                length >= 12 && packet[1] & 0x7f == 8,
                "{packet:?} is not PCMA"
            );
            return Ok(Some(packet[12..].to_vec()));
        }
        Ok(None)
    }
}
