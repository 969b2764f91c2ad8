//! Reading a REGISTER: whose it is, and what it wants done to the bindings.
//!
//! Everything is checked and bounded here, so that nothing half-read changes a binding.

use std::net::IpAddr;
use std::num::NonZeroU32;

use super::binding::Way;
use super::settings::Expiry;
use crate::digest::Algorithm;
use crate::flow::{Flow, Transport};
use crate::message::{Contacts, HeaderError, HeaderName, NameAddr, Request, Uri};

/// What a REGISTER asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) call: u64,
    pub(super) cseq: u32,
    /// Joined by commas.
    pub(super) path: String,
    pub(super) change: Change,
    /// The station understands Path in responses.
    pub(super) wants_path: bool,
}

#[derive(Debug)]
pub(super) enum Change {
    /// No Contact: tell the bindings (RFC 3261 10.3 (6)).
    Query,
    /// `Contact: *`.
    RemoveAll,
    Set(Vec<ContactWish>),
}

#[derive(Debug)]
pub(super) struct ContactWish {
    pub(super) uri: Uri,
    /// Granted seconds; zero removes.
    pub(super) expires: u32,
    pub(super) q: Option<u16>,
    pub(super) instance: String,
    pub(super) reg_id: Option<NonZeroU32>,
    pub(super) way: Way,
}

/// Why a REGISTER cannot be carried out: the station's fault.
#[derive(Debug)]
pub(super) enum Fault {
    Malformed(&'static str),
    /// RFC 3261 10.3 (7): ask for at least so many seconds.
    TooBrief {
        min: u32,
    },
    TooManyContacts,
    /// RFC 5626 6: a proxy between that does not keep flows.
    NoOutbound,
}

impl From<HeaderError> for Fault {
    fn from(_: HeaderError) -> Self {
        Self::Malformed("a header of the registration is malformed")
    }
}

/// Texts of one binding stay below these, so that a binding stays small.
const URI_MAX: usize = 512;
const INSTANCE_MAX: usize = 128;
const PATH_MAX: usize = 1024;

/// Option tags a REGISTER may require (RFC 3261 10.3 (2)).
const EXTENSIONS: [&str; 2] = ["path", "outbound"];

/// The required option tags we lack, as an `Unsupported` value.
pub(super) fn unsupported(request: &Request) -> Option<String> {
    let tags: Vec<_> = request
        .headers
        .require()
        .filter(|tag| !EXTENSIONS.iter().any(|ours| tag.eq_ignore_ascii_case(ours)))
        .map(|tag| tag.into_owned())
        .collect();
    (!tags.is_empty()).then(|| tags.join(", "))
}

impl Wish {
    pub(super) fn read(
        request: &Request,
        flow: &Flow,
        expiry: &Expiry,
        max_contacts: u8,
    ) -> Result<Self, Fault> {
        let headers = &request.headers;
        let call_id = headers.call_id()?;
        let path = read_path(request)?;
        // RFC 3261 20.19: a malformed Expires stands for the default.
        let expires = headers.expires().unwrap_or_default();
        let change = match headers.contacts()? {
            // RFC 3261 10.3 (6): the asterisk comes alone and with Expires: 0.
            Contacts::All if expires == Some(0) => Change::RemoveAll,
            Contacts::All => return Err(Fault::Malformed("Contact: * needs Expires: 0")),
            Contacts::Each(contacts) if contacts.is_empty() => Change::Query,
            Contacts::Each(contacts) => {
                let context = Context::new(request, flow, expires, expiry, &path)?;
                Change::Set(read_contacts(contacts, &context, max_contacts)?)
            }
        };
        Ok(Self {
            call: short_hash(call_id),
            cseq: headers.cseq()?.number,
            path,
            change,
            wants_path: headers.supports("path"),
        })
    }
}

/// What applies to all contacts of a request.
struct Context<'a> {
    flow: &'a Flow,
    expires: Option<u32>,
    expiry: &'a Expiry,
    has_path: bool,
    sender: Sender,
    outbound: Outbound,
}

/// Whether the request passed a NAT, by what its first hop wrote of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    AsItSays,
    Elsewhere,
}

/// RFC 5626 6.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outbound {
    Unknown,
    Possible,
    /// Between us and the station is a proxy that does not keep flows.
    Blocked,
}

impl<'a> Context<'a> {
    fn new(
        request: &Request,
        flow: &'a Flow,
        expires: Option<u32>,
        expiry: &'a Expiry,
        path: &str,
    ) -> Result<Self, Fault> {
        let headers = &request.headers;
        let via = headers.via_top()?;
        let source = flow.remote.ip().to_canonical();
        let keeps_flows = || {
            let hops = headers.path().unwrap_or_default();
            hops.iter().any(|hop| hop.uri.has_param("ob"))
        };
        let outbound = if !headers.supports("outbound") {
            Outbound::Unknown
        } else if headers.elements(HeaderName::Via).nth(1).is_none() || keeps_flows() {
            Outbound::Possible
        } else {
            Outbound::Blocked
        };
        Ok(Self {
            flow,
            expires,
            expiry,
            has_path: !path.is_empty(),
            sender: match via.host.ip().map(|ip| ip.to_canonical()) == Some(source) {
                true => Sender::AsItSays,
                false => Sender::Elsewhere,
            },
            outbound,
        })
    }
}

fn read_contacts(
    contacts: Vec<NameAddr>,
    context: &Context<'_>,
    max: u8,
) -> Result<Vec<ContactWish>, Fault> {
    if contacts.len() > usize::from(max) {
        return Err(Fault::TooManyContacts);
    }
    let wishes: Vec<_> = contacts
        .into_iter()
        .map(|contact| read_contact(contact, context))
        .collect::<Result<_, _>>()?;
    // RFC 5626 4.2: at most one contact of a request is an outbound one.
    if wishes.iter().filter(|w| w.reg_id.is_some()).count() > 1 {
        return Err(Fault::Malformed("reg-id on more than one Contact"));
    }
    Ok(wishes)
}

fn read_contact(contact: NameAddr, context: &Context<'_>) -> Result<ContactWish, Fault> {
    let NameAddr { uri, params, .. } = contact;
    // Nothing but SIP can be called through a registrar of stations.
    if uri.host().is_none() {
        return Err(Fault::Malformed("a Contact is not a SIP URI"));
    }
    let uri = uri.without_headers();
    let instance = params.unquoted("+sip.instance").unwrap_or_default();
    if uri.as_str().len() > URI_MAX || instance.len() > INSTANCE_MAX {
        return Err(Fault::Malformed("a Contact is too long"));
    }
    if instance.contains(['"', '\\']) {
        return Err(Fault::Malformed("+sip.instance"));
    }
    let asked = params.value("expires").map(|v| v.parse().ok());
    let asked = match asked {
        Some(value) => value,
        None => context.expires,
    };
    let reg_id = params.value("reg-id").and_then(|v| v.parse().ok());
    let reg_id = match context.outbound {
        Outbound::Possible => reg_id.filter(|_| !instance.is_empty()),
        Outbound::Blocked if reg_id.is_some() && !instance.is_empty() => {
            return Err(Fault::NoOutbound);
        }
        Outbound::Blocked | Outbound::Unknown => None,
    };
    Ok(ContactWish {
        expires: grant(asked, context.expiry)?,
        q: params.value("q").and_then(read_q),
        way: way(&uri, reg_id, context),
        instance: instance.into_owned(),
        reg_id,
        uri,
    })
}

/// RFC 3261 10.3 (7).
fn grant(asked: Option<u32>, expiry: &Expiry) -> Result<u32, Fault> {
    match asked.unwrap_or(expiry.default) {
        0 => Ok(0),
        seconds if seconds < expiry.min => Err(Fault::TooBrief { min: expiry.min }),
        seconds => Ok(seconds.min(expiry.max)),
    }
}

fn way(uri: &Uri, reg_id: Option<NonZeroU32>, context: &Context<'_>) -> Way {
    if context.flow.transport != Transport::Udp || reg_id.is_some() || context.has_path {
        return Way::Flow;
    }
    let host: Option<IpAddr> = uri.host().and_then(|host| host.ip());
    let same_host =
        host.map(|ip| ip.to_canonical()) == Some(context.flow.remote.ip().to_canonical());
    let transport = uri.param("transport");
    let stays_udp = !uri.is_sips() && transport.is_none_or(|t| t.eq_ignore_ascii_case("udp"));
    match (same_host, context.sender) {
        (true, _) if stays_udp => Way::ContactAddress,
        // It speaks for a contact elsewhere, or wants to be called over another transport.
        (true, _) | (false, Sender::AsItSays) => Way::Resolve,
        // Its addresses are behind a NAT and mean nothing here.
        (false, Sender::Elsewhere) => Way::Flow,
    }
}

/// `0.7` in thousandths.
fn read_q(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// RFC 3327 5.3: kept as it came, to be used as a route set.
fn read_path(request: &Request) -> Result<String, Fault> {
    let mut path = String::new();
    for value in request.headers.all(HeaderName::Path) {
        let value = str::from_utf8(value).map_err(|_| Fault::Malformed("Path is not UTF-8"))?;
        if !path.is_empty() {
            path.push_str(", ");
        }
        path.push_str(value);
    }
    if path.len() > PATH_MAX {
        return Err(Fault::Malformed("Path is too long"));
    }
    if !path.is_empty() {
        request.headers.path()?;
    }
    Ok(path)
}

fn short_hash(text: &str) -> u64 {
    let hash = Algorithm::Sha256.hash(&[text.as_bytes()]);
    let first = hash
        .as_bytes()
        .first_chunk()
        .expect("SHA-256 makes 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values_are_read_in_thousandths() {
        let cases = [
            ("1", Some(1000)),
            ("1.0", Some(1000)),
            ("0.5", Some(500)),
            ("0.123", Some(123)),
            ("0", Some(0)),
            ("1.1", None),
            ("0.1234", None),
            ("-1", None),
            ("x", None),
            ("0.x", None),
        ];
        for (text, q) in cases {
            assert_eq!(read_q(text), q, "{text}");
        }
    }
}
