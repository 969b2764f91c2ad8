//! Who calls whom: names of SIP on one side, of the directory on the other.
//!
//! An identity is believed only when it was proved: by digest, by the address of a device that the
//! directory reaches directly, or by a peer that the configuration trusts. Everybody else is an
//! outsider, whatever their From says.

use model::{Address, CallNumber, Directory, Party, Pii, Reach, SipUri, Station};
use sip::admission::Network;
use sip::message::{Host, NameAddr, Uri};
use sip::session::Incoming;

use calls::Origin;

/// Who is behind an arriving INVITE.
pub(crate) fn origin(incoming: &Incoming, directory: &Directory, trusted: &[Network]) -> Origin {
    match station_of(incoming, directory, trusted) {
        Some(station) => Origin::Station(station.id),
        None => Origin::Outside {
            address: SipUri::parse(incoming.from.uri.without_headers().as_str())
                .ok()
                .map(Address::Sip),
            name: Pii::new(incoming.from.display().into_owned()),
        },
    }
}

fn station_of<'a>(
    incoming: &Incoming,
    directory: &'a Directory,
    trusted: &[Network],
) -> Option<&'a Station> {
    if let Some(account) = &incoming.account {
        return directory.station_by_account(account);
    }
    let user = incoming.from.uri.user_unescaped()?;
    let named = directory.station_by_account(&user).or_else(|| {
        let number = CallNumber::parse(&user).ok()?;
        directory.station_by_number(number)
    })?;
    let source = incoming.flow.remote.ip();
    let proved = trusted.iter().any(|network| network.contains(source))
        || directly_reached_at(named).and_then(|host| host.ip()) == Some(source);
    proved.then_some(named)
}

fn directly_reached_at(station: &Station) -> Option<Host> {
    match &station.reach {
        Reach::Direct(uri) => Uri::parse(uri.as_str().as_bytes()).ok()?.host().cloned(),
        Reach::Account(_) | Reach::Behind(_) | Reach::User(_) => None,
    }
}

/// Whom a Request-URI means: a number of ours, or the account of a station. Nothing else: the
/// gateway is no relay to the outside.
pub(crate) fn dialled(uri: &Uri, directory: &Directory) -> Option<Address> {
    let user = uri.user_unescaped()?;
    if let Ok(number) = CallNumber::parse(&user) {
        return Some(Address::Local(number));
    }
    let station = directory.station_by_account(&user)?;
    Some(Address::Local(station.number))
}

/// How a party is shown to the one who is called.
pub(crate) fn shown(party: &Party, directory: &Directory, domain: &Host) -> NameAddr {
    let station = party.station.and_then(|id| directory.station(id));
    let number = match (&party.address, station) {
        (_, Some(station)) => Some(station.number.as_str().to_owned()),
        (Some(Address::Local(number) | Address::Remote { number, .. }), None) => {
            Some(number.as_str().to_owned())
        }
        (Some(Address::Sip(uri)), None) => Uri::parse(uri.as_str().as_bytes())
            .ok()
            .and_then(|uri| uri.user().map(str::to_owned)),
        (Some(Address::CloudUser(user)), None) => {
            let reach = Reach::User(*user);
            let mut stations = directory.stations().iter();
            let hers = stations.find(|station| station.reach == reach);
            hers.map(|station| station.number.as_str().to_owned())
        }
        (Some(Address::Group(_) | Address::Desk(_)) | None, None) => None,
    };
    let user = number.as_deref().unwrap_or("anonymous");
    NameAddr::new(Uri::sip(Some(user), domain, None)).with_display(party.name.reveal())
}
