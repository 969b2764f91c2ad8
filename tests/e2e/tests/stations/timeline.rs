//! The timeline tells the whole story, says when it was changed, and opens in tshark as what was on
//! the wire.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::capture::Wire;
use e2e::{Capture, at_site, gateway, house};
use serde_json::{Value, json};

use crate::legacy_line;

/// Runs `timeline` on the files in a folder.
fn timeline(folder: &Path, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(gateway::binary()?);
    command.arg("timeline").args(words);
    Ok(command.arg("--folder").arg(folder).output()?)
}

fn entries(folder: &Path, words: &[&str]) -> Result<Vec<Value>> {
    let output = timeline(folder, &[words, &["--json"]].concat())?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| serde_json::from_str(line).context(line.to_owned()))
        .collect()
}

fn exported(folder: &Path, to: &Path) -> Result<Wire> {
    let file = to.to_str().context("a path of letters")?;
    let output = timeline(folder, &["export", file])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(Wire::open(to))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

/// The entry of an event, with what it says.
fn event<'a>(entries: &'a [Value], name: &str) -> Result<&'a Value> {
    let found = entries.iter().find(|entry| entry["event"] == name);
    found.with_context(|| format!("no {name} in {entries:#?}"))
}

const WORDS: &str = "sip.Method || sip.Status-Code";

#[test]
fn a_call_that_opens_a_door_is_told_in_order_and_exports_as_it_was_on_the_wire() {
    at_site(|site| {
        let capture = Capture::start(site.folder())?;
        let mut gateway = house::gateway(site)?;
        let device = house::door_device(site)?;
        let mut door_station = house::station(site, &gateway, "102")?;
        let mut desk = house::answering_station(site, &gateway, "103")?;
        door_station.dial(&gateway.uri("103"))?;
        desk.event("CALL_ESTABLISHED")?;
        let call = gateway.calls()?[0]["call"].to_string();
        desk.digit('#')?;
        desk.digit('1')?;
        device.must_open()?;
        desk.hang_up()?;
        door_station.event("CALL_CLOSED")?;
        gateway.wait_for_calls(0)?;
        let ladder = gateway.run(&["timeline", "--call", &call])?;
        ensure!(ladder.contains("--- INVITE --"), "{ladder}");
        drop((door_station, desk));
        gateway.stop()?;
        let wire = capture.stop()?;

        let folder = site.folder().join("gateway/state/timeline");
        let story = entries(&folder, &["--call", &call])?;
        must_tell(
            &story,
            &[
                "call_started",
                "key_pressed",
                "key_pressed",
                "door_url_asked",
                "door_command_sent",
                "door_url_answered",
                "door_recorded",
                "call_ended",
                "leg_ended",
            ],
        )?;
        // What caused what: a key the request, its answer the record.
        let key = story.iter().rfind(|entry| entry["event"] == "key_pressed");
        let key = &key.context("a key")?["entry"];
        ensure!(
            event(&story, "door_url_asked")?["because"] == *key,
            "{story:#?}"
        );
        let answer = &event(&story, "door_url_answered")?["entry"];
        let record = event(&story, "door_recorded")?;
        ensure!(record["because"] == *answer, "{story:#?}");
        ensure!(
            record["details"]["result"] == "sent_not_confirmed",
            "{record}"
        );
        let invite = story.iter().find(|entry| entry["kind"] == "sip");
        let invite = invite.context("a message")?;
        let text = invite["text"].as_str().unwrap_or_default();
        ensure!(text.starts_with("INVITE sip:103@"), "{text}");
        ensure!(
            event(&story, "call_started")?["because"].is_u64(),
            "{story:#?}"
        );
        let whole: String = entries(&folder, &[])?
            .iter()
            .map(Value::to_string)
            .collect();
        ensure!(!whole.contains("#1"), "a door code in clear");

        let export = exported(&folder, &site.folder().join("export.pcapng"))?;
        let ours = format!("({WORDS}) && ip.addr == {}", gateway.address);
        let [there, here] = [wire.count(&ours)?, export.count(&ours)?];
        ensure!(
            there == here && there > 20,
            "{there} on the wire, {here} in the timeline"
        );
        export.must_be_well_formed(gateway.address)?;
        let lines = [
            "ip.src",
            "udp.srcport",
            "ip.dst",
            "udp.dstport",
            "sip.CSeq",
            "sip.Call-ID",
        ];
        let sorted = |wire: &Wire| -> Result<Vec<Vec<String>>> {
            let mut rows = wire.fields(&ours, &lines)?;
            rows.sort();
            Ok(rows)
        };
        ensure!(sorted(&wire)? == sorted(&export)?, "not the same messages");
        let proofs = ["sip.auth.digest.response"];
        for row in export.fields("sip.auth.digest.response", &proofs)? {
            ensure!(row[0].trim_matches(['"', '0']).is_empty(), "{row:?}");
        }
        let comments = export.fields(
            "frame.comment contains \"door url asked\"",
            &["frame.comment"],
        )?;
        ensure!(!comments.is_empty(), "no comment about the door");

        let verified = timeline(&folder, &["verify"])?;
        ensure!(verified.status.success(), "{verified:?}");
        let file = files(&folder)?.remove(0);
        let mut octets = std::fs::read(&file)?;
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        std::fs::write(&file, octets)?;
        let verified = timeline(&folder, &["verify"])?;
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        ensure!(verified.status.code() == Some(3), "{verified:?}");
        ensure!(said.contains("BROKEN after entry"), "{said}");
        Ok(())
    });
}

/// In this order, with anything in between.
fn must_tell(story: &[Value], events: &[&str]) -> Result<()> {
    let told: Vec<&str> = story.iter().filter_map(|e| e["event"].as_str()).collect();
    let mut rest = told.iter();
    for wanted in events {
        ensure!(rest.any(|event| event == wanted), "{wanted} in {told:?}");
    }
    Ok(())
}

#[test]
fn b9_a_legacy_button_a_phone_and_a_door_with_a_contact_are_one_story() {
    at_site(|site| {
        let (mut legacy, mut gateway) = legacy_line::start(site)?;
        let mut phone = legacy_line::button_pressed(site, &mut legacy, &gateway)?;
        let call = gateway.calls()?[0]["call"].to_string();
        phone.digit('#')?;
        phone.digit('1')?;
        legacy.order("wait door gate 1 open")?;
        gateway.wait_for_metric(&["antiphon_door_commands_total", "opened"], 1.0)?;
        phone.hang_up()?;
        legacy.order("wait station gate idle")?;
        gateway.wait_for_calls(0)?;
        drop(phone);
        gateway.stop()?;

        let folder = site.folder().join("gateway/state/timeline");
        let story = entries(&folder, &["--call", &call])?;
        must_tell(
            &story,
            &[
                "line_asks_call_setup",
                "call_started",
                "key_pressed",
                "key_pressed",
                "line_commanded_door_open",
                "line_door_state",
                "door_recorded",
                "call_ended",
            ],
        )?;
        ensure!(
            event(&story, "door_recorded")?["details"]["result"] == "opened",
            "{story:#?}"
        );
        // The telegram that began it, and the one that opened the door, are in it as they were.
        let at = |entry: &Value| {
            story
                .iter()
                .find(|other| other["entry"] == entry["because"])
        };
        let setup =
            at(event(&story, "line_asks_call_setup")?).context("the frame of the button")?;
        ensure!(setup["kind"] == "frame" && setup["way"] == "in", "{setup}");
        let key = story.iter().rfind(|entry| entry["event"] == "key_pressed");
        let key = &key.context("a key")?["entry"];
        let opens = |entry: &&Value| entry["kind"] == "frame" && entry["because"] == *key;
        let open = story
            .iter()
            .find(opens)
            .context("the frame that opens the door")?;
        ensure!(open["masked"] == json!(["authority"]), "{open}");
        let all = entries(&folder, &[])?;
        let whole: String = all.iter().map(Value::to_string).collect();
        let token = "a token of these tests";
        let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        ensure!(
            !whole.contains(token) && !whole.contains(&hex),
            "the token is in it"
        );

        let verified = timeline(&folder, &["verify"])?;
        ensure!(verified.status.success(), "{verified:?}");
        let file = site.folder().join("line.pcapng");
        exported(&folder, &file)?;
        let export = Wire::open(&file).with_dissectors(&dissectors());
        let frames = all.iter().filter(|entry| entry["kind"] == "frame").count();
        ensure!(
            export.count("antiphon_link")? == frames && frames > 10,
            "{frames} frames"
        );
        let bad =
            "_ws.malformed || antiphon_link.bad_check || (sip && _ws.expert.severity == error)";
        ensure!(
            export.count(bad)? == 0,
            "{:#?}",
            export.fields(bad, &["frame.number"])?
        );
        let decoded = Command::new(gateway::binary()?)
            .arg("decode")
            .arg(&file)
            .output()?;
        let text = String::from_utf8(decoded.stdout)?;
        let sum: Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
        ensure!(sum["sip_refused"] == 0, "{sum}");
        let read = [&sum["frames_understood"], &sum["frames_refused"]].map(Value::as_u64);
        ensure!(read.iter().flatten().sum::<u64>() == frames as u64, "{sum}");
        Ok(())
    });
}

fn dissectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wireshark/antiphon.lua")
}

/// A timeline of these entries, as a gateway with lines to older servers would have written it.
fn written(folder: &Path, entries: &[Value]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut text = String::new();
    for (entry, number) in entries.iter().zip(1..) {
        let mut entry = entry.clone();
        entry["entry"] = json!(number);
        entry["time"] = json!(format!("2026-11-21T16:45:0{}Z", number % 10));
        text += &format!("{:064} {entry}\n", 0);
    }
    std::fs::write(folder.join("timeline-0000000001.log"), text)?;
    Ok(())
}

fn frame(protocol: &str, way: &str, octets: (&str, &str)) -> Value {
    let (form, octets) = octets;
    json!({ "kind": "frame", "line": protocol, "protocol": protocol, "way": way, form: octets })
}

fn message(transport: &str, source: &str, target: &str) -> Value {
    let text = "OPTIONS sip:gate@house SIP/2.0\r\nVia: SIP/2.0/TLS house;branch=z9hG4bK1\r\n\
        From: <sip:102@house>;tag=1\r\nTo: <sip:gate@house>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\
        Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    json!({ "kind": "sip", "way": "in", "transport": transport, "source": source,
            "target": target, "call_id": "a", "text": text })
}

#[test]
fn frames_of_every_kind_of_line_and_every_transport_open_in_tshark() {
    at_site(|site| {
        // SETUP of a primary rate (made for this), vectors of the open link profile, published
        // lines of ACDP's simple link layer.
        let setup = "0001000008020001050403809 0a31803a983816c05018031303770058134373131a1"
            .replace(' ', "");
        let door =
            "7e04040101010f5300010002010300151002210120010121020bb87d5e087a7b7c7d5d7d5e7f8081";
        let request =
            "7e020201000f200002000101020016100221011102200112011e1309476174652045617374a2407e";
        let folder = site.folder().join("timeline");
        written(
            &folder,
            &[
                frame("isdn", "in", ("hex", &setup)),
                json!({ "kind": "event", "because": 1, "event": "call_started", "call": 17 }),
                frame("isdn", "out", ("hex", "02010102")),
                frame("versicle", "in", ("hex", "7e7f087b7e")),
                frame("versicle", "in", ("hex", request)),
                frame("versicle", "in", ("hex", door)),
                frame(
                    "acdp",
                    "out",
                    ("text", "0101014101411234005032 01107F20102F=35\r\n"),
                ),
                frame("table", "in", ("text", "Ical 101 201\r\n")),
                message("udp", "[2001:db8::2]:5060", "[2001:db8::1]:5060"),
                message("udp", "192.0.2.9:5080", "192.0.2.1:5060"),
                message("tcp", "192.0.2.9:41000", "192.0.2.1:5060"),
                message("tcp", "192.0.2.9:41000", "192.0.2.1:5060"),
                message("tls", "192.0.2.9:41001", "192.0.2.1:5061"),
                message("tls", "[2001:db8::2]:41001", "[2001:db8::1]:5061"),
            ],
        )?;
        let file = site.folder().join("lines.pcapng");
        exported(&folder, &file)?;
        let rows = Wire::open(&file).with_dissectors(&dissectors()).fields(
            "frame",
            &[
                "_ws.col.Protocol",
                "_ws.col.Info",
                "_ws.malformed",
                "_ws.expert.severity",
            ],
        )?;
        let protocols: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        ensure!(
            protocols
                == [
                    "Q.931", "LAPD", "OPENLINK", "OPENLINK", "OPENLINK", "ACDP", "TABLE", "SIP",
                    "SIP", "SIP", "SIP", "SIP", "SIP",
                ],
            "{rows:#?}"
        );
        for (row, wanted) in rows.iter().zip([
            "SETUP",
            "",
            "SABME",
            "CALLREQ_NEW",
            "",
            "message 0050",
            "Ical 101 201",
        ]) {
            ensure!(row[1].contains(wanted), "{wanted} in {row:?}");
        }
        // The last vector lacks its end on purpose: its check cannot fit, and tshark must say so.
        let (broken, sound): (Vec<_>, Vec<_>) =
            rows.iter().enumerate().partition(|(at, _)| *at == 4);
        ensure!(!broken[0].1[3].is_empty(), "{broken:?}");
        for (at, row) in sound {
            let severity: u32 = row[3]
                .split(',')
                .filter_map(|one| one.parse().ok())
                .max()
                .unwrap_or(0);
            // 0x00800000 is an error.
            ensure!(
                row[2].is_empty() && severity < 0x0080_0000,
                "packet {}: {row:?}",
                at + 1
            );
        }
        Ok(())
    });
}
