//! ICE over TCP (RFC 6544, passive): packets with their lengths in front (RFC 4571).
//!
//! For networks that let no UDP through. Invariant: what waits in a connection, in either direction,
//! is bounded; what does not fit is dropped as a datagram would be.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::order::LegId;

/// Longer packets are none of ICE, DTLS or RTP.
const LONGEST: usize = 2048;
/// What may wait to be sent: about a tenth of a second of a good picture.
const WAITING: usize = 64 * 1024;
const HEAD: usize = 2;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: usize,
    pub(crate) since: Instant,
    /// Whose it is, once a check of ICE has said so.
    pub(crate) leg: Option<LegId>,
    /// The thread waits for room to write.
    pub(crate) awaits_room: bool,
    received: Vec<u8>,
    waiting: Vec<u8>,
}

/// The connection cannot be used any more.
#[derive(Debug)]
pub(crate) struct Broken;

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        place: usize,
        now: Instant,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            peer,
            place,
            since: now,
            leg: None,
            awaits_room: false,
            received: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Reads what is there, once.
    pub(crate) fn read(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; HEAD + LONGEST];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Broken),
            Ok(len) => {
                self.received.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Broken),
        }
    }

    /// The next whole packet.
    pub(crate) fn packet(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let Some((head, rest)) = self.received.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes(*head));
        if len > LONGEST {
            return Err(Broken);
        }
        let Some(packet) = rest.get(..len) else {
            return Ok(None);
        };
        let packet = packet.to_vec();
        self.received.drain(..HEAD + len);
        Ok(Some(packet))
    }

    /// Sends a packet, or as much of it as there is room for and the rest later. False: dropped.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<bool, Broken> {
        let Ok(len) = u16::try_from(packet.len()) else {
            return Ok(false);
        };
        if self.waiting.len() + HEAD + packet.len() > WAITING {
            return Ok(false);
        }
        self.waiting.extend(len.to_be_bytes());
        self.waiting.extend_from_slice(packet);
        self.flush()?;
        Ok(true)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(0) => return Err(Broken),
                Ok(len) => drop(self.waiting.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Broken),
            }
        }
        Ok(())
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let connection = Connection::new(stream, peer, 0, Instant::now()).unwrap();
        (near, connection)
    }

    fn read_until(connection: &mut Connection, len: usize) {
        while connection.received.len() < len {
            connection.read().unwrap();
        }
    }

    #[test]
    fn packets_come_out_whole_however_they_were_cut() {
        let (mut near, mut connection) = pair();
        near.write_all(b"\0\x03one\0\x05th").unwrap();
        read_until(&mut connection, 9);
        assert_eq!(connection.packet().unwrap(), Some(b"one".to_vec()));
        assert_eq!(connection.packet().unwrap(), None);
        near.write_all(b"ree").unwrap();
        read_until(&mut connection, 7);
        assert_eq!(connection.packet().unwrap(), Some(b"three".to_vec()));
    }

    #[test]
    fn a_length_of_no_packet_breaks_it() {
        let (mut near, mut connection) = pair();
        near.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        read_until(&mut connection, 2);
        connection.packet().unwrap_err();
    }

    #[test]
    fn what_a_slow_reader_does_not_take_is_dropped() {
        let (_near, mut connection) = pair();
        let packet = [7; 1200];
        let taken = (0..100_000).take_while(|_| connection.send(&packet).unwrap());
        assert!(taken.count() < 100_000);
        assert!(connection.waiting.len() <= WAITING);
    }
}
