//! From the listeners of the configuration to bound sockets: ids, certificates, sockets of systemd.
//!
//! Invariant: a listener's id follows from its transport and address, so it means the same after a
//! restart, when stored registrations name it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use listenfd::ListenFd;
use net::flows::{ListenerConfig, ListenerId, ListenerKind, ListenerSocket};
use net::tls::{
    CertificateFiles, ClientCertificates, ClientTls, ClientTlsFiles, ServerTls, ServerTlsFiles,
    TlsError, TlsVersion, TrustFiles,
};

use crate::config::{self, ListenerSettings, TlsFiles};

/// Sockets that systemd has bound for us.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(SocketAddr, Form, OwnedFd)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Datagram,
    Stream,
}

impl Inherited {
    /// Takes the sockets from the environment. Called before any thread is started, because it
    /// changes the environment.
    pub(crate) fn from_environment() -> io::Result<Self> {
        let mut handed = ListenFd::from_env();
        let mut all = Vec::new();
        for index in 0..handed.len() {
            // Each refuses a socket of the other form, and then leaves it where it was.
            if let Ok(Some(socket)) = handed.take_udp_socket(index) {
                all.push((socket.local_addr()?, Form::Datagram, socket.into()));
            } else if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
                all.push((listener.local_addr()?, Form::Stream, listener.into()));
            } else {
                tracing::warn!(
                    index,
                    "a socket handed over by systemd is neither UDP nor TCP"
                );
            }
        }
        Ok(Self(all))
    }

    fn take(&mut self, address: SocketAddr, form: Form) -> Option<OwnedFd> {
        let wanted = |(bound, kind, _): &(SocketAddr, Form, OwnedFd)| {
            *kind == form && bound.port() == address.port() && bound.ip() == address.ip()
        };
        let index = self.0.iter().position(wanted)?;
        Some(self.0.swap_remove(index).2)
    }

    /// Sockets that no listener of the configuration has asked for.
    pub(crate) fn left_over(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(address, ..)| *address)
    }
}

/// What `net` is to open, in the order of the configuration.
pub(crate) fn configs(
    listeners: &[ListenerSettings],
    inherited: &mut Inherited,
) -> Result<Vec<ListenerConfig>, TlsError> {
    let ids = ids(listeners);
    let mut configs = Vec::with_capacity(listeners.len());
    for (listener, id) in listeners.iter().zip(ids) {
        let (kind, form) = match &listener.kind {
            config::ListenerKind::Udp => (ListenerKind::Udp, Form::Datagram),
            config::ListenerKind::Tcp => (ListenerKind::Tcp, Form::Stream),
            config::ListenerKind::Tls(files) => (ListenerKind::Tls(tls(files)?), Form::Stream),
        };
        let socket = match inherited.take(listener.address, form) {
            Some(socket) => ListenerSocket::Inherited(socket),
            None => ListenerSocket::Bind(listener.address),
        };
        configs.push(ListenerConfig { id, socket, kind });
    }
    Ok(configs)
}

/// The certificates of all TLS listeners, read anew.
pub(crate) fn tls_of(
    listeners: &[ListenerSettings],
) -> Result<Vec<(ListenerId, ServerTls)>, TlsError> {
    let mut all = Vec::new();
    for (listener, id) in listeners.iter().zip(ids(listeners)) {
        if let config::ListenerKind::Tls(files) = &listener.kind {
            all.push((id, tls(files)?));
        }
    }
    Ok(all)
}

/// Reads certificate, key and authorities of one listener.
pub(crate) fn tls(files: &TlsFiles) -> Result<ServerTls, TlsError> {
    let clients = match &files.client_authorities {
        Some(file) => ClientCertificates::Required(TrustFiles {
            roots: vec![file.clone()],
            revocation_lists: Vec::new(),
        }),
        None => ClientCertificates::Ignored,
    };
    ServerTls::load(&ServerTlsFiles {
        certificates: vec![CertificateFiles {
            chain: files.certificate.clone(),
            key: files.key.clone(),
        }],
        clients,
        oldest: TlsVersion::Tls12,
    })
}

/// What is believed of servers that the gateway connects to.
pub(crate) fn client_tls(authorities: &Path) -> Result<ClientTls, TlsError> {
    ClientTls::load(&ClientTlsFiles {
        trust: TrustFiles {
            roots: vec![authorities.to_owned()],
            revocation_lists: Vec::new(),
        },
        certificate: None,
        oldest: TlsVersion::Tls12,
    })
}

/// One id each: a hash of what it is, or the next free one.
pub(crate) fn ids(listeners: &[ListenerSettings]) -> Vec<ListenerId> {
    let mut taken: Vec<ListenerId> = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let kind = match listener.kind {
            config::ListenerKind::Udp => "udp",
            config::ListenerKind::Tcp => "tcp",
            config::ListenerKind::Tls(_) => "tls",
        };
        let hash = format!("{kind} {}", listener.address)
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        // Below OUTGOING, which is the highest number.
        let mut id = u16::try_from(hash >> 17).unwrap_or_default();
        while taken.contains(&ListenerId(id)) {
            id = (id + 1) & 0x7fff;
        }
        taken.push(ListenerId(id));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(address: &str) -> ListenerSettings {
        ListenerSettings {
            address: address.parse().unwrap(),
            advertise: None,
            passwords: config::Passwords::Accounts,
            kind: config::ListenerKind::Udp,
        }
    }

    #[test]
    fn an_id_means_the_same_whatever_else_is_configured() {
        let (a, b) = (udp("192.0.2.1:5060"), udp("[2001:db8::1]:5060"));
        let both = ids(&[a.clone(), b.clone()]);
        assert_eq!(ids(&[b, a]), [both[1], both[0]]);
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn no_two_listeners_share_an_id() {
        let same = vec![udp("127.0.0.1:0"); 3];
        let mut ids: Vec<_> = ids(&same).iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }
}
