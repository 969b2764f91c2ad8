//! SIP messages written by hand, for what no client would send.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use crate::{PATIENCE, network};

/// A request with what every request needs; `more` are further header lines,
/// each ended by CRLF.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: String,
    pub transport: &'a str,
    pub local: SocketAddr,
    pub from_user: String,
    pub to_user: String,
    /// In a dialog.
    pub to_tag: Option<String>,
    pub call: String,
    pub number: u32,
    pub more: String,
    pub body: &'a str,
}

impl<'a> Request<'a> {
    pub fn new(method: &'a str, gateway: IpAddr, user: &str, local: SocketAddr) -> Self {
        Self {
            method,
            uri: format!("sip:{gateway}"),
            transport: "UDP",
            local,
            from_user: user.to_owned(),
            to_user: user.to_owned(),
            to_tag: None,
            call: format!("{user}-{}", local.port()),
            number: 1,
            more: String::new(),
            body: "",
        }
    }

    pub fn text(&self) -> String {
        let Self {
            method,
            uri,
            transport,
            local,
            from_user,
            to_user,
            to_tag,
            call,
            number,
            more,
            body,
        } = self;
        let to_tag = to_tag
            .as_ref()
            .map_or(String::new(), |tag| format!(";tag={tag}"));
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};rport;branch=z9hG4bK{call}-{number}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{from_user}@{}>;tag=t{call}\r\n\
             To: <sip:{to_user}@{}>{to_tag}\r\n\
             Call-ID: {call}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:{from_user}@{local}>\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            local.ip(),
            local.ip(),
            body.len()
        )
    }
}

/// Sends a request over UDP, again every half second, and returns the first
/// final answer.
pub fn ask(socket: &UdpSocket, to: SocketAddr, request: &Request<'_>) -> Result<String> {
    let text = request.text();
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let given_up = std::time::Instant::now() + PATIENCE;
    let mut buffer = vec![0; 65_536];
    while std::time::Instant::now() < given_up {
        socket.send_to(text.as_bytes(), to)?;
        while let Ok(read) = socket.recv(&mut buffer) {
            let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
            if answer.contains(&request.call) && status(&answer).is_some_and(|code| code >= 200) {
                return Ok(answer);
            }
        }
    }
    anyhow::bail!("no answer to {}", request.method)
}

/// The status code of a response.
pub fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// A TCP connection that comes from the host with this address.
pub fn connect_from(host: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let stream = network::at(host, move || TcpStream::connect(to))?.context("connecting")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A UDP socket at the host with this address.
pub fn socket_at(host: IpAddr) -> Result<UdpSocket> {
    network::at(host, move || UdpSocket::bind((host, 0)))?.context("a socket")
}

/// Sends datagrams under the addresses of others, as anybody on the same wire can.
#[derive(Debug)]
pub struct Spoofer {
    socket: OwnedFd,
}

impl Spoofer {
    /// Somebody at the host with this address.
    pub fn new(host: IpAddr) -> Result<Self> {
        let open = || {
            let family = AddressFamily::Inet;
            socket(family, SockType::Raw, SockFlag::empty(), SockProtocol::Raw)
        };
        let socket = network::at(host, open)?.context("a raw socket")?;
        Ok(Self { socket })
    }

    pub fn send(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Result<()> {
        let datagram = u16::try_from(8 + payload.len())?;
        // RFC 791 3.1; the kernel fills in length, identification and checksum.
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(from.ip().octets());
        packet.extend(to.ip().octets());
        // RFC 768: a checksum of zero is none.
        for word in [from.port(), to.port(), datagram, 0] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(payload);
        let to = SockaddrIn::from(to);
        sendto(self.socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        Ok(())
    }
}

/// Writes everything, as far as the other side lets us; true if all went out.
pub fn write_until_closed(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    bytes
        .chunks(4096)
        .all(|chunk| stream.write_all(chunk).is_ok())
}

/// Reads until the other side closes; what it said before.
pub fn read_to_close(stream: &mut TcpStream) -> Result<String> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error).context("the connection was not closed"),
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
