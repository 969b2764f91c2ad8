//! G2, C7: how a leg sounds, from the wire to the call record, with tshark's count beside ours.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::baresip::{Answers, Setup};
use e2e::capture::Wire;
use e2e::{Baresip, Capture, Gateway, Site, at_site, gateway, house, lossy, wait};
use serde_json::Value;

const PCMA: &str = "PCMA/8000/1";
const G722: &str = "G722/16000/1";

/// 102 calls 103, and they talk.
fn talk(site: &Site, gateway: &Gateway, codecs: [&'static str; 2]) -> Result<[Baresip; 2]> {
    let caller = Setup {
        codecs: codecs[0],
        hertz: 600,
        ..house::baresip(site, gateway, "102")
    };
    let called = Setup {
        codecs: codecs[1],
        hertz: 1000,
        answers: Answers::ByItself,
        ..house::baresip(site, gateway, "103")
    };
    let mut caller = Baresip::start(&caller, site.folder())?;
    let called = Baresip::start(&called, site.folder())?;
    caller.dial(&gateway.uri("103"))?;
    caller.event("CALL_ESTABLISHED")?;
    Ok([caller, called])
}

fn hang_up(gateway: &Gateway, [caller, called]: &mut [Baresip; 2]) -> Result<()> {
    caller.hang_up()?;
    called.event("CALL_CLOSED")?;
    gateway.wait_for_calls(0)
}

/// The figures of the legs of the only call, the caller's first, once `ready` of both.
fn live(gateway: &Gateway, ready: impl Fn(&Value) -> bool) -> Result<[Value; 2]> {
    let mut last = Vec::new();
    let found = wait::until("the figures of both legs", || {
        last = gateway
            .ask(&["media", "quality"])?
            .as_array()
            .context("no list")?
            .clone();
        let audio: Vec<Value> = last.iter().map(|row| row["audio"].clone()).collect();
        let [a, b] = &audio[..] else { return Ok(None) };
        Ok((ready(a) && ready(b)).then(|| [a.clone(), b.clone()]))
    });
    found.with_context(|| format!("{last:#?}"))
}

/// A row of the journal per leg, by role.
type Record = BTreeMap<String, Option<f64>>;

const COLUMNS: [&str; 7] = [
    "transcoded",
    "round_trip_ms",
    "heard_packets",
    "heard_lost",
    "heard_jitter_ms",
    "heard_mos",
    "hears_lost",
];

fn records(site: &Site) -> Result<BTreeMap<String, Record>> {
    let file = site.folder().join("gateway/state/journal.db");
    wait::until("the records of both legs", || {
        let journal = rusqlite::Connection::open(&file)?;
        let columns = COLUMNS.join(", ");
        let mut rows = journal.prepare(&format!("SELECT role, {columns} FROM call_record"))?;
        let rows = rows.query_map([], |row| {
            let value = |n: usize| row.get::<_, Option<f64>>(n + 1);
            let values = COLUMNS.iter().enumerate();
            let values = values.map(|(n, column)| Ok(((*column).to_owned(), value(n)?)));
            Ok((row.get(0)?, values.collect::<rusqlite::Result<_>>()?))
        })?;
        let rows: BTreeMap<String, Record> = rows.collect::<rusqlite::Result<_>>()?;
        Ok((rows.len() == 2).then_some(rows))
    })
}

fn figure(record: &Record, column: &str) -> Result<f64> {
    let value = record.get(column).copied().flatten();
    value.with_context(|| format!("no {column} in {record:?}"))
}

fn number(value: &Value, path: &str) -> Result<f64> {
    let found = value.pointer(path).and_then(Value::as_f64);
    found.with_context(|| format!("no {path} in {value:#}"))
}

#[test]
fn g2_c7_a_lossy_cable_is_seen_live_in_the_record_in_the_log_and_by_tshark_alike() {
    at_site(|site| {
        let mut gateway = house::gateway(site)?;
        lossy::lose(site.host(2), 20)?;
        let capture = Capture::start(site.folder())?;
        let mut stations = talk(site, &gateway, [PCMA, PCMA])?;
        let reported = |audio: &Value| {
            audio["sent"]["far_end"].is_object()
                && audio["received"]["packets"].as_u64() > Some(300)
        };
        let [lossy, sound] = live(&gateway, reported)?;
        let percent = number(&lossy, "/received/loss_percent")?;
        ensure!((4.0..=6.0).contains(&percent), "{lossy:#}");
        ensure!(
            lossy["codec"] == "pcma" && lossy["transcoded"] == false,
            "{lossy:#}"
        );
        ensure!(lossy["remark"] == "its packets are lost", "{lossy:#}");
        ensure!(number(&sound, "/received/lost")? == 0.0, "{sound:#}");
        let [bad, good] = [&lossy, &sound].map(|of| number(of, "/received/mos"));
        ensure!(bad? < good?, "{lossy:#} {sound:#}");
        hang_up(&gateway, &mut stations)?;
        let wire = capture.stop()?;

        let records = records(site)?;
        let caller = &records["caller"];
        let (packets, lost) = (
            figure(caller, "heard_packets")?,
            figure(caller, "heard_lost")?,
        );
        let streams = wire.rtp_streams()?;
        let stream = streams.iter().find(|stream| stream.from == site.host(2));
        let stream = stream.context("the caller sent nothing")?;
        // The capture ends a moment before or after the leg.
        ensure!(
            (stream.lost as f64 - lost).abs() <= 1.0,
            "{stream:?} {caller:?}"
        );
        ensure!(
            (stream.packets as f64 - packets).abs() <= 5.0,
            "{stream:?} {caller:?}"
        );
        let jitter = figure(caller, "heard_jitter_ms")?;
        ensure!(
            jitter <= stream.max_jitter_ms + 1.0,
            "{stream:?} {caller:?}"
        );
        let hears = figure(caller, "hears_lost")?;
        ensure!(hears > 0.0 && hears <= packets * 0.07, "{caller:?}");
        ensure!(
            figure(&records["callee"], "heard_lost")? == 0.0,
            "{records:?}"
        );
        ensure!(figure(caller, "heard_mos")? < 4.2, "{caller:?}");

        gateway.wait_for_metric(&["legs_poor_total", "loss_from_device"], 1.0)?;
        gateway.program().wait_for("cause=\"loss_from_device\"")?;
        decode_agrees(&wire)
    });
}

/// `decode` finds the streams of the capture that tshark finds, with the same figures.
fn decode_agrees(wire: &Wire) -> Result<()> {
    let output = Command::new(gateway::binary()?)
        .arg("decode")
        .arg(wire.file())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
    let ours = || lines.iter().filter(|line| line["kind"] == "rtp_stream");
    let theirs = wire.rtp_streams()?;
    ensure!(
        ours().count() == theirs.len() && theirs.len() == 4,
        "{theirs:#?} {text}"
    );
    for stream in theirs {
        let source = format!("{}:{}", stream.from, stream.from_port);
        let target = format!("{}:{}", stream.to, stream.to_port);
        let same = |line: &&Value| line["source"] == *source && line["target"] == *target;
        let found = ours()
            .find(same)
            .with_context(|| format!("no {stream:?}"))?;
        ensure!(
            number(found, "/packets")? == stream.packets as f64,
            "{stream:?} {found}"
        );
        ensure!(
            number(found, "/lost")? == stream.lost as f64,
            "{stream:?} {found}"
        );
        let jitter = number(found, "/max_jitter_ms")?;
        ensure!(
            (jitter - stream.max_jitter_ms).abs() < 0.5,
            "{stream:?} {found}"
        );
    }
    Ok(())
}

#[test]
fn g2_both_ends_of_a_transcoded_call_get_reports_that_tshark_understands() {
    at_site(|site| {
        let gateway = house::gateway(site)?;
        let capture = Capture::start(site.folder())?;
        let mut stations = talk(site, &gateway, [G722, PCMA])?;
        let measured = |audio: &Value| {
            audio["round_trip_ms"].is_number() && audio["sent"]["far_end"].is_object()
        };
        for audio in live(&gateway, measured)? {
            ensure!(audio["transcoded"] == true, "{audio:#}");
            // Both sit at one switch; the tone is a sine of some strength.
            ensure!(number(&audio, "/round_trip_ms")? < 100.0, "{audio:#}");
            let level = number(&audio, "/received/decoded/level_dbfs")?;
            ensure!((-40.0..-1.0).contains(&level), "{audio:#}");
            ensure!(number(&audio, "/received/mos")? > 4.0, "{audio:#}");
        }
        hang_up(&gateway, &mut stations)?;
        let wire = capture.stop()?;
        wire.must_be_well_formed(gateway.address)?;
        for record in records(site)?.values() {
            ensure!(figure(record, "transcoded")? == 1.0, "{record:?}");
            figure(record, "round_trip_ms")?;
        }
        for host in [2, 3] {
            let (own, device) = (gateway.address, site.host(host));
            // What a closed port returns holds the packets that came too late.
            let rtp = format!("rtp && !icmp && ip.src == {own} && ip.dst == {device}");
            let ours = only(&wire, &rtp, "rtp.ssrc")?;
            let theirs = only(
                &wire,
                &format!("rtp && !icmp && ip.src == {device}"),
                "rtp.ssrc",
            )?;
            let to = format!("rtcp && !icmp && ip.src == {own} && ip.dst == {device}");
            let sender = only(&wire, &format!("{to} && rtcp.pt == 200"), "rtcp.senderssrc")?;
            ensure!(sender == ours, "a report of {sender}, a stream of {ours}");
            let about = only(
                &wire,
                &format!("{to} && rtcp.rc == 1"),
                "rtcp.ssrc.identifier",
            )?;
            // tshark names in one list those who describe themselves as well.
            ensure!(
                about.split(',').any(|ssrc| ssrc == theirs),
                "{about} is not {theirs}"
            );
            ensure!(
                wire.count(&format!("{to} && rtcp.sdes.type == 1"))? > 0,
                "no name"
            );
            ensure!(
                wire.count(&format!("{to} && rtcp.pt == 203"))? == 1,
                "no goodbye"
            );
        }
        Ok(())
    });
}

/// The one value of a field in what a filter selects.
fn only(wire: &Wire, filter: &str, field: &str) -> Result<String> {
    let rows = wire.fields(filter, &[field])?;
    let found: BTreeSet<String> = rows.into_iter().map(|row| row.concat()).collect();
    ensure!(found.len() == 1, "{field} of {filter}: {found:?}");
    Ok(found.into_iter().next().unwrap_or_default())
}
