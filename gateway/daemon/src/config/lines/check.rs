//! One line: from its section to what the machine is told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exchange::{
    ChannelTarget, Driver, LineConfig, LineSound, LinkKind, Numbering, PrefixMap, Room, Server,
    Trunk, Trusted,
};
use legacy_protocols::command::{Authority, GroupRef};
use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::session::{Config as IsdnLine, Dialect};
use legacy_protocols::number::Node;
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port;
use legacy_protocols::table::Outputs;
use legacy_protocols::{acdp, isdn};
use model::{Address, CallNumber, Destination, Directory, NodeId, StationId};

use super::fields::{
    DialectWord, DriverWord, InterfaceWord, LineSection, LinkWord, SideWord, SoundWord,
    TrustedSection,
};
use super::medium::medium;
use super::rules;
use super::values::PrefixPair;
use super::{LineSettings, MediumSettings};
use crate::config::driver;
use crate::config::problems::{Place, Problems};
use crate::config::section::{Defaulted, Located, Optional, Repeated};
use crate::config::settings::DirectorySettings;
use crate::config::values::Secret;

/// More lines than any house has; ids have room for many more.
const MOST_LINES: usize = 256;
/// In which time all stations of a line may be tested.
const SHORTEST_ROUND: Duration = Duration::from_secs(10);
const LONGEST_ROUND: Duration = Duration::from_hours(24);

/// The lines; meaningless if anything was reported.
pub(crate) fn settings(
    sections: &Repeated<LineSection>,
    name: &str,
    directory: &DirectorySettings,
    folder: &Path,
    problems: &mut Problems,
) -> Vec<LineSettings> {
    if let Some(too_many) = sections.get(MOST_LINES) {
        problems.report(
            &too_many.place,
            format!("more than {MOST_LINES} lines"),
            "use another gateway for the others",
        );
    }
    rules::judge(sections, directory, problems);
    let mut reading = Reading {
        name,
        directory: &directory.directory,
        folder,
        problems,
    };
    sections.iter().map(|line| reading.line(line)).collect()
}

struct Reading<'a> {
    /// Of this gateway; shown at the other ends.
    name: &'a str,
    directory: &'a Directory,
    folder: &'a Path,
    problems: &'a mut Problems,
}

impl Reading<'_> {
    fn line(&mut self, section: &Located<LineSection>) -> LineSettings {
        let mut remarks = Vec::new();
        let medium = medium(section, self.folder, &mut remarks, self.problems);
        let driver = self.driver(section, &medium);
        if let Driver::Missing { why } = &driver {
            remarks.push(why.clone());
        }
        remarks.extend(rules::version_remark(section));
        let node = Server {
            block: section.block.as_ref().map(|block| block.value),
            prefixes: self.prefixes(&section.prefixes),
            ..Server::new(
                NodeId::from_key(&section.name),
                system(section.system.value.0),
            )
        };
        let numbering = Numbering {
            prefixes: self.prefixes(&section.own_prefixes),
            ..Numbering::new(system(section.own_system.value.0))
        };
        let config = LineConfig {
            kind: kind(section.kind.value),
            port: port::Config {
                opening: opening(&medium),
                answer_within: *section.answer_within.0,
                ..port::Config::default()
            },
            further_nodes: self.further_nodes(section),
            sound: self.sound(section),
            peer: peer(&medium),
            targets: targets(section),
            desk: section.desk.as_ref().and_then(|desk| self.desk(desk)),
            authority: self.authority(&section.authority, &section.authority_file),
            trusted: section
                .trusted
                .iter()
                .filter_map(|one| self.trusted(one))
                .collect(),
            rooms: self.rooms(section),
            surveillance: self.surveillance(section, &driver),
            ..LineConfig::new(&section.name, driver, node, numbering)
        };
        LineSettings {
            config,
            medium,
            version: section
                .version
                .as_ref()
                .map(|version| version.value.to_string()),
            remarks: remarks
                .into_iter()
                .map(|remark| format!("line \"{}\": {remark}", section.name.value))
                .collect(),
        }
    }

    fn prefixes(&mut self, pairs: &Defaulted<Vec<Located<PrefixPair>>>) -> PrefixMap {
        let both = pairs
            .iter()
            .map(|pair| (pair.ours.as_str(), pair.theirs.as_str()));
        PrefixMap::new(both).unwrap_or_else(|error| {
            self.problems.report(
                &pairs.place,
                error.to_string(),
                "give each prefix of either side once",
            );
            PrefixMap::default()
        })
    }

    fn further_nodes(&mut self, section: &LineSection) -> Vec<Server> {
        let mut servers = Vec::new();
        for server in section.further_servers.iter() {
            servers.push(Server {
                block: server.block.as_ref().map(|block| block.value),
                prefixes: self.prefixes(&server.prefixes),
                ..Server::new(
                    NodeId::from_key(&server.name),
                    system(server.system.value.0),
                )
            });
        }
        servers
    }

    fn driver(&mut self, section: &Located<LineSection>, medium: &MediumSettings) -> Driver {
        let (own, other) = (
            system(section.own_system.value.0),
            system(section.system.value.0),
        );
        match section.driver.value {
            DriverWord::None => Driver::Missing {
                why: format!(
                    "no driver speaks on this {} line; its wire format is not public, or none was \
                     chosen",
                    kind(section.kind.value).name()
                ),
            },
            DriverWord::Versicle => Driver::Versicle(match medium {
                MediumSettings::Serial(_) => {
                    open_link::Config::serial(Role::Gateway, own, other, self.name)
                }
                _ => open_link::Config::tcp(Role::Gateway, own, other, self.name),
            }),
            DriverWord::Acdp => self.acdp(section),
            DriverWord::Isdn => Driver::Isdn(Box::new(isdn::port::Config {
                line: self.isdn(section),
                own,
                other,
                whole_number: section
                    .isdn
                    .whole_number
                    .as_ref()
                    .and_then(|digits| usize::try_from(digits.value.0).ok()),
                seed: 0,
            })),
            DriverWord::Table => self.table(section),
        }
    }

    fn acdp(&mut self, section: &Located<LineSection>) -> Driver {
        let mut device = |system: &Located<_>, device: u64| {
            let crate::config::values::Whole::<1, 65534>(number) = system.value;
            // Node 255 stands for all of them.
            let node = u8::try_from(number).ok().filter(|node| *node < 255);
            if node.is_none() {
                self.problems.report(
                    &system.place,
                    format!("{number} is no node of ACDP"),
                    "give 1 to 254",
                );
            }
            acdp::Device {
                node: node.unwrap_or(1),
                device: u8::try_from(device).unwrap_or(u8::MAX),
            }
        };
        Driver::Acdp(acdp::Config {
            own: device(&section.own_system, section.acdp.own_device.value.0),
            server: device(&section.system, section.acdp.server_device.value.0),
            checksum: match section.acdp.checksum_optional.value {
                true => acdp::Checksum::Optional,
                false => acdp::Checksum::Required,
            },
            hops: u8::try_from(section.acdp.hops.value.0).unwrap_or(u8::MAX),
        })
    }

    fn isdn(&mut self, section: &LineSection) -> IsdnLine {
        let isdn = &section.isdn;
        let side = match isdn.side.value {
            SideWord::User => Side::User,
            SideWord::Network => Side::Network,
        };
        let dialect = match isdn.dialect.value {
            DialectWord::Dss1 => Dialect::Dss1,
            DialectWord::Qsig => Dialect::Qsig,
        };
        let usual = match section.kind.value {
            LinkWord::S0 => InterfaceWord::Basic,
            _ => InterfaceWord::Primary,
        };
        match isdn.interface.as_ref().map_or(usual, |given| given.value) {
            InterfaceWord::Basic => {
                let topology = match isdn.bus.value {
                    true => Topology::PointToMultipoint,
                    false => Topology::PointToPoint,
                };
                IsdnLine {
                    dialect,
                    ..IsdnLine::basic_rate(side, topology)
                }
            }
            InterfaceWord::Primary => {
                if isdn.bus.value {
                    self.problems.report(
                        &isdn.bus.place,
                        "a primary rate line is no bus",
                        "remove it, or write interface = \"basic\"",
                    );
                }
                IsdnLine::primary_rate(side, dialect)
            }
        }
    }

    fn table(&mut self, section: &Located<LineSection>) -> Driver {
        let table = &section.table;
        let outputs = match table.outputs_enabled.value {
            true => Outputs::Enabled,
            false => Outputs::Refused,
        };
        let manifest = match (&table.file.0, &table.preset.0) {
            (Some(file), None) => {
                if table.outputs_enabled.value {
                    self.problems.report(
                        &table.outputs_enabled.place,
                        "a file says itself whether it may drive outputs",
                        "write outputs_enabled = true under [limits] in that file",
                    );
                }
                driver::load(&self.folder.join(&file.value), self.problems)
            }
            (None, Some(preset)) => {
                let found = driver::preset(preset, outputs);
                if found.is_none() {
                    self.problems.report(
                        &preset.place,
                        format!("there is no preset \"{}\"", preset.value),
                        "`antiphon-gateway driver --presets` lists them",
                    );
                }
                found.map(Arc::new)
            }
            (Some(_), Some(_)) | (None, None) => {
                self.problems.report(
                    &section.place,
                    "a driver \"table\" is a file or a preset",
                    "give table = { file = \"FILE.toml\" } or table = { preset = \"NAME\" }",
                );
                None
            }
        };
        match manifest {
            Some(manifest) => Driver::Table(manifest),
            // It has been reported why.
            None => Driver::Missing {
                why: "the driver's file cannot be used".to_owned(),
            },
        }
    }

    fn sound(&mut self, section: &Located<LineSection>) -> LineSound {
        let driver = section.driver.value;
        let usual = match driver {
            DriverWord::Versicle => SoundWord::Rtp,
            DriverWord::Isdn => SoundWord::Channels,
            DriverWord::Acdp | DriverWord::Table | DriverWord::None => SoundWord::None,
        };
        let word = section.sound.as_ref().map_or(usual, |given| given.value);
        let fits = match word {
            SoundWord::Rtp => driver == DriverWord::Versicle,
            SoundWord::Channels => driver == DriverWord::Isdn,
            SoundWord::Sip | SoundWord::None => true,
        };
        if let (Some(given), false) = (section.sound.as_ref(), fits) {
            self.problems.report(
                &given.place,
                "this driver has no such sound",
                "\"rtp\" is for versicle, \"channels\" for isdn; leave it out, or write \"sip\" or \
                 \"none\"",
            );
        }
        match (word, section.trunk.as_ref()) {
            (SoundWord::Sip, Some(trunk)) => LineSound::Sip(Trunk {
                host: trunk.value,
                transport: sip::flow::Transport::Udp,
            }),
            (SoundWord::Sip, None) => {
                self.problems.report(
                    &section.place,
                    "sound = \"sip\" needs a `trunk`",
                    "add trunk = \"ADDRESS:5060\", where the server takes calls",
                );
                LineSound::None
            }
            (SoundWord::Rtp | SoundWord::Channels | SoundWord::None, Some(trunk)) => {
                self.problems.report(
                    &trunk.place,
                    "a `trunk` means something for sound = \"sip\" only",
                    "remove it, or write sound = \"sip\"",
                );
                LineSound::None
            }
            (SoundWord::Rtp, None) => LineSound::Rtp,
            (SoundWord::Channels, None) => LineSound::Channels,
            (SoundWord::None, None) => LineSound::None,
        }
    }

    fn desk(&mut self, desk: &Located<CallNumber>) -> Option<model::DeskId> {
        match self.directory.by_number(desk.value) {
            Some(Destination::Desk(found)) => Some(found.id),
            Some(_) | None => {
                self.missing(&desk.place, desk.value, "desk");
                None
            }
        }
    }

    fn missing(&mut self, place: &Place, number: CallNumber, what: &str) {
        self.problems.report(
            place,
            format!("{number} is no {what} of the directory"),
            format!("give the number of a {what}, or add one to the directory"),
        );
    }

    fn authority(
        &mut self,
        token: &Optional<Secret>,
        file: &Optional<std::path::PathBuf>,
    ) -> Authority {
        let (place, token) = match (token.as_ref(), file.as_ref()) {
            (None, None) => return Authority::default(),
            (Some(token), None) => (&token.place, Some(token.value.expose().to_owned())),
            (None, Some(file)) => (&file.place, self.first_line(file)),
            (Some(_), Some(file)) => {
                self.problems.report(
                    &file.place,
                    "the token is given twice",
                    "remove `authority` or `authority_file`",
                );
                return Authority::default();
            }
        };
        let token = token.unwrap_or_default();
        Authority::new(token.as_bytes()).unwrap_or_else(|| {
            self.problems.report(
                place,
                format!("the token is longer than {} octets", Authority::MOST_OCTETS),
                "choose a shorter one",
            );
            Authority::default()
        })
    }

    fn first_line(&mut self, file: &Located<std::path::PathBuf>) -> Option<String> {
        let path = self.folder.join(&file.value);
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let line = text.map(|text| text.lines().next().unwrap_or_default().to_owned());
        let why = match line {
            Ok(line) if !line.is_empty() => return Some(line),
            Ok(_) => "its first line is empty".to_owned(),
            Err(error) => error,
        };
        self.problems.report(
            &file.place,
            format!("{} holds no token: {why}", path.display()),
            "write the token there, and let the user of the gateway read it",
        );
        None
    }

    fn trusted(&mut self, section: &Located<TrustedSection>) -> Option<Trusted> {
        let authority = self.authority(&section.authority, &section.authority_file);
        if section.authority.is_none() && section.authority_file.is_none() {
            self.problems.report(
                &section.place,
                "without a token anybody could be this one",
                "add authority_file = \"FILE\"",
            );
        }
        let station = self.station(&section.station)?;
        Some(Trusted { authority, station })
    }

    fn station(&mut self, number: &Located<CallNumber>) -> Option<StationId> {
        match self.directory.station_by_number(number.value) {
            Some(station) => Some(station.id),
            None => {
                self.missing(&number.place, number.value, "station");
                None
            }
        }
    }

    fn surveillance(&mut self, section: &LineSection, driver: &Driver) -> Option<Duration> {
        let period = section.surveillance.as_ref()?;
        if !(SHORTEST_ROUND..=LONGEST_ROUND).contains(&period.value) {
            self.problems.report(
                &period.place,
                "stations cannot be tested so often, or so seldom",
                "give \"10s\" to \"1d\"; \"60s\" is usual",
            );
        }
        // Why nobody speaks there has been said.
        if !driver.can_test() && !matches!(driver, Driver::Missing { .. }) {
            self.problems.report(
                &period.place,
                format!("the driver \"{}\" has no word for a test", driver.name()),
                "remove it; the server may test its stations itself and tell their faults",
            );
        }
        Some(period.value)
    }

    fn rooms(&mut self, section: &LineSection) -> Vec<Room> {
        let mut rooms = Vec::new();
        for room in section.rooms.iter() {
            let number = room.number.value;
            let found = self.directory.by_number(number);
            if !matches!(
                found,
                Some(Destination::Conference(_) | Destination::GroupCall(_))
            ) {
                self.missing(&room.number.place, number, "conference or group call");
            }
            rooms.push(Room {
                group: GroupRef(u16::try_from(room.group.value.0).unwrap_or(u16::MAX)),
                number,
            });
        }
        rooms
    }
}

/// The bounds of the field have been checked when it was read.
fn system(number: u64) -> Node {
    Node(u16::try_from(number).unwrap_or(u16::MAX))
}

fn targets(section: &LineSection) -> Vec<ChannelTarget> {
    let target = |channel: &Located<super::fields::ChannelSection>| ChannelTarget {
        number: channel.number.value,
        to: Address::Local(channel.to.value),
    };
    section.channels.iter().map(target).collect()
}

fn opening(medium: &MediumSettings) -> port::Opening {
    match medium {
        MediumSettings::Listen { .. } | MediumSettings::ListenUnix(_) => port::Opening::Theirs,
        MediumSettings::Nothing
        | MediumSettings::Serial(_)
        | MediumSettings::Connect { .. }
        | MediumSettings::ConnectUnix(_)
        | MediumSettings::L1oip { .. }
        | MediumSettings::E1d { .. } => port::Opening::Ours,
    }
}

fn peer(medium: &MediumSettings) -> Option<std::net::IpAddr> {
    match medium {
        MediumSettings::Connect { to, .. } => Some(to.ip()),
        MediumSettings::L1oip { peer, .. } => Some(peer.ip()),
        MediumSettings::Nothing
        | MediumSettings::Serial(_)
        | MediumSettings::Listen { .. }
        | MediumSettings::ConnectUnix(_)
        | MediumSettings::ListenUnix(_)
        | MediumSettings::E1d { .. } => None,
    }
}

fn kind(word: LinkWord) -> LinkKind {
    match word {
        LinkWord::Net => LinkKind::Net,
        LinkWord::Lan => LinkKind::Lan,
        LinkWord::Gev => LinkKind::Gev,
        LinkWord::CnetW => LinkKind::CnetW,
        LinkWord::CnetE1 => LinkKind::CnetE1,
        LinkWord::S0 => LinkKind::S0,
        LinkWord::Other => LinkKind::Other,
    }
}
