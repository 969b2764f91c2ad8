//! Who is who on a line: callers and those who are called, in the numbers of either side.

use calls::Origin;
use legacy_protocols::command::{CallSetup, Cause, Verdict};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::text::Text;
use model::{Address, CallNumber, Pii, Reach, StationId};

use super::LineId;
use crate::state::Exchange;

/// Why a call is not let in from a line.
pub(super) struct Refused {
    pub(super) verdict: Verdict,
    pub(super) cause: Cause,
    pub(super) why: &'static str,
}

pub(super) const UNKNOWN_SYSTEM: Refused = Refused {
    verdict: Verdict::NodeUnreachable,
    cause: Cause(2),
    why: "no such system here; write it into the line's configuration",
};

impl Exchange {
    pub(super) fn caller_by_line(&self, line: LineId, setup: &CallSetup) -> Option<Origin> {
        if let Some(station) = self.station_behind(line, setup.from) {
            return Some(Origin::Station(station.id));
        }
        let server = self.lines.get(line)?.server_numbered(setup.from.node)?;
        let name = setup.text.as_ref().map_or("", Text::as_str);
        let party = model::Party {
            station: None,
            address: Some(remote(server.node, setup.from.number)?),
            name: Pii::new(name.to_owned()),
        };
        Some(Origin::Node {
            node: server.node,
            party,
        })
    }

    /// Whom the other end means: a channel's target, a number of ours, or a station behind another
    /// line.
    pub(super) fn dialled_by_line(&self, line: LineId, to: Party) -> Result<Address, Refused> {
        let ours = self.lines.get(line).ok_or(UNKNOWN_SYSTEM)?;
        if to.node == ours.config.numbering.own {
            let dialled = to.number.to_string();
            let mut targets = ours.config.targets.iter();
            if let Some(target) = targets.find(|target| target.number.as_str() == dialled) {
                return Ok(target.to.clone());
            }
            let number = ours.our_number(to).ok_or(Refused {
                verdict: Verdict::NoSuchNumber,
                cause: Cause(28),
                why: "the number has more digits than any here",
            })?;
            return Ok(self.with_block(number));
        }
        if ours.server_numbered(to.node).is_some() {
            return Err(Refused {
                verdict: Verdict::Loop,
                cause: Cause(25),
                why: "the call would go back where it comes from",
            });
        }
        let others = self.lines.all().filter(|(id, _)| *id != line);
        let mut parties = others.filter_map(|(id, _)| self.address_behind(id, to));
        parties.next().ok_or(UNKNOWN_SYSTEM)
    }

    /// Somebody behind a line: by its number here, where the directory has one.
    pub(super) fn address_behind(&self, line: LineId, party: Party) -> Option<Address> {
        if let Some(station) = self.station_behind(line, party) {
            return Some(Address::Local(station.number));
        }
        let server = self.lines.get(line)?.server_numbered(party.node)?;
        remote(server.node, party.number)
    }

    /// A dialled number that nobody has here may be one of another system, or begin with its block
    /// number.
    pub(crate) fn with_block(&self, number: CallNumber) -> Address {
        if self.directory.by_number(number).is_some() {
            return Address::Local(number);
        }
        let dialled = number.as_str();
        let servers = self.lines.all().flat_map(|(_, line)| line.config.servers());
        let meant = servers.filter_map(|server| {
            let block = server.block?;
            let rest = dialled.strip_prefix(block.as_str())?;
            let number = CallNumber::parse(rest).ok()?;
            Some((block.len(), server.node, number))
        });
        let neighbours = self.config.neighbours.iter().filter_map(|neighbour| {
            let (length, number) = neighbour.meant(number)?;
            Some((length, neighbour.node, number))
        });
        match meant.chain(neighbours).max_by_key(|(length, ..)| *length) {
            Some((_, node, number)) => Address::Remote { node, number },
            None => Address::Local(number),
        }
    }

    /// How a line calls somebody whom the engine shows as calling.
    pub(super) fn party_shown(&self, line: LineId, party: &model::Party) -> Party {
        let known = party.station.and_then(|id| self.party_of_station(line, id));
        let address = || self.party_of_address(line, party.address.as_ref()?);
        let nobody = || Party {
            node: self.own_node(line),
            number: Number::SERVER,
        };
        known.or_else(address).unwrap_or_else(nobody)
    }

    pub(super) fn party_of_station(&self, line: LineId, id: StationId) -> Option<Party> {
        let behind = self.party_behind(line, id);
        let station = self.directory.station(id)?;
        let ours = || {
            let numbering = &self.lines.get(line)?.config.numbering;
            numbering.party(station.number)
        };
        behind.or_else(ours)
    }

    /// A station behind this line, as it is called at home.
    pub(super) fn party_behind(&self, line: LineId, id: StationId) -> Option<Party> {
        let station = self.directory.station(id)?;
        match station.reach {
            Reach::Behind(node) => self.lines.get(line)?.server(node)?.party(station.number),
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => None,
        }
    }

    pub(super) fn party_of_address(&self, line: LineId, address: &Address) -> Option<Party> {
        let config = &self.lines.get(line)?.config;
        match address {
            Address::Local(number) => config.numbering.party(*number),
            Address::Remote { node, number } => {
                let mut servers = self.lines.all().flat_map(|(_, line)| line.config.servers());
                let server = servers.find(|server| server.node == *node)?;
                Some(Party {
                    node: server.number,
                    number: Number::new(number.as_str()).ok()?,
                })
            }
            // A telephone number is longer than any here.
            Address::Sip(uri) => {
                let user = uri.as_str().split(['@', ':', ';']).nth(1)?;
                Some(Party {
                    node: config.numbering.own,
                    number: Number::new(user).ok()?,
                })
            }
            Address::CloudUser(_) | Address::Group(_) | Address::Desk(_) => None,
        }
    }

    fn own_node(&self, line: LineId) -> Node {
        let line = self.lines.get(line);
        line.map(|line| line.config.numbering.own)
            .unwrap_or_default()
    }
}

fn remote(node: model::NodeId, number: Number) -> Option<Address> {
    let number = CallNumber::parse(&number.to_string()).ok()?;
    Some(Address::Remote { node, number })
}
