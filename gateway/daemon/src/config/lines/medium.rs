//! What a line runs over: exactly one medium, and one that its driver can use.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use net::lines::{Duplex, Electric, Level, Parity, SerialSettings};

use super::fields::{
    DriverWord, ElectricWord, LevelWord, LineSection, ParityWord, SerialSection, TcpSection,
    UnixSection,
};
use super::{LineTls, MediumSettings};
use crate::config::problems::{Place, Problems};
use crate::config::section::Located;
use crate::lines;

pub(super) fn medium(
    section: &Located<LineSection>,
    folder: &Path,
    remarks: &mut Vec<String>,
    problems: &mut Problems,
) -> MediumSettings {
    let given: Vec<&Place> = [
        section.serial.as_ref().map(|given| &given.place),
        section.tcp.as_ref().map(|given| &given.place),
        section.unix.as_ref().map(|given| &given.place),
        section.l1oip.as_ref().map(|given| &given.place),
        section.e1d.as_ref().map(|given| &given.place),
    ]
    .into_iter()
    .flatten()
    .collect();
    if section.driver.value == DriverWord::None {
        return MediumSettings::Nothing;
    }
    match given.as_slice() {
        [] => problems.report(
            &section.place,
            "it is not said what this line runs over",
            "add one of serial, tcp, unix, l1oip and e1d, such as serial = { device = \"/dev/ttyS0\" }",
        ),
        [_] => {}
        [_, second, ..] => problems.report(
            second,
            "a line runs over one thing only",
            "remove all but one of serial, tcp, unix, l1oip and e1d",
        ),
    }
    let isdn = section.driver.value == DriverWord::Isdn;
    let of_isdn = section.l1oip.is_some() || section.e1d.is_some();
    if let (Some(place), true) = (given.first(), isdn != of_isdn) {
        problems.report(
            place,
            "this driver does not run over that",
            "isdn runs over l1oip and e1d, the other drivers over serial, tcp and unix",
        );
    }
    if let Some(serial) = section.serial.as_ref() {
        return MediumSettings::Serial(settings_of_serial(serial, problems));
    }
    if let Some(tcp) = section.tcp.as_ref() {
        return over_tcp(tcp, folder, remarks, problems);
    }
    if let Some(unix) = section.unix.as_ref() {
        return over_unix(unix, folder, problems);
    }
    if let Some(l1oip) = section.l1oip.as_ref() {
        return MediumSettings::L1oip {
            bind: l1oip.bind.value,
            peer: l1oip.peer.value,
            identity: l1oip
                .identity
                .as_ref()
                .map(|identity| u32::try_from(identity.value.0).unwrap_or(u32::MAX)),
        };
    }
    if let Some(e1d) = section.e1d.as_ref() {
        return MediumSettings::E1d {
            socket: folder.join(&e1d.socket.value),
            interface: octet(e1d.interface.value.0),
            line: octet(e1d.line.value.0),
        };
    }
    MediumSettings::Nothing
}

/// The bounds of the field have been checked when it was read.
fn octet(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn settings_of_serial(section: &SerialSection, problems: &mut Problems) -> SerialSettings {
    let rs485 = |duplex| Electric::Rs485 {
        duplex,
        before_sending: *section.before_sending.0,
        after_sending: *section.after_sending.0,
        rts_while_sending: match section.rts_while_sending.value {
            LevelWord::High => Level::High,
            LevelWord::Low => Level::Low,
        },
    };
    for pause in [&section.before_sending, &section.after_sending] {
        if pause.as_millis() > 100 {
            problems.report(
                &pause.place,
                "the kernel keeps pauses of up to 100 ms",
                "choose \"0ms\" to \"100ms\"; 1 or 2 are usual",
            );
        }
    }
    SerialSettings {
        device: section.device.value.clone(),
        baud: u32::try_from(section.baud.value.0).unwrap_or(u32::MAX),
        parity: match section.parity.value {
            ParityWord::None => Parity::None,
            ParityWord::Even => Parity::Even,
            ParityWord::Odd => Parity::Odd,
        },
        electric: match section.electric.value {
            ElectricWord::Rs232 => Electric::Rs232,
            ElectricWord::Rs422 => Electric::Rs422,
            ElectricWord::Rs485 => rs485(Duplex::Half),
            ElectricWord::Rs485Full => rs485(Duplex::Full),
        },
    }
}

fn over_tcp(
    section: &Located<TcpSection>,
    folder: &Path,
    remarks: &mut Vec<String>,
    problems: &mut Problems,
) -> MediumSettings {
    let tls = tls(section, folder, problems);
    match (&section.connect.0, &section.listen.0) {
        (Some(connect), None) => {
            let to = connect.value;
            if tls.is_none() {
                remark_plain(to, remarks);
            }
            let name = match &section.server_name.0 {
                Some(name) => name.value.clone(),
                None => to.ip().to_string(),
            };
            let medium = MediumSettings::Connect {
                to,
                tls: tls.map(|tls| (tls, name)),
            };
            usable(&medium, section, problems);
            medium
        }
        (None, Some(listen)) => {
            let at = listen.value;
            if tls.is_none() {
                remark_plain(at, remarks);
            }
            if let Some(name) = section.server_name.as_ref() {
                problems.report(
                    &name.place,
                    "a name means something for `connect` only",
                    "remove it; who connects is known by its certificate",
                );
            }
            let medium = MediumSettings::Listen { at, tls };
            usable(&medium, section, problems);
            medium
        }
        (Some(_), Some(_)) | (None, None) => {
            one_way(&section.place, problems);
            MediumSettings::Nothing
        }
    }
}

fn one_way(place: &Place, problems: &mut Problems) {
    problems.report(
        place,
        "either we connect or the other end does",
        "keep one of `connect` and `listen`",
    );
}

fn remark_plain(address: SocketAddr, remarks: &mut Vec<String>) {
    let local = |ip: IpAddr| ip.is_loopback();
    if !local(address.ip()) {
        remarks.push(format!(
            "without TLS to or at {address}: whoever reaches it in the network can read and command \
             the line"
        ));
    }
}

fn tls(section: &Located<TcpSection>, folder: &Path, problems: &mut Problems) -> Option<LineTls> {
    let files = [
        &section.certificate.0,
        &section.key.0,
        &section.authorities.0,
    ];
    if section.plain.value {
        if let Some(file) = files.into_iter().flatten().next() {
            problems.report(
                &file.place,
                "a line without TLS needs no certificates",
                "remove it, or remove plain = true",
            );
        }
        return None;
    }
    let [Some(certificate), Some(key), Some(authorities)] = files else {
        problems.report(
            &section.place,
            "TLS needs a `certificate`, its `key` and the `authorities` of the other end",
            "add the three files; in a network of its own, plain = true does without",
        );
        return None;
    };
    let path = |file: &Located<std::path::PathBuf>| folder.join(&file.value);
    Some(LineTls {
        certificate: path(certificate),
        key: path(key),
        authorities: path(authorities),
    })
}

/// Certificates are read once before anything is opened.
fn usable(medium: &MediumSettings, section: &Located<TcpSection>, problems: &mut Problems) {
    if let Err(error) = lines::medium(medium) {
        problems.report(
            &section.place,
            format!("TLS cannot work here: {error:#}"),
            "correct the files, or let the user of the gateway read them",
        );
    }
}

fn over_unix(
    section: &Located<UnixSection>,
    folder: &Path,
    problems: &mut Problems,
) -> MediumSettings {
    match (&section.connect.0, &section.listen.0) {
        (Some(connect), None) => MediumSettings::ConnectUnix(folder.join(&connect.value)),
        (None, Some(listen)) => MediumSettings::ListenUnix(folder.join(&listen.value)),
        (Some(_), Some(_)) | (None, None) => {
            one_way(&section.place, problems);
            MediumSettings::Nothing
        }
    }
}
