//! One binding, packed: a few numbers and one piece of memory, the same bytes as in the store.
//!
//! Addresses of record are many and their bindings are read rarely, so nothing stays parsed.
//! Invariant: `data` was made by [`Binding::pack`] or read once by [`Binding::unpack`], so a view
//! of it always succeeds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;

use crate::flow::{ConnectionId, Flow, ListenerId, Transport};

/// A contact of an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Second since the start of the registrar.
    pub(super) expires: u32,
    /// Second of the last refresh.
    pub(super) updated: u32,
    data: Box<[u8]>,
}

/// What a binding says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View<'a> {
    pub(super) uri: &'a str,
    /// `+sip.instance` without its quotes; empty when none was given.
    pub(super) instance: &'a str,
    /// Present on outbound bindings (RFC 5626).
    pub(super) reg_id: Option<NonZeroU32>,
    /// Thousandths; `None` when the station gave none.
    pub(super) q: Option<u16>,
    /// A hash of the Call-ID; it is only ever compared.
    pub(super) call: u64,
    pub(super) cseq: u32,
    pub(super) way: Way,
    /// Where the last REGISTER came from.
    pub(super) flow: Flow,
    /// The Path header values, joined by commas (RFC 3327); empty when none.
    pub(super) path: &'a str,
}

/// How the station is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Back over the flow the REGISTER came by: NAT, Path, outbound, connections.
    Flow,
    /// At the address in its Contact, through the same socket: the host is the one it sent from.
    ContactAddress,
    /// Wherever its Contact (or Path) leads.
    Resolve,
}

const VERSION: u8 = 1;
const NO_Q: u16 = u16::MAX;

impl Binding {
    pub(super) fn pack(view: &View<'_>, expires: u32, updated: u32) -> Self {
        let texts = view.uri.len() + view.instance.len() + view.path.len();
        let mut data = Vec::with_capacity(texts + 72);
        data.push(VERSION);
        data.push(match view.way {
            Way::Flow => 0,
            Way::ContactAddress => 1,
            Way::Resolve => 2,
        });
        data.extend(view.call.to_be_bytes());
        data.extend(view.cseq.to_be_bytes());
        data.extend(view.q.unwrap_or(NO_Q).to_be_bytes());
        data.extend(view.reg_id.map_or(0, NonZeroU32::get).to_be_bytes());
        push_flow(&view.flow, &mut data);
        for text in [view.uri, view.instance, view.path] {
            let len = u16::try_from(text.len()).expect("texts are bounded where they are read");
            data.extend(len.to_be_bytes());
            data.extend(text.as_bytes());
        }
        Self {
            expires,
            updated,
            data: data.into(),
        }
    }

    /// Reads what the store gave back.
    pub(super) fn unpack(data: Box<[u8]>, expires: u32, updated: u32) -> Option<Self> {
        let binding = Self {
            expires,
            updated,
            data,
        };
        read(&binding.data).is_some().then_some(binding)
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn view(&self) -> View<'_> {
        read(&self.data).expect("packed here, or read once by unpack")
    }
}

fn read(data: &[u8]) -> Option<View<'_>> {
    let mut from = Reader(data);
    if from.byte()? != VERSION {
        return None;
    }
    let way = match from.byte()? {
        0 => Way::Flow,
        1 => Way::ContactAddress,
        2 => Way::Resolve,
        _ => return None,
    };
    let call = u64::from_be_bytes(from.array()?);
    let cseq = u32::from_be_bytes(from.array()?);
    let q = Some(u16::from_be_bytes(from.array()?)).filter(|q| *q != NO_Q);
    let reg_id = NonZeroU32::new(u32::from_be_bytes(from.array()?));
    let flow = from.flow()?;
    let (uri, instance, path) = (from.text()?, from.text()?, from.text()?);
    from.0.is_empty().then_some(View {
        uri,
        instance,
        reg_id,
        q,
        call,
        cseq,
        way,
        flow,
        path,
    })
}

fn push_flow(flow: &Flow, data: &mut Vec<u8>) {
    data.push(match flow.transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
    });
    data.extend(flow.listener.0.to_be_bytes());
    if flow.transport != Transport::Udp {
        data.extend(flow.connection.0.to_be_bytes());
    }
    for addr in [flow.remote, flow.local] {
        match addr {
            SocketAddr::V4(v4) => {
                data.push(4);
                data.extend(v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                data.push(6);
                data.extend(v6.ip().octets());
                data.extend(v6.scope_id().to_be_bytes());
            }
        }
        data.extend(addr.port().to_be_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn flow(&mut self) -> Option<Flow> {
        let transport = match self.byte()? {
            0 => Transport::Udp,
            1 => Transport::Tcp,
            2 => Transport::Tls,
            _ => return None,
        };
        let listener = ListenerId(u16::from_be_bytes(self.array()?));
        let connection = match transport {
            Transport::Udp => ConnectionId::NONE,
            Transport::Tcp | Transport::Tls => ConnectionId(u64::from_be_bytes(self.array()?)),
        };
        Some(Flow {
            transport,
            listener,
            connection,
            remote: self.addr()?,
            local: self.addr()?,
        })
    }

    fn addr(&mut self) -> Option<SocketAddr> {
        let (ip, scope): (IpAddr, u32) = match self.byte()? {
            4 => (Ipv4Addr::from(self.array::<4>()?).into(), 0),
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                (ip.into(), u32::from_be_bytes(self.array()?))
            }
            _ => return None,
        };
        let port = u16::from_be_bytes(self.array()?);
        Some(match ip {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view() -> View<'static> {
        let flow = Flow::udp(
            ListenerId(3),
            "10.0.0.1:5060".parse().unwrap(),
            "10.0.0.7:5062".parse().unwrap(),
        );
        View {
            uri: "sip:101@10.0.0.7:5062",
            instance: "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>",
            reg_id: NonZeroU32::new(1),
            q: Some(500),
            call: 0x0123_4567_89ab_cdef,
            cseq: 7,
            way: Way::Flow,
            flow,
            path: "<sip:edge.example;lr;ob>",
        }
    }

    #[test]
    fn what_is_packed_is_read_again() {
        let scoped: SocketAddr = SocketAddrV6::new("fe80::1".parse().unwrap(), 5060, 0, 4).into();
        let tls = Flow {
            transport: Transport::Tls,
            connection: ConnectionId(u64::MAX),
            remote: scoped,
            ..view().flow
        };
        for view in [
            view(),
            View {
                flow: tls,
                way: Way::Resolve,
                q: None,
                reg_id: None,
                instance: "",
                path: "",
                ..view()
            },
        ] {
            let binding = Binding::pack(&view, 3600, 0);
            assert_eq!(binding.view(), view);
            let again = Binding::unpack(binding.data().into(), 3600, 0);
            assert_eq!(again.as_ref(), Some(&binding));
        }
    }

    #[test]
    fn damaged_or_foreign_data_is_refused() {
        let whole = Binding::pack(&view(), 1, 1);
        for len in 0..whole.data().len() {
            assert_eq!(Binding::unpack(whole.data()[..len].into(), 1, 1), None);
        }
        let longer = [whole.data(), b"x"].concat();
        assert_eq!(Binding::unpack(longer.into(), 1, 1), None);
        let mut other = whole.data().to_vec();
        other[0] = VERSION + 1;
        assert_eq!(Binding::unpack(other.into(), 1, 1), None);
    }

    proptest! {
        #[test]
        fn no_data_makes_the_reader_panic(data: Vec<u8>) {
            if let Some(binding) = Binding::unpack(data.clone().into(), 1, 1) {
                let again = Binding::pack(&binding.view(), 1, 1);
                prop_assert_eq!(again.data(), data);
            }
        }
    }
}
