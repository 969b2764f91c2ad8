use std::time::Duration;

use model::DoorId;

use super::section::{Field, Section, Shape};
use super::*;

const LEAST: &str =
    "name = \"house\"\n[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n";

fn no_environment(_: &str) -> Option<String> {
    None
}

fn loaded(text: &str) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    load_with(&file, &no_environment)
}

/// Each problem as `line:column path: what | remedy`.
fn complaints(text: &str) -> Vec<String> {
    let Err(errors) = loaded(text) else {
        return Vec::new();
    };
    errors
        .0
        .iter()
        .map(|p| {
            format!(
                "{}:{} {}: {} | {}",
                p.line, p.column, p.path, p.what, p.remedy
            )
        })
        .collect()
}

/// The least configuration with `more` behind it has exactly this one mistake.
#[track_caller]
fn one_complaint(more: &str, line: usize, path: &str, what: &str) {
    let found = complaints(&format!("{LEAST}{more}"));
    let [only] = found.as_slice() else {
        panic!("expected one complaint, got {found:#?}");
    };
    let head = LEAST.lines().count() + line;
    assert!(
        only.starts_with(&format!("{head}:")) && only.contains(&format!(" {path}: ")),
        "{only}"
    );
    assert!(only.contains(what), "{only}");
}

#[test]
fn the_least_configuration_is_enough_and_the_rest_has_defaults() {
    let settings = loaded(LEAST).unwrap();
    assert_eq!(settings.name, "house");
    assert_eq!(settings.sip.realm.as_str(), "house");
    assert_eq!(settings.calls.longest, Duration::from_secs(600));
    assert_eq!(settings.sip.listeners.len(), 1);
    assert!(settings.metrics.ip().is_loopback());
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "nam = \"x\"\n[sip]\nrealm = 5\n[sip.timers]\nt1 = \"5 s\"\n[media]\nports = \"9-1\"\n\
                [calls]\nat_once = 0\n[log]\nlevel = \"loud\"\n";
    let found = complaints(text);
    let starts = [
        "1:1 name: `name` is missing | add it, for example: name = \"house-7\"",
        "1:1 nam: unknown key `nam` | did you mean `name`?",
        "2:1 sip.listen: there is no listener",
        "3:9 sip.realm: this is an integer, not a string",
        "5:6 sip.timers.t1: \"5 s\" is not a duration | write a duration such as",
        "7:9 media.ports: \"9-1\" holds no port",
        "9:11 calls.at_once: 0 is not between 1 and 100000",
        "11:9 log.level: \"loud\" is not a log level",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (complaint, start) in found.iter().zip(starts) {
        assert!(complaint.starts_with(start), "{complaint}\nis not\n{start}");
    }
}

#[test]
fn every_class_of_mistake_has_its_place_and_says_what_is_wrong() {
    for (more, line, path, what) in [
        ("[sip.limts]", 1, "sip.limts", "did you mean `limits`?"),
        ("[zzz]", 1, "zzz", "known here are: name, state_folder"),
        (
            "[calls]\nlongest = \"25h\"",
            2,
            "calls.longest",
            "25h is not between 10s and 1d",
        ),
        (
            "[calls]\nwarning = \"11m\"",
            2,
            "calls.warning",
            "more than `longest`",
        ),
        (
            "[sip.timers]\nsession = \"60s\"",
            2,
            "sip.timers.session",
            "is not between 90s",
        ),
        (
            "[sip.timers]\nt1 = \"9s\"",
            2,
            "sip.timers.t1",
            "`t1` (9s) is more than `t2` (4s)",
        ),
        (
            "[sip.registration]\nshortest = \"20m\"",
            2,
            "sip.registration.shortest",
            "more than `usual`",
        ),
        (
            "[sip.limits]\nconnections_per_source = 20000",
            2,
            "sip.limits.connections_per_source",
            "smaller than `connections`",
        ),
        (
            "[media]\nports = \"1000-1002\"",
            2,
            "media.ports",
            "takes 4 ports",
        ),
        (
            "[media]\naddresses = [\"0.0.0.0\"]",
            2,
            "media.addresses[0]",
            "no address that",
        ),
        (
            "[media]\naddresses = [\"host\"]",
            2,
            "media.addresses[0]",
            "not an IP address",
        ),
        (
            "[media]\ndscp = 64",
            2,
            "media.dscp",
            "64 is not between 0 and 63",
        ),
        (
            "[metrics]\nlisten = \"9460\"",
            2,
            "metrics.listen",
            "not an address with a port",
        ),
        (
            "[store]\nkeep_records = \"1h\"",
            2,
            "store.keep_records",
            "is not between",
        ),
        (
            "[store]\nregistrations = \"maybe\"",
            2,
            "store.registrations",
            "one of \"power\"",
        ),
        ("stop = 5", 1, "sip.listen[0].stop", "unknown key"),
        (
            "[stop]\ngrace = 5",
            2,
            "stop.grace",
            "this is an integer, not a string",
        ),
        (
            "[[sip.listen]]\ntransport = \"udp\"\naddress = \"[fe80::1%nowhere0]:5060\"",
            3,
            "sip.listen[1].address",
            "there is no network interface \"nowhere0\"",
        ),
        (
            "[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:20001\"\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:20001\"\n[media]\n\
             ports = \"30000-30100\"",
            6,
            "sip.listen[2].address",
            "sip.listen[1] listens on this address already",
        ),
        (
            "[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:20001\"\n[media]\n\
             ports = \"20000-20100\"",
            5,
            "media.ports",
            "SIP listens on UDP port 20001 of this range",
        ),
        (
            "[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:1\"\nkey = \"k.pem\"",
            4,
            "sip.listen[1].key",
            "means something for TLS only",
        ),
    ] {
        one_complaint(more, line, path, what);
    }
}

#[test]
fn a_tls_listener_needs_files_that_can_be_read_and_fit() {
    let tls = "[[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\nkey = \"no.pem\"\n";
    let at = "sip.listen[1]";
    one_complaint(tls, 1, at, "a TLS listener needs a `certificate`");
    let both = format!("{tls}certificate = \"none.pem\"\n");
    one_complaint(&both, 1, at, "cannot read");
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let found = complaints("name = \n[sip\n");
    assert!(
        found.iter().any(|c| c.contains("this is not TOML")),
        "{found:#?}"
    );
    assert!(found[0].starts_with("1:"), "{found:#?}");
}

#[test]
fn a_file_that_is_not_there_is_told_with_a_way_on() {
    let errors = load(Path::new("/nowhere/gateway.toml")).unwrap_err();
    let text = errors.to_string();
    assert!(
        text.starts_with("/nowhere/gateway.toml: this file cannot be read"),
        "{text}"
    );
    assert!(text.contains("config-reference"), "{text}");
}

#[test]
fn a_directory_has_stations_with_accounts_doors_and_rules() {
    let more = "
[[directory.stations]]
key = \"gate\"
number = \"101\"
kind = \"door_station\"
password = \"tiger\"
[[directory.stations.doors]]
key = \"main-gate\"
code = \"#1\"
[[directory.stations.forwarding]]
when = \"no_answer\"
to = \"sip:guard@192.0.2.9\"
days = \"mon-fri\"
hours = \"22:00-06:00\"
[[directory.stations]]
number = \"102\"
account = \"desk\"
allow_md5 = true
ha1_md5 = \"939e7578ed9e3c518a452acee763bce9\"
[[directory.stations]]
number = \"103\"
uri = \"sip:phone@192.0.2.20\"
[[directory.ring_groups]]
number = \"200\"
members = [\"102\", \"103\"]
";
    let settings = loaded(&format!("{LEAST}{more}")).unwrap().directory;
    assert_eq!(settings.directory.stations().len(), 3);
    let users: Vec<_> = settings.accounts.iter().map(|a| a.user.as_str()).collect();
    assert_eq!(users, ["101", "desk"]);
    assert_eq!(settings.doors["main-gate"], DoorId::from_key("main-gate"));
    let gate = &settings.directory.stations()[0];
    assert_eq!(gate.id, model::StationId::from_key("gate"));
    assert!(gate.forwarding[0].schedule.is_some());
    assert!(
        !format!("{settings:?}").contains("tiger"),
        "a secret shows in Debug"
    );
}

#[test]
fn mistakes_in_the_directory_stand_at_their_line() {
    for (more, line, path, what) in [
        (
            "[[directory.stations]]\nnumber = \"101\"",
            1,
            "directory.stations[0]",
            "no password, so anybody could take its place",
        ),
        (
            "[[directory.stations]]\nnumber = \"1o1\"\npassword = \"x\"",
            2,
            "directory.stations[0].number",
            "digits only, found 'o'",
        ),
        (
            "[[directory.stations]]\nnumber = \"101\"\npassword = \"x\"\npassword_env = \"P\"",
            4,
            "directory.stations[0].password_env",
            "environment variable P is not set",
        ),
        (
            "[[directory.stations]]\nnumber = \"101\"\nha1_md5 = \"939e7578ed9e3c518a452acee763bce9\"",
            3,
            "directory.stations[0].ha1_md5",
            "may not log in with MD5",
        ),
        (
            "[[directory.stations]]\nnumber = \"101\"\nha1_sha256 = \"abc\"",
            3,
            "directory.stations[0].ha1_sha256",
            "64 hexadecimal digits",
        ),
        (
            "[[directory.stations]]\nnumber = \"101\"\nuri = \"sip:a@b\"\npassword = \"x\"",
            3,
            "directory.stations[0].uri",
            "does not register",
        ),
        (
            "[[directory.stations]]\nnumber = \"1\"\nuri = \"sip:a@b\"\n\
             [[directory.stations]]\nnumber = \"1\"\nuri = \"sip:b@b\"\nkey = \"b\"",
            5,
            "directory.stations[1].number",
            "already used by",
        ),
        (
            "[[directory.ring_groups]]\nnumber = \"2\"\nmembers = [\"sip:a@b\", \"77\"]",
            3,
            "directory.ring_groups[0].members[1]",
            "nothing in the directory has the number 77",
        ),
        (
            "[[directory.stations]]\nnumber = \"1\"\nuri = \"sip:a@b\"\n\
             [[directory.stations.doors]]\nkey = \"d\"\npulse = \"2m\"",
            6,
            "directory.stations[0].doors[0].pulse",
            "100 to 60000 ms",
        ),
        (
            "[directory]\ntime_zone = \"Vienna\"",
            2,
            "directory.time_zone",
            "Europe/Vienna",
        ),
    ] {
        if what.contains("environment") {
            let found = complaints(&format!("{LEAST}{more}"));
            assert!(found.iter().any(|c| c.contains(what)), "{found:#?}");
            assert!(
                found.iter().any(|c| c.contains("given twice")),
                "{found:#?}"
            );
        } else {
            one_complaint(more, line, path, what);
        }
    }
}

#[test]
fn the_directory_may_be_a_file_of_its_own_with_passwords_in_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("gateway.toml"),
        format!("directory = \"people.toml\"\n{LEAST}"),
    )
    .unwrap();
    std::fs::write(
        at("people.toml"),
        "[[stations]]\nnumber = \"101\"\npassword_file = \"101.secret\"\n\
         [[stations]]\nnumber = \"102\"\npassword_env = \"STATION_102\"\n",
    )
    .unwrap();
    std::fs::write(at("101.secret"), "tiger\n").unwrap();
    let environment = |name: &str| (name == "STATION_102").then(|| "lion".to_owned());
    let settings = load_with(&at("gateway.toml"), &environment)
        .unwrap()
        .directory;
    assert_eq!(
        settings.accounts[0].proof,
        Proof::Password(Secret::new("tiger"))
    );
    assert_eq!(
        settings.accounts[1].proof,
        Proof::Password(Secret::new("lion"))
    );
    assert_eq!(
        settings.files,
        [at("gateway.toml"), at("101.secret"), at("people.toml")]
    );

    std::fs::write(
        at("people.toml"),
        "[[stations]]\nnumber = \"x\"\nuri = \"sip:a@b\"\n",
    )
    .unwrap();
    let errors = load_with(&at("gateway.toml"), &environment).unwrap_err();
    assert_eq!(
        (errors.0[0].file.clone(), errors.0[0].line),
        (at("people.toml"), 2)
    );
}

#[test]
fn no_problem_shows_a_secret() {
    let more =
        "[[directory.stations]]\nnumber = \"101\"\npassword = \"tiger\"\nha1_sha256 = \"lion\"\n";
    let errors = loaded(&format!("{LEAST}{more}")).unwrap_err();
    let text = format!("{errors} {errors:?}");
    assert!(!text.contains("tiger") && !text.contains("lion"), "{text}");
}

#[test]
fn the_reference_can_be_used_as_it_is() {
    assert_eq!(complaints(&reference()), [""; 0]);
}

#[test]
fn the_reference_can_be_read_with_all_its_defaults_and_examples() {
    let uncommented: String = reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                setting
            }
            Some(_) | None => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    // Examples exclude each other and name files that are not there; their form is what counts.
    for complaint in complaints(&uncommented) {
        for form in ["unknown key", "is missing", "is not TOML", "| write "] {
            assert!(!complaint.contains(form), "{complaint}");
        }
    }
}

#[test]
fn every_field_is_documented_in_whole_sentences() {
    fn walk(fields: &[Field]) {
        for field in fields {
            let text: String = field.doc.concat();
            assert!(
                text.trim().len() > 5 && text.ends_with('.'),
                "{}: {text}",
                field.name
            );
            match field.shape {
                Shape::Nested(inner) | Shape::Perhaps(inner) | Shape::Repeated(inner) => {
                    walk(inner);
                }
                Shape::Required | Shape::Defaulted | Shape::Optional => {}
            }
        }
    }
    walk(GatewayFile::FIELDS);
    walk(driver::FIELDS);
}

const REMOTE: &str = "[[directory.device_profiles]]\nname = \"sip-series\"\n\
    door_opener = \"/cgi/relay?nr={relay}&timer={seconds}\"\n\
    answer = \"/cgi/hook.cgi?hook=answer\"\n";

fn remote_station(remote: &str, door: &str) -> String {
    format!(
        "{REMOTE}[[directory.stations]]\nnumber = \"101\"\nuri = \"sip:gate@192.0.2.30\"\n{remote}\n\
         [[directory.stations.doors]]\nkey = \"gate\"\n{door}\n"
    )
}

#[test]
fn a_door_may_be_a_relay_that_the_page_of_its_station_switches() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let remote = "remote = { profile = \"sip-series\", address = \"192.168.1.30:80\", \
                  user = \"remote\", password_file = \"secret\" }";
    let text = remote_station(remote, "relay = 2\npulse = \"2500ms\"");
    std::fs::write(&file, format!("{LEAST}{text}")).unwrap();
    std::fs::write(folder.path().join("secret"), "let me/in\n").unwrap();
    let settings = load_with(&file, &no_environment).unwrap();
    let (_, door) = settings
        .directory
        .directory
        .door(DoorId::from_key("gate"))
        .unwrap();
    let model::DoorOutput::Url(url) = &door.output else {
        panic!("{door:?}");
    };
    assert_eq!(
        url.as_str(),
        "http://remote:let%20me%2Fin@192.168.1.30:80/cgi/relay?nr=2&timer=3"
    );
    let actions = &settings.directory.remotes["101"];
    let answer = actions.answer.as_ref().unwrap();
    assert!(answer.as_str().ends_with("/cgi/hook.cgi?hook=answer"));
    assert_eq!(actions.decline, None);
    assert!(!format!("{settings:?}").contains("let%20me"));
}

#[test]
fn devices_in_a_network_that_is_said_to_be_local_may_be_asked_to_open() {
    let door = |networks: &str| {
        let station = remote_station("", "url = \"http://198.51.100.7/relay\"");
        format!("{LEAST}[directory]\nlocal_networks = {networks}\n{station}")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, door("[\"198.51.100.0/24\"]")).unwrap();
    load_with(&file, &no_environment).unwrap();
    let wrong = complaints(&door("[\"198.51.100.0/33\"]"));
    assert!(wrong[0].contains("no length from 1 to 32"), "{wrong:#?}");
}

#[test]
fn mistakes_of_remote_control_have_their_place() {
    let given = "remote = { profile = \"sip-series\", address = \"192.168.1.30:80\" }";
    let other = "remote = { profile = \"sip-serie\", address = \"192.168.1.30:80\" }";
    for (remote, door, path, what) in [
        (
            other,
            "url = \"http://192.168.1.1/x\"",
            "directory.stations[0].remote.profile",
            "no device profile",
        ),
        (
            "",
            "relay = 1",
            "directory.stations[0].doors[0].relay",
            "which has none",
        ),
        (
            given,
            "relay = 1\noutput = 1",
            "directory.stations[0].doors[0].relay",
            "and an output or a URL",
        ),
        (
            "",
            "url = \"http://198.51.100.7/relay\"",
            "directory.stations[0].doors[0].url",
            "not in the local segment",
        ),
        (
            "remote = { profile = \"sip-series\", address = \"198.51.100.7:80\" }",
            "output = 1",
            "directory.stations[0].remote.address",
            "not in the local segment",
        ),
    ] {
        let found = complaints(&format!("{LEAST}{}", remote_station(remote, door)));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains(path) && found[0].contains(what),
            "{found:#?}"
        );
    }
}

#[test]
fn causes_can_be_changed_where_they_make_sense() {
    let settings = loaded(&format!(
        "{LEAST}[[causes.own]]\ncause = \"declined\"\nstatus = 486\nq850 = 17\n\
         [[causes.heard_q850]]\nq850 = 17\nstatus = 600\n\
         [[causes.heard_status]]\nstatus = 480\nq850 = 19\n"
    ))
    .unwrap();
    assert_eq!(settings.causes.table.cause(480).number(), 19);
    assert_eq!(
        settings.parts_that_differ(&loaded(LEAST).unwrap()),
        ["causes"]
    );
    one_complaint(
        "[[causes.own]]\ncause = \"tired\"\nstatus = 486\nq850 = 17\n",
        2,
        "causes.own[0].cause",
        "is no cause",
    );
}

#[test]
fn b9_messages_and_programmes_are_files_with_numbers_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    // 44 octets of a WAV of 8000 mono samples of 16 bit a second, and one sample.
    let head = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";
    let wav = [&head[..], b"data\x02\0\0\0\0\0"].concat();
    std::fs::write(folder.path().join("words.wav"), wav).unwrap();
    let text = |second: u8| {
        format!(
            "{LEAST}[[media.messages]]\nnumber = 7\nfile = \"words.wav\"\n\
             [[media.messages]]\nnumber = {second}\nfile = \"words.wav\"\n\
             [[media.programmes]]\nnumber = 7\nfile = \"words.wav\"\n"
        )
    };
    std::fs::write(&file, text(8)).unwrap();
    let settings = load_with(&file, &no_environment).unwrap();
    let own = &settings.media.announcements;
    let numbers: Vec<u8> = own.messages.keys().copied().collect();
    assert_eq!(numbers, [7, 8]);
    assert!(own.programmes.contains_key(&7));
    std::fs::write(&file, text(7)).unwrap();
    let Err(ConfigErrors(found)) = load_with(&file, &no_environment) else {
        panic!("no complaint about the same number twice");
    };
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].what.contains("7 is there already"), "{found:#?}");
}
