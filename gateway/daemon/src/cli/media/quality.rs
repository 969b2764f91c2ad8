//! `media quality`: how the legs of this moment sound, as a table or as JSON.
//!
//! Asks for the calls, as `calls` does, and keeps the legs that are meant.

use std::io::{self, IsTerminal};

use serde::Serialize;

use crate::cli::args::Quality;
use crate::cli::ask::{print, table};
use crate::cli::{Exit, Failure};
use crate::control::client::Client;
use crate::control::protocol::{AudioView, CallView, Refusal, RefusalCode, Reply, Request};

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Row<'a> {
    call: u64,
    leg: u64,
    party: &'a str,
    state: &'a str,
    audio: Option<&'a AudioView>,
}

pub(super) fn run(options: &Quality) -> Result<Exit, Failure> {
    let mut client = Client::connect(&options.ask.socket)?;
    if !options.watch {
        let reply = client.ask(&Request::Calls)?;
        let calls = calls_of(&reply);
        let rows = rows(calls, options.of);
        if let (Some(number), true) = (options.of, rows.is_empty()) {
            return Err(no_such(number));
        }
        print(&rendered(&rows, options.ask.json)?)?;
        return Ok(Exit::Done);
    }
    client.watch()?;
    let clear = io::stdout().is_terminal() && !options.ask.json;
    loop {
        let reply = client.next()?;
        let mut text = rendered(&rows(calls_of(&reply), options.of), options.ask.json)?;
        if clear {
            // Home and clear to the end of the screen.
            text.insert_str(0, "\x1b[H\x1b[J");
        }
        print(&text)?;
    }
}

fn calls_of(reply: &Reply) -> &[CallView] {
    match reply {
        Reply::Calls(calls) => calls,
        // Nothing else is answered to this request; the client has made errors of refusals.
        Reply::Status(_)
        | Reply::Stations(_)
        | Reply::Lines(_)
        | Reply::Link(_)
        | Reply::Reach(_)
        | Reply::Media(_)
        | Reply::Done(_)
        | Reply::Error(_) => &[],
    }
}

/// All legs, or those of the call or the leg of this number.
fn rows(calls: &[CallView], of: Option<u64>) -> Vec<Row<'_>> {
    let all = calls.iter().flat_map(|call| {
        call.legs.iter().map(|leg| Row {
            call: call.call,
            leg: leg.leg,
            party: &leg.party,
            state: &leg.state,
            audio: leg.audio.as_ref(),
        })
    });
    let meant = |row: &Row<'_>| of.is_none_or(|number| row.call == number || row.leg == number);
    all.filter(meant).collect()
}

fn no_such(number: u64) -> Failure {
    crate::control::client::AskError::Refused(Refusal {
        code: RefusalCode::NotFound,
        text: format!("there is no call and no leg with the number {number}"),
        remedy: "look with `calls` or `media quality`".to_owned(),
    })
    .into()
}

fn rendered(rows: &[Row<'_>], json: bool) -> Result<String, Failure> {
    if json {
        let mut text = serde_json::to_string(rows).map_err(|error| Failure::fault(error.into()))?;
        text.push('\n');
        return Ok(text);
    }
    if rows.is_empty() {
        return Ok("no calls\n".to_owned());
    }
    let head = [
        "call",
        "leg",
        "party",
        "codec",
        "heard: loss",
        "jitter",
        "delay",
        "level",
        "mos",
        "hears: loss",
        "jitter",
        "mos",
        "round trip",
        "remark",
    ];
    Ok(table(head, rows.iter().map(cells)))
}

/// What is not known is a dash.
fn cells(row: &Row<'_>) -> [String; 14] {
    let name = [row.call.to_string(), row.leg.to_string(), row.party.into()];
    let [call, leg, party] = name;
    let known = row.audio.map(|audio| {
        let (received, sent) = (&audio.received, &audio.sent);
        let far = sent.far_end.as_ref();
        let level = received.decoded.as_ref().and_then(|found| found.level_dbfs);
        [
            codec(audio),
            percent(Some(received.loss_percent)),
            ms(Some(received.jitter_ms)),
            ms(received.delay_ms),
            level.map_or_else(dash, |level| format!("{level:.1} dBFS")),
            score(received.mos),
            percent(far.map(|far| far.loss_percent)),
            ms(far.map(|far| far.jitter_ms)),
            score(far.and_then(|far| far.mos)),
            ms(audio.round_trip_ms),
            audio.remark.clone().unwrap_or_default(),
        ]
    });
    let figures = known.unwrap_or_else(|| std::array::from_fn(|_| dash()));
    let [
        codec,
        loss,
        jitter,
        delay,
        level,
        mos,
        far_loss,
        far_jitter,
        far_mos,
        round,
        remark,
    ] = figures;
    [
        call, leg, party, codec, loss, jitter, delay, level, mos, far_loss, far_jitter, far_mos,
        round, remark,
    ]
}

/// Codec, bandwidth, and whether it is transcoded, as short as a table wants it.
pub(in crate::cli) fn codec(audio: &AudioView) -> String {
    let Some(codec) = &audio.codec else {
        return dash();
    };
    let band = audio.bandwidth.as_deref().unwrap_or("");
    let how = match audio.transcoded {
        true => "transcoded",
        false => "relayed",
    };
    let words = [codec.as_str(), band, how];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

pub(in crate::cli) fn percent(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.1} %"))
}

pub(in crate::cli) fn ms(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.0} ms"))
}

pub(in crate::cli) fn score(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.1}"))
}

pub(in crate::cli) fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{FarEndView, LegView, ReceivedView, SentView};

    fn leg(leg: u64, audio: Option<AudioView>) -> LegView {
        LegView {
            leg,
            party: "101".to_owned(),
            state: "answered".to_owned(),
            encryption: None,
            audio,
        }
    }

    fn calls() -> Vec<CallView> {
        let audio = AudioView {
            codec: Some("g722".to_owned()),
            bandwidth: Some("wide".to_owned()),
            transcoded: true,
            round_trip_ms: Some(12.0),
            silent_ms: Some(20.0),
            received: ReceivedView {
                packets: 98,
                lost: 2,
                loss_percent: 2.0,
                jitter_ms: 3.4,
                delay_ms: None,
                mos: Some(4.24),
                decoded: None,
            },
            sent: SentView {
                packets: 100,
                far_end: Some(FarEndView {
                    lost: 1,
                    loss_percent: 1.0,
                    jitter_ms: 0.6,
                    mos: None,
                }),
            },
            remark: Some("its packets are lost".to_owned()),
        };
        vec![CallView {
            call: 7,
            from: "101".to_owned(),
            to: "102".to_owned(),
            state: "talking".to_owned(),
            priority: 70,
            seconds: 5,
            legs: vec![leg(11, Some(audio)), leg(12, None)],
        }]
    }

    #[test]
    fn each_leg_is_a_line_and_what_is_not_known_is_a_dash() {
        let calls = calls();
        let text = rendered(&rows(&calls, None), false)
            .map_err(|_| ())
            .unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|c| !c.is_empty())
                    .collect()
            })
            .collect();
        let known = [
            "7",
            "11",
            "101",
            "g722 wide transcoded",
            "2.0 %",
            "3 ms",
            "-",
            "-",
            "4.2",
            "1.0 %",
            "1 ms",
            "-",
            "12 ms",
            "its packets are lost",
        ];
        assert_eq!(lines[1], known);
        assert_eq!(lines[2][..4], ["7", "12", "101", "-"]);
    }

    #[test]
    fn a_call_or_a_leg_is_meant_by_its_number() {
        let calls = calls();
        let legs = |of| -> Vec<u64> { rows(&calls, of).iter().map(|row| row.leg).collect() };
        assert_eq!(legs(None), [11, 12]);
        assert_eq!(legs(Some(7)), [11, 12]);
        assert_eq!(legs(Some(12)), [12]);
        assert!(legs(Some(99)).is_empty());
    }
}
