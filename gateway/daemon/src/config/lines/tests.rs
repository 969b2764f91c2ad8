use exchange::{Driver, LineSound, LinkKind};
use legacy_protocols::port::Opening;
use net::lines::{Duplex, Electric, Level, Parity};

use super::MediumSettings;
use crate::config::{ConfigErrors, Settings, load_with};

const HOUSE: &str = r#"name = "house"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:0"
[[directory.stations]]
number = "101"
uri = "sip:desk@192.0.2.1"
[[directory.ring_groups]]
number = "200"
members = ["101"]
[[directory.desks]]
number = "500"
positions = ["101"]
[[directory.conferences]]
number = "600"
"#;

fn loaded(more: &str) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, format!("{HOUSE}{more}")).unwrap();
    std::fs::write(folder.path().join("token"), "let me in\nnot this\n").unwrap();
    let driver = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/drivers/openwebnet-commands.toml");
    std::fs::copy(driver, folder.path().join("driver.toml")).unwrap();
    load_with(&file, &|_| None)
}

#[track_caller]
fn good(more: &str) -> Settings {
    loaded(more).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The configuration has exactly this one mistake.
#[track_caller]
fn one_complaint(more: &str, path: &str, what: &str) {
    let Err(ConfigErrors(found)) = loaded(more) else {
        panic!("no complaint about\n{more}");
    };
    let [only] = found.as_slice() else {
        panic!("expected one complaint, got {found:#?}");
    };
    assert!(only.line > HOUSE.lines().count(), "{only}");
    assert_eq!(only.path, path, "{only}");
    assert!(only.what.contains(what), "{only}");
}

#[test]
fn a_line_with_a_serial_device_has_everything_it_needs() {
    let settings = good(
        r##"
[[directory.stations]]
number = "7101"
behind = "hall"
[[directory.stations]]
number = "8101"
behind = "annex"
[[line]]
name = "hall"
kind = "NET"
driver = "versicle"
system = 3
own_system = 99
prefixes = ["7="]
block = "7"
desk = "500"
authority_file = "token"
version = "PRO 800 6.4 build 3"
serial = { device = "/dev/ttyS1", baud = 19200, parity = "even", electric = "rs485", rts_while_sending = "low" }
[[line.further_servers]]
name = "annex"
system = 4
prefixes = ["8="]
[[line.trusted]]
authority = "from the desk"
station = "101"
[[line.rooms]]
group = 1
number = "600"
"##,
    );
    let [line] = settings.lines.as_slice() else {
        panic!("{:?}", settings.lines);
    };
    let MediumSettings::Serial(serial) = &line.medium else {
        panic!("{:?}", line.medium);
    };
    assert_eq!((serial.baud, serial.parity), (19_200, Parity::Even));
    assert!(matches!(
        serial.electric,
        Electric::Rs485 {
            duplex: Duplex::Half,
            rts_while_sending: Level::Low,
            ..
        }
    ));
    let config = &line.config;
    assert!(matches!(config.driver, Driver::Versicle(_)));
    assert_eq!(config.sound, LineSound::Rtp);
    assert_eq!((config.node.number.0, config.numbering.own.0), (3, 99));
    assert_eq!(config.further_nodes.len(), 1);
    assert_eq!(config.authority.as_bytes(), b"let me in");
    assert_eq!(config.trusted[0].authority.as_bytes(), b"from the desk");
    assert_eq!(config.port.opening, Opening::Ours);
    assert!(config.desk.is_some());
    assert!(line.remarks.is_empty(), "{:?}", line.remarks);
    let directory = &settings.directory.directory;
    let station = directory.station_by_number(model::CallNumber::parse("7101").unwrap());
    assert_eq!(
        station.unwrap().reach,
        model::Reach::Behind(config.node.node)
    );
}

#[test]
fn a_link_kind_without_a_driver_is_valid_and_says_so() {
    for (word, kind) in [
        ("NET", LinkKind::Net),
        ("LAN", LinkKind::Lan),
        ("GEV", LinkKind::Gev),
        ("CNET-W", LinkKind::CnetW),
        ("CNET-E1", LinkKind::CnetE1),
        ("S0", LinkKind::S0),
        ("other", LinkKind::Other),
    ] {
        let settings = good(&format!("[[line]]\nname = \"x\"\nkind = \"{word}\"\n"));
        let line = &settings.lines[0];
        assert_eq!(line.config.kind, kind);
        assert!(matches!(line.config.driver, Driver::Missing { .. }));
        assert_eq!(line.medium, MediumSettings::Nothing);
        let remarks = settings.remarks().join("\n");
        assert!(
            remarks.contains(&format!("no driver speaks on this {word} line")),
            "{remarks}"
        );
    }
}

#[test]
fn tables_come_from_files_and_presets() {
    let line = "[[line]]\nname = \"x\"\nkind = \"other\"\ndriver = \"table\"\n\
                tcp = { connect = \"127.0.0.1:20000\", plain = true }\n";
    for table in [
        "{ file = \"driver.toml\" }",
        "{ preset = \"openwebnet-commands\", outputs_enabled = true }",
    ] {
        let settings = good(&format!("{line}table = {table}\n"));
        let Driver::Table(manifest) = &settings.lines[0].config.driver else {
            panic!("{table}");
        };
        assert_eq!(manifest.transmit.len(), 1);
    }
    let head = "line[0]";
    one_complaint(
        &format!("{line}table = {{ preset = \"icx\" }}"),
        "line[0].table.preset",
        "no preset",
    );
    one_complaint(line, head, "a file or a preset");
    one_complaint(
        &format!("{line}table = {{ file = \"driver.toml\", outputs_enabled = true }}"),
        "line[0].table.outputs_enabled",
        "says itself",
    );
}

#[test]
fn a_driver_file_with_a_mistake_is_told_with_its_own_line() {
    let line = "[[line]]\nname = \"x\"\nkind = \"other\"\ndriver = \"table\"\n\
                unix = { connect = \"s\" }\ntable = { file = \"broken.toml\" }\n";
    let Err(ConfigErrors(found)) = loaded(line) else {
        panic!("a file that is not there was taken");
    };
    assert!(found[0].to_string().contains("broken.toml"), "{}", found[0]);
}

#[test]
fn every_mistake_of_a_line_has_its_place() {
    let line = |more: &str| {
        format!("[[line]]\nname = \"x\"\nkind = \"LAN\"\ndriver = \"versicle\"\n{more}\n")
    };
    for (more, path, what) in [
        ("", "line[0]", "what this line runs over"),
        (
            "unix = { connect = \"a\" }\nserial = { device = \"b\" }",
            "line[0].unix",
            "one thing only",
        ),
        (
            "unix = { connect = \"a\", listen = \"b\" }",
            "line[0].unix",
            "the other end does",
        ),
        (
            "tcp = { connect = \"127.0.0.1:1\" }",
            "line[0].tcp",
            "TLS needs",
        ),
        (
            "tcp = { listen = \"127.0.0.1:1\", plain = true, key = \"k\" }",
            "line[0].tcp.key",
            "needs no certificates",
        ),
        (
            "l1oip = { bind = \"127.0.0.1:1\", peer = \"127.0.0.1:2\" }",
            "line[0].l1oip",
            "does not run over",
        ),
        (
            "unix = { connect = \"a\" }\nsound = \"channels\"",
            "line[0].sound",
            "no such sound",
        ),
        (
            "unix = { connect = \"a\" }\nsound = \"sip\"",
            "line[0]",
            "needs a `trunk`",
        ),
        (
            "unix = { connect = \"a\" }\nprefixes = [\"x=1\"]",
            "line[0].prefixes[0]",
            "up to 8 digits",
        ),
        (
            "unix = { connect = \"a\" }\nprefixes = [\"1=2\", \"1=3\"]",
            "line[0].prefixes",
            "given twice",
        ),
        (
            "unix = { connect = \"a\" }\ndesk = \"200\"",
            "line[0].desk",
            "no desk",
        ),
        (
            "unix = { connect = \"a\" }\nsystem = 250",
            "line[0].system",
            "is ours already",
        ),
        (
            "unix = { connect = \"a\" }\n[[line.trusted]]\nstation = \"101\"",
            "line[0].trusted[0]",
            "anybody could be",
        ),
        (
            "unix = { connect = \"a\" }\n[[line.rooms]]\nnumber = \"101\"\ngroup = 1",
            "line[0].rooms[0].number",
            "conference or group call",
        ),
        (
            "unix = { connect = \"a\" }\nauthority_file = \"none\"",
            "line[0].authority_file",
            "no token",
        ),
    ] {
        one_complaint(&line(more), path, what);
    }
}

#[test]
fn stations_are_behind_lines_that_exist() {
    one_complaint(
        "[[directory.stations]]\nnumber = \"7101\"\nbehind = \"hal\"\n\
         [[line]]\nname = \"hall\"\nkind = \"LAN\"\n",
        "directory.stations[1].behind",
        "is called \"hal\"",
    );
    one_complaint(
        "[[line]]\nname = \"x\"\nkind = \"LAN\"\n[[line]]\nname = \"x\"\nkind = \"LAN\"\n",
        "line[1].name",
        "already",
    );
}

fn bridge(name: &str, more: &str) -> String {
    format!(
        "[[line]]\nname = \"{name}\"\nkind = \"S0\"\nserver = \"gateway_side\"\nversion = \"11.1.6\"\n{more}\n"
    )
}

#[test]
fn b6_fourteen_cards_in_one_server_instance() {
    good(&(bridge("a", "cards = 10") + &bridge("b", "cards = 4")));
    one_complaint(
        &(bridge("a", "cards = 10") + &bridge("b", "cards = 5")),
        "line[1].cards",
        "15 bridge cards; 14 can be used",
    );
    one_complaint(
        &(bridge("a", "cards = 1") + &bridge("b", "cards = 1\nsystem = 2")),
        "line[1].cards",
        "in one server instance",
    );
    one_complaint(
        "[[line]]\nname = \"a\"\nkind = \"S0\"\ncards = 1\n",
        "line[0].cards",
        "in the gateway-side server only",
    );
}

#[test]
fn b6_a_channel_reaches_one_station_or_one_ring_group() {
    let channel = |number: &str, to: &str| {
        format!("[[line.channels]]\nnumber = \"{number}\"\nto = \"{to}\"\n")
    };
    let settings = good(&(bridge("a", "") + &channel("801", "101") + &channel("802", "200")));
    assert_eq!(settings.lines[0].config.targets.len(), 2);
    let twice = bridge("a", "") + &channel("801", "101") + &channel("801", "200");
    one_complaint(&twice, "line[0].channels[1].number", "one target only");
    for (to, what) in [
        ("500", "is a desk"),
        ("600", "is a conference"),
        ("999", "is nothing"),
    ] {
        one_complaint(
            &(bridge("a", "") + &channel("801", to)),
            "line[0].channels[0].to",
            what,
        );
    }
}

#[test]
fn b7_a_server_that_is_too_old_is_refused_and_an_unknown_one_remarked() {
    let line = |server: &str, version: &str| {
        format!(
            "[[line]]\nname = \"x\"\nkind = \"LAN\"\nserver = \"{server}\"\nversion = \"{version}\"\n"
        )
    };
    one_complaint(
        &line("gateway_side", "11.1.5"),
        "line[0].version",
        "needs 11.1.6 or newer",
    );
    one_complaint(
        &line("older", "PRO 800 6.4 build 2"),
        "line[0].version",
        "needs PRO 800 6.4 build 3 or newer",
    );
    good(&line("gateway_side", "11.1.6"));
    good(&line("older", "PRO 800 6.5 build 1"));
    let remarks = good("[[line]]\nname = \"x\"\nkind = \"LAN\"\n")
        .remarks()
        .join("\n");
    assert!(
        remarks.contains("PRO 800 6.4 build 3 or newer is needed"),
        "{remarks}"
    );
    let of_another_make = good("[[line]]\nname = \"x\"\nkind = \"other\"\n").remarks();
    assert!(
        !of_another_make.join("\n").contains("version"),
        "{of_another_make:?}"
    );
}

#[test]
fn isdn_follows_the_kind_of_the_link() {
    let line = |kind: &str, isdn: &str| {
        format!(
            "[[line]]\nname = \"x\"\nkind = \"{kind}\"\ndriver = \"isdn\"\n\
             l1oip = {{ bind = \"127.0.0.1:9001\", peer = \"127.0.0.1:9002\", identity = 7 }}\n{isdn}\n"
        )
    };
    let channels = |settings: Settings| {
        let Driver::Isdn(isdn) = &settings.lines[0].config.driver else {
            panic!("{:?}", settings.lines);
        };
        isdn.line.interface.channels().count()
    };
    assert_eq!(channels(good(&line("S0", ""))), 2);
    assert_eq!(
        channels(good(&line("CNET-E1", "isdn = { side = \"network\" }"))),
        30
    );
    assert_eq!(
        channels(good(&line("S0", "isdn = { interface = \"primary\" }"))),
        30
    );
    one_complaint(
        &line("CNET-E1", "isdn = { bus = true }"),
        "line[0].isdn.bus",
        "no bus",
    );
}

#[test]
fn b9_surveillance_is_for_drivers_that_have_a_word_for_it() {
    let line = |driver: &str, surveillance: &str| {
        format!(
            "[[line]]\nname = \"x\"\nkind = \"LAN\"\ndriver = \"{driver}\"\n\
             surveillance = \"{surveillance}\"\n\
             tcp = {{ connect = \"127.0.0.1:20000\", plain = true }}\n"
        )
    };
    let settings = good(&line("versicle", "60s"));
    let period = settings.lines[0].config.surveillance;
    assert_eq!(period, Some(std::time::Duration::from_secs(60)));
    let path = "line[0].surveillance";
    one_complaint(
        &line("acdp", "60s"),
        path,
        "\"acdp\" has no word for a test",
    );
    one_complaint(&line("versicle", "1s"), path, "so often");
    // Why nobody speaks there is enough.
    good("[[line]]\nname = \"x\"\nkind = \"LAN\"\nsurveillance = \"60s\"\n");
}

#[test]
fn a_changed_line_needs_a_restart_and_moved_text_does_not() {
    let line = "[[line]]\nname = \"x\"\nkind = \"LAN\"\n";
    let settings = good(line);
    assert!(
        settings
            .parts_that_differ(&good(&format!("\n\n{line}")))
            .is_empty()
    );
    let other = good(&format!("{line}system = 5\n"));
    assert_eq!(settings.parts_that_differ(&other), ["line"]);
    let token = |text: &str| good(&format!("{line}authority = \"{text}\"\n"));
    assert_eq!(token("abc").parts_that_differ(&token("abd")), ["line"]);
}
