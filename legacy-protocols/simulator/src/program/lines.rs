//! Cables: octets between the site's lines and whoever is at their other end.
//!
//! Each is served by a task of `net`. A cable can be cut, so that nobody gets through, or frozen, so
//! that everything stays open and nothing arrives. It knows no protocol.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use net::lines::{
    Electric, LineHandle, LineKey, Medium, Parity, SerialSettings, Told, line, serve,
};
use net::tls::{
    CertificateFiles, ClientCertificates, ServerTls, ServerTlsFiles, TlsVersion, TrustFiles,
};
use spans::Bearing;
use tokio::sync::mpsc;

use super::cable::SerialCable;
use super::file::{LineEntry, TlsEntry};
use super::isdn;
use crate::script::LineHand;
use crate::site::LineEvent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cable {
    Whole,
    Cut,
    Frozen,
}

/// What the owner does with a line.
#[derive(Debug)]
pub(super) struct Handle {
    line: LineHandle,
    cable: Cable,
    /// Where it can be reached, for people.
    pub(super) place: String,
    _serial: Option<SerialCable>,
    isdn: Option<isdn::Channels>,
}

impl Handle {
    /// Starts the task of a line.
    pub(super) fn start(
        number: u16,
        entry: &LineEntry,
        sound_at: IpAddr,
        tell: mpsc::Sender<Told>,
    ) -> Result<Self> {
        let why = || format!("line {} cannot be opened", entry.name);
        if let Some(l1oip) = &entry.l1oip {
            let (handle, orders) = line(LineKey(number), tell);
            let channels = isdn::start(l1oip, sound_at, orders).with_context(why)?;
            return Ok(Self {
                line: handle,
                cable: Cable::Whole,
                place: format!("{} (L1oIP)", l1oip.bind),
                _serial: None,
                isdn: Some(channels),
            });
        }
        let (medium, serial) = medium(entry).with_context(why)?;
        let bound = medium.bind().with_context(why)?;
        let place = place(entry, bound.local());
        let (handle, orders) = line(LineKey(number), tell);
        tokio::spawn(serve(bound, orders));
        Ok(Self {
            line: handle,
            cable: Cable::Whole,
            place,
            _serial: serial,
            isdn: None,
        })
    }

    /// False: it cannot, as the cable is cut.
    pub(super) fn open(&self) -> bool {
        if self.cable == Cable::Cut {
            return false;
        }
        self.line.open();
        true
    }

    /// Where the sound of its B channels is.
    pub(super) fn channels(&self) -> Option<SocketAddr> {
        self.isdn.as_ref().map(isdn::Channels::address)
    }

    pub(super) fn bear(&self, bearing: Bearing) {
        if let Some(channels) = &self.isdn {
            channels.bear(bearing);
        }
    }

    pub(super) fn close(&mut self) {
        self.line.close();
    }

    pub(super) fn send(&mut self, octets: Vec<u8>) {
        if self.cable == Cable::Whole && self.line.send(octets.into()).is_err() {
            // Whoever takes nothing for so long is lost.
            self.line.close();
        }
    }

    /// True: what was open is not any more.
    pub(super) fn hand(&mut self, what: LineHand) -> bool {
        self.cable = match what {
            LineHand::Cut => Cable::Cut,
            LineHand::Freeze => Cable::Frozen,
            LineHand::Heal | LineHand::Thaw => Cable::Whole,
        };
        if self.cable == Cable::Cut {
            self.line.close();
        }
        self.cable == Cable::Cut
    }

    pub(super) const fn cable(&self) -> Cable {
        self.cable
    }

    /// What the site hears of what the task tells.
    pub(super) fn hear<'a>(&mut self, told: &'a Told) -> Option<LineEvent<'a>> {
        if !self.line.hears(told) {
            return None;
        }
        match (&told.event, self.cable) {
            (net::lines::LineEvent::Opened { .. }, Cable::Cut) => {
                self.line.close();
                None
            }
            (net::lines::LineEvent::Opened { .. }, _) => Some(LineEvent::Opened),
            (net::lines::LineEvent::Closed(_), _) => Some(LineEvent::Closed),
            (net::lines::LineEvent::Received(octets), Cable::Whole) => {
                Some(LineEvent::Received(octets))
            }
            (net::lines::LineEvent::Received(_), Cable::Cut | Cable::Frozen)
            | (net::lines::LineEvent::Refused { .. }, _) => None,
        }
    }
}

fn medium(entry: &LineEntry) -> Result<(Medium, Option<SerialCable>)> {
    if let Some(at) = entry.listen {
        let tls = entry.tls.as_ref().map(server_tls).transpose()?;
        return Ok((Medium::Listen { at, tls }, None));
    }
    if let Some(path) = &entry.unix {
        return Ok((Medium::ListenUnix(path.clone()), None));
    }
    let device = entry.serial.as_deref().unwrap_or_default();
    let serial = match device.strip_prefix("pty:") {
        Some(link) => Some(SerialCable::make(link.as_ref())?),
        None => None,
    };
    let settings = SerialSettings {
        device: serial
            .as_ref()
            .map_or_else(|| device.into(), |cable| cable.own.clone()),
        baud: entry.baud,
        parity: Parity::None,
        electric: Electric::Rs232,
    };
    Ok((Medium::Serial(settings), serial))
}

fn place(entry: &LineEntry, bound: Option<SocketAddr>) -> String {
    match (bound, &entry.unix, &entry.serial) {
        (Some(address), _, _) if entry.tls.is_some() => format!("{address} (TLS)"),
        (Some(address), _, _) => address.to_string(),
        (None, Some(path), _) => path.display().to_string(),
        (None, None, Some(device)) => device.trim_start_matches("pty:").to_owned(),
        (None, None, None) => String::new(),
    }
}

/// Certificates of both ends, and nothing older than TLS 1.3.
fn server_tls(files: &TlsEntry) -> Result<ServerTls> {
    let trust = TrustFiles {
        roots: vec![files.trust.clone()],
        revocation_lists: Vec::new(),
    };
    let certificate = CertificateFiles {
        chain: files.certificate.clone(),
        key: files.key.clone(),
    };
    Ok(ServerTls::load(&ServerTlsFiles {
        certificates: vec![certificate],
        clients: ClientCertificates::Required(trust),
        oldest: TlsVersion::Tls13,
    })?)
}
