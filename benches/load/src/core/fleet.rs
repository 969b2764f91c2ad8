//! Devices under load: TLS with a certificate each, MQTT 3.1.1, the same towards every subject.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::portal::trusting_anybody;

/// Seconds; longer than any run.
const KEEP_ALIVE: u16 = 300;

/// Who a device is.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

/// A packet that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Publish { id: Option<u16>, payload: Vec<u8> },
    Acknowledged(u16),
    Other(u8),
}

/// A device with its connection.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    stream: TlsStream<TcpStream>,
    came: Vec<u8>,
    next: u16,
}

impl Device {
    /// Connects and subscribes; the session is kept.
    pub(super) async fn connect(
        door: SocketAddr,
        identity: &Identity,
        filter: &str,
    ) -> Result<Self> {
        let config = trusting_anybody()?
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
        let stream = TcpStream::connect(door).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost")?;
        let mut device = Self {
            name: identity.name.clone(),
            stream: connector.connect(name, stream).await?,
            came: Vec::new(),
            next: 0,
        };
        let mut connect = text("MQTT");
        connect.extend([4, 0]);
        connect.extend(KEEP_ALIVE.to_be_bytes());
        connect.extend(text(&device.name));
        device.send(0x10, &connect).await?;
        ensure!(device.next().await? == Packet::Other(0x20), "no CONNACK");
        let mut subscribe = device.number().to_be_bytes().to_vec();
        subscribe.extend(text(filter));
        subscribe.push(1);
        device.send(0x82, &subscribe).await?;
        ensure!(device.next().await? == Packet::Other(0x90), "no SUBACK");
        Ok(device)
    }

    pub(super) fn up(&self, channel: &str) -> String {
        format!("d/{}/1/up/{channel}", self.name)
    }

    /// Publishes with acknowledgement; its number.
    pub(super) async fn publish(&mut self, topic: &str, payload: &str) -> Result<u16> {
        let id = self.number();
        let mut publish = text(topic);
        publish.extend(id.to_be_bytes());
        publish.extend(payload.as_bytes());
        self.send(0x32, &publish).await?;
        Ok(id)
    }

    /// Publishes and waits for the acknowledgement; what comes in between is acknowledged.
    pub(super) async fn say(&mut self, channel: &str, payload: &str) -> Result<()> {
        let id = self.publish(&self.up(channel), payload).await?;
        loop {
            match self.next().await? {
                Packet::Acknowledged(number) if number == id => return Ok(()),
                Packet::Publish { id: Some(id), .. } => self.acknowledge(id).await?,
                Packet::Publish { .. } | Packet::Acknowledged(_) | Packet::Other(_) => {}
            }
        }
    }

    pub(super) async fn acknowledge(&mut self, id: u16) -> Result<()> {
        self.send(0x40, &id.to_be_bytes()).await
    }

    fn number(&mut self) -> u16 {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.next
    }

    async fn send(&mut self, kind: u8, rest: &[u8]) -> Result<()> {
        let mut packet = vec![kind];
        let mut length = rest.len();
        while length >= 0x80 {
            packet.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        packet.push(length as u8);
        packet.extend_from_slice(rest);
        self.stream.write_all(&packet).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next packet. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.whole()? {
                return Ok(packet);
            }
            let mut octets = [0; 4096];
            let read = self.stream.read(&mut octets).await?;
            if read == 0 {
                bail!("{}: the other end closed", self.name);
            }
            self.came.extend_from_slice(&octets[..read]);
        }
    }

    fn whole(&mut self) -> Result<Option<Packet>> {
        let (mut length, mut place) = (0, 1);
        loop {
            let Some(digit) = self.came.get(place) else {
                return Ok(None);
            };
            length |= usize::from(digit & 0x7f) << (7 * (place - 1));
            place += 1;
            if digit & 0x80 == 0 {
                break;
            }
        }
        if self.came.len() < place + length {
            return Ok(None);
        }
        let packet = read(self.came[0], &self.came[place..place + length])?;
        self.came.drain(..place + length);
        Ok(Some(packet))
    }
}

fn read(kind: u8, rest: &[u8]) -> Result<Packet> {
    let number = |at: usize| {
        let octets = rest.get(at..at + 2).context("a short packet")?;
        Ok::<_, anyhow::Error>(u16::from_be_bytes([octets[0], octets[1]]))
    };
    match kind & 0xf0 {
        0x30 => {
            let begin = 2 + usize::from(number(0)?);
            let id = match kind & 0x06 {
                0 => None,
                _ => Some(number(begin)?),
            };
            let begin = begin + if id.is_some() { 2 } else { 0 };
            let payload = rest.get(begin..).context("a short packet")?.to_vec();
            Ok(Packet::Publish { id, payload })
        }
        0x40 => Ok(Packet::Acknowledged(number(0)?)),
        kind => Ok(Packet::Other(kind)),
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut octets = (text.len() as u16).to_be_bytes().to_vec();
    octets.extend(text.as_bytes());
    octets
}
