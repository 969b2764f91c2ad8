//! Which calls must get through when the machine is full: those to whoever an emergency point calls.
//!
//! The SIP edge sees a Request-URI before anybody knows who calls, so it goes by the number dialled.

use std::collections::BTreeSet;

use model::{Address, Destination, Directory, Priority, StationKind};
use sip::admission::EmergencyMarks;

pub(crate) fn marks(directory: &Directory) -> EmergencyMarks {
    let mut users = BTreeSet::new();
    for station in directory.stations() {
        let own = station.kind == StationKind::EmergencyPoint || station.priority.is_alarm();
        for button in &station.buttons {
            if own || button.priority.is_some_and(Priority::is_alarm) {
                users.extend(dialled(&button.target, directory));
            }
        }
    }
    for target in &directory.site().escalation {
        users.extend(dialled(target, directory));
    }
    EmergencyMarks {
        users,
        ..EmergencyMarks::default()
    }
}

/// The user parts that lead to an address.
fn dialled(target: &Address, directory: &Directory) -> Vec<String> {
    let (number, account) = match directory.destination(target) {
        Some(Destination::Station(station)) => (station.number, station.account()),
        Some(Destination::RingGroup(group)) => (group.number, None),
        Some(Destination::Desk(desk)) => (desk.number, None),
        Some(Destination::Conference(room)) => (room.number, None),
        Some(Destination::GroupCall(room)) => (room.number, None),
        Some(Destination::EchoTest(_) | Destination::Elsewhere(_)) | None => return Vec::new(),
    };
    let account = account.map(|account| account.as_str().to_owned());
    account
        .into_iter()
        .chain([number.as_str().to_owned()])
        .collect()
}
