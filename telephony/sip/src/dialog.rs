//! Dialogs (RFC 3261 12): who the two ends are, how requests within are numbered and routed.
//!
//! It knows no offer, no transaction and no time. Invariant: the three parts of its identity and
//! the route set never change once the dialog is confirmed; the numbers of our requests only grow.

use std::net::{IpAddr, SocketAddr};

use crate::flow::{ConnectionId, Destination, Flow, Hop, Transport};
use crate::message::{HeaderName, Headers, Host, Method, NameAddr, Request, Uri};
use crate::tokens::Token;

/// The identity of a dialog, from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DialogId<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) local_tag: Token,
    /// Empty where the peer is of RFC 2543 and has none (12.1.1).
    pub(crate) remote_tag: &'a str,
}

#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    call_id: Box<str>,
    local_tag: Token,
    remote_tag: Box<str>,
    /// What From says in our requests, tag included.
    local: Box<[u8]>,
    /// What To says in our requests, tag included.
    remote: Box<[u8]>,
    local_seq: u32,
    /// The number of the last request of the peer.
    remote_seq: Option<u32>,
    remote_target: Uri,
    routes: Box<[NameAddr]>,
    hop: Hop,
}

/// A request of the peer compared with the last one (RFC 3261 12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    InOrder,
    /// Lower than the last: 500.
    Late,
}

impl Dialog {
    /// The dialog an INVITE or SUBSCRIBE of a peer makes (12.1.1).
    pub(crate) fn of_request(request: &Request, local_tag: Token, flow: &Flow) -> Option<Self> {
        let headers = &request.headers;
        let remote_tag = headers.from().ok()?.tag().unwrap_or_default().into();
        let contact = headers.contact().ok()??.uri;
        let routes = headers.record_routes().ok()?;
        let to = headers.to().ok()?.with_tag(local_tag.as_str());
        let via_count = headers.elements(HeaderName::Via).count();
        let hop = hop_of_caller(&contact, routes.first(), via_count, flow);
        Some(Self {
            call_id: headers.call_id().ok()?.into(),
            local_tag,
            remote_tag,
            local: to.to_bytes().into(),
            remote: headers.get(HeaderName::From)?.into(),
            // RFC 3261 12.1.1 leaves it empty until we send the first; any start below 2^31 does.
            local_seq: 0,
            remote_seq: Some(headers.cseq().ok()?.number),
            remote_target: contact,
            routes: routes.into(),
            hop,
        })
    }

    /// The dialog a response to our request makes (12.1.2). `sent` is where the request went.
    pub(crate) fn of_response(
        request: &Originated,
        response: &Headers,
        local_seq: u32,
        sent: &Hop,
    ) -> Option<Self> {
        let remote_tag = response.to().ok()?.tag().unwrap_or_default().into();
        // RFC 3261 12.1.1 demands a Contact; a 1xx without one still has a tag that counts.
        let contact = response.contact().ok()?.map(|contact| contact.uri);
        let mut routes = response.record_routes().ok()?;
        routes.reverse();
        let target = contact.unwrap_or_else(|| request.target.clone());
        let hop = hop_of_callee(&target, routes.first(), &request.target, sent);
        Some(Self {
            call_id: request.call_id.clone(),
            local_tag: request.local_tag,
            remote_tag,
            local: request.from.clone(),
            remote: response.get(HeaderName::To)?.into(),
            local_seq,
            remote_seq: None,
            remote_target: target,
            routes: routes.into(),
            hop,
        })
    }

    pub(crate) fn id(&self) -> DialogId<'_> {
        DialogId {
            call_id: &self.call_id,
            local_tag: self.local_tag,
            remote_tag: &self.remote_tag,
        }
    }

    pub(crate) fn hop(&self) -> &Hop {
        &self.hop
    }

    pub(crate) fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    pub(crate) fn local_seq(&self) -> u32 {
        self.local_seq
    }

    pub(crate) fn remote_seq(&self) -> Option<u32> {
        self.remote_seq
    }

    /// The headers every request in the dialog starts with, below Via (12.2.1.1). An ACK takes
    /// the number of its INVITE, all others a new one.
    pub(crate) fn request(&mut self, method: Method, via: &str, ack_of: Option<u32>) -> Request {
        let number = ack_of.unwrap_or_else(|| {
            self.local_seq += 1;
            self.local_seq
        });
        let cseq = format!("{number} {method}");
        let mut request = start_request(method, &self.remote_target, &self.routes, via, 70);
        request.headers.push(HeaderName::From, &self.local);
        request.headers.push(HeaderName::To, &self.remote);
        request.headers.push(HeaderName::CallId, &*self.call_id);
        request.headers.push(HeaderName::CSeq, cseq);
        request
    }

    /// Whether a request of the peer belongs to this dialog.
    pub(crate) fn is_peer_tag(&self, from_tag: Option<&str>) -> bool {
        *self.remote_tag == *from_tag.unwrap_or_default()
    }

    /// Checks and notes the number of a request of the peer.
    pub(crate) fn note_number(&mut self, number: u32) -> Order {
        match self.remote_seq {
            Some(last) if number <= last => Order::Late,
            Some(_) | None => {
                self.remote_seq = Some(number);
                Order::InOrder
            }
        }
    }

    /// A target refresh by the peer (12.2.2), and the way it took: a peer that came back over a
    /// new connection, or from behind a NAT with a new port, is followed there.
    pub(crate) fn refresh(&mut self, request: &Request, flow: &Flow) {
        self.follow(flow);
        if let Ok(Some(contact)) = request.headers.contact() {
            self.remote_target = contact.uri;
            if self.routes.is_empty() && !flow.transport.is_reliable() {
                let via_count = request.headers.elements(HeaderName::Via).count();
                self.hop = hop_of_caller(&self.remote_target, None, via_count, flow);
            }
        }
    }

    /// The peer refreshed its target in a response to our INVITE or UPDATE.
    pub(crate) fn refresh_by_response(&mut self, response: &Headers) {
        if let Ok(Some(contact)) = response.contact() {
            self.remote_target = contact.uri;
        }
    }

    /// The final response of an INVITE decides route set and target (13.2.2.4).
    pub(crate) fn confirm(&mut self, response: &Headers, invited: &Uri, sent: &Hop) {
        if let Ok(mut routes) = response.record_routes() {
            routes.reverse();
            self.routes = routes.into();
        }
        self.refresh_by_response(response);
        self.hop = hop_of_callee(&self.remote_target, self.routes.first(), invited, sent);
    }

    /// A request of the peer came over another connection than the one we know.
    pub(crate) fn follow(&mut self, flow: &Flow) {
        if let Hop::Flow(known) = &self.hop
            && known.transport.is_reliable()
            && flow.transport.is_reliable()
            && known.connection != flow.connection
        {
            self.hop = Hop::Flow(*flow);
        }
    }

    /// The peer has come back over another connection.
    pub(crate) fn moved(&mut self, from: ConnectionId, to: &Flow) {
        if let Hop::Flow(known) = &self.hop
            && known.connection == from
        {
            self.hop = Hop::Flow(*to);
        }
    }

    /// The connection of the dialog is gone: the next request tries the peer's own address.
    pub(crate) fn lost(&mut self, flow: &Flow) {
        let Hop::Flow(known) = &self.hop else { return };
        if known.connection != flow.connection {
            return;
        }
        let next = self
            .routes
            .first()
            .map_or(&self.remote_target, |route| &route.uri);
        if let Some(addr) = address_of(next, flow.remote) {
            let mut destination = Destination::new(flow.transport, addr);
            destination.listener = Some(flow.listener);
            if flow.transport == Transport::Tls {
                destination.server_name = next.host().map(|host| host.to_string().into());
            }
            self.hop = Hop::Destination(destination);
        }
    }
}

/// The top of a request with a route set (12.2.1.1, 8.1.1.1): behind a strict router the target is
/// the last Route.
pub(crate) fn start_request(
    method: Method,
    target: &Uri,
    routes: &[NameAddr],
    via: &str,
    max_forwards: u8,
) -> Request {
    let strict = routes.first().filter(|first| !first.uri.is_loose_router());
    let uri = strict.map_or_else(|| target.clone(), |first| strict_target(&first.uri));
    let mut request = Request::new(method, uri).with_header(HeaderName::Via, via);
    for route in routes.iter().skip(usize::from(strict.is_some())) {
        request.headers.push(HeaderName::Route, route.to_bytes());
    }
    if strict.is_some() {
        let last = NameAddr::new(target.clone());
        request.headers.push(HeaderName::Route, last.to_bytes());
    }
    request
        .headers
        .push(HeaderName::MaxForwards, max_forwards.to_string());
    request
}

/// What a request of ours that can make dialogs was made of.
#[derive(Clone, Debug)]
pub(crate) struct Originated {
    pub(crate) target: Uri,
    pub(crate) call_id: Box<str>,
    pub(crate) local_tag: Token,
    /// The From value, tag included.
    pub(crate) from: Box<[u8]>,
}

/// RFC 3261 12.2.1.1 and 19.1.1: what may not stand in a Request-URI is taken away.
fn strict_target(route: &Uri) -> Uri {
    route.without_headers().without_param("method")
}

/// A caller's connection is kept. On UDP its route or Contact decides, unless that cannot be
/// reached: a private address seen from outside its NAT (RFC 3261 18.2, RFC 3581, RFC 5626 4).
fn hop_of_caller(contact: &Uri, route: Option<&NameAddr>, via_count: usize, flow: &Flow) -> Hop {
    let came = Hop::Flow(*flow);
    if flow.transport.is_reliable() {
        return came;
    }
    let next = route.map_or(contact, |route| &route.uri);
    let Some(hop) = reach(next, &came) else {
        return came;
    };
    let neighbour = route.is_some() || via_count > 1;
    if neighbour || hop.remote().ip() == flow.remote.ip() {
        hop
    } else {
        came
    }
}

/// A flow or connection the owner chose is kept. Else the route or Contact decides, unless the
/// callee repeats the private address it was called by.
fn hop_of_callee(contact: &Uri, route: Option<&NameAddr>, target: &Uri, sent: &Hop) -> Hop {
    let kept = matches!(sent, Hop::Flow(_)) || sent.transport().is_reliable();
    let behind_nat = route.is_none() && contact.host() == target.host();
    let next = route.map_or(contact, |route| &route.uri);
    match reach(next, sent) {
        Some(hop) if !kept && (!behind_nat || hop.remote().ip() == sent.remote().ip()) => hop,
        Some(_) | None => sent.clone(),
    }
}

/// The hop to a URI whose host is an address; names are the owner's to resolve.
fn reach(uri: &Uri, from: &Hop) -> Option<Hop> {
    let addr = address_of(uri, from.remote())?;
    let transport = match uri.param("transport") {
        _ if uri.is_sips() => Transport::Tls,
        Some(name) => Transport::from_name(name)?,
        None => Transport::Udp,
    };
    if transport != from.transport() {
        let mut destination = Destination::new(transport, addr);
        if transport == Transport::Tls {
            destination.server_name = uri.host().map(|host| host.to_string().into());
        }
        return Some(Hop::Destination(destination));
    }
    Some(match from {
        Hop::Flow(flow) => Hop::Flow(Flow {
            remote: addr,
            ..*flow
        }),
        Hop::Destination(destination) => Hop::Destination(Destination {
            addr,
            ..destination.clone()
        }),
    })
}

/// The address in a URI. A link-local one gets the interface the peer was heard on. Addresses no
/// peer on a network can have (loopback, multicast, none) are no answer, so that a Contact cannot
/// make us talk to ourselves.
fn address_of(uri: &Uri, peer: SocketAddr) -> Option<SocketAddr> {
    let ip = match uri.host()? {
        Host::Name(_) => return None,
        host => host.ip()?,
    };
    if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !peer.ip().is_loopback()) {
        return None;
    }
    let port = uri
        .port()
        .unwrap_or(if uri.is_sips() { 5061 } else { 5060 });
    let mut addr = SocketAddr::new(ip, port);
    if let (SocketAddr::V6(addr), SocketAddr::V6(peer), IpAddr::V6(v6)) = (&mut addr, peer, ip)
        && v6.is_unicast_link_local()
    {
        addr.set_scope_id(peer.scope_id());
    }
    Some(addr)
}
