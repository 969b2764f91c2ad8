//! The table drivers for OpenWebNet against OWNd, a client that others wrote, at one server; and both
//! at the legacy site.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::gateway::{self, Gateway, Setup};
use e2e::legacy_site::LegacySite;
use e2e::{OpenWebNetServer, Ownd, Site, at_site, house, not_run, wait};
use serde_json::Value;

/// Where the server is, and OWNd.
const SERVER: u8 = 40;
const CLIENT: u8 = 41;

/// A gate of the server behind the line for commands; who rings waits at the reception.
fn setup(site: &Site, server: SocketAddr) -> Setup<'static> {
    let connect = format!("connect = \"{server}\"");
    setup_at(site, "21", [&connect, &connect])
}

/// The same for the gate of this number, with each connection where it goes.
fn setup_at(site: &Site, gate: &str, [commands, events]: [&str; 2]) -> Setup<'static> {
    let line = |name: &str, preset: &str, more: &str, connect: &str| {
        format!(
            "[[line]]\nname = \"{name}\"\nkind = \"other\"\ndriver = \"table\"\nsystem = 1\n\
             own_system = 2\ntcp = {{ {connect}, plain = true }}\n\
             table = {{ preset = \"{preset}\"{more}\n"
        )
    };
    Setup::new(site.host(house::GATEWAY))
        .station("102", "")
        .directory(&format!(
            "[[desks]]\nnumber = \"500\"\npositions = [\"102\"]\n\
             [[stations]]\nnumber = \"{gate}\"\nkind = \"door_station\"\nbehind = \"commands\"\n\
             [[stations.doors]]\nkey = \"gate\"\noutput = 1\ncode = \"#1\"\n",
        ))
        .more(&line(
            "commands",
            "openwebnet-commands",
            ", outputs_enabled = true }\nauthority = \"a token of these tests\"",
            commands,
        ))
        .more(&line(
            "events",
            "openwebnet-events",
            " }\ndesk = \"500\"",
            events,
        ))
}

fn figure(gateway: &Gateway, line: &str, figure: &str) -> Result<u64> {
    let lines = gateway.ask(&["lines"])?;
    let mut all = lines.as_array().context("a list")?.iter();
    let found = all.find(|shown| shown["name"] == line);
    let found = found.with_context(|| format!("{line} in {lines}"))?;
    let count = found["figures"][figure].as_u64();
    count.with_context(|| format!("{figure} of {found}"))
}

fn wait_for_figure(gateway: &Gateway, line: &str, name: &str, wanted: u64) -> Result<()> {
    wait::until_true(&format!("{name} of {line} to be {wanted}"), || {
        Ok(figure(gateway, line, name)? == wanted)
    })
}

/// The server, the gateway with both lines up, and OWNd with both of its sessions.
fn start(site: &Site) -> Result<(Gateway, Ownd)> {
    let at = SocketAddr::new(site.host(SERVER), 20_000);
    let server = OpenWebNetServer::start(at)?;
    let gateway = Gateway::start(&setup(site, at), site.folder())?;
    let client = Ownd::start(site.host(CLIENT), at)?;
    server.wait_for_clients(2)?;
    // Both acknowledgements, of the connection and of what it is for.
    wait_for_figure(&gateway, "commands", "frames", 2)?;
    wait_for_figure(&gateway, "events", "frames", 2)?;
    Ok((gateway, client))
}

/// No contact feels the door: that the server took the command is all that is known.
#[test]
fn b9_a_door_opened_at_the_gateway_is_read_by_ownd_as_a_lock_that_opens() {
    if let Some(why) = Ownd::missing() {
        return not_run::note("OWNd", &why);
    }
    at_site(|site| {
        let (gateway, client) = start(site)?;
        gateway.ask(&["open", "gate"])?;
        ensure!(client.heard("*8*19*21##")? == "who=8 what=19 where=21");
        gateway.wait_for_metric(&["antiphon_door_commands_total", "not_confirmed"], 1.0)?;
        ensure!(gateway.metric(&["antiphon_door_commands_total", "opened"])? == 0.0);
        wait_for_figure(&gateway, "commands", "frames", 3)?;
        Ok(())
    });
}

#[test]
fn b9_what_ownd_sends_arrives_as_events_and_what_no_rule_knows_is_kept() {
    if let Some(why) = Ownd::missing() {
        return not_run::note("OWNd", &why);
    }
    at_site(|site| {
        let (gateway, mut client) = start(site)?;
        let call = client.sends("send *8*1#1#4#21*10##")?;
        ensure!(client.heard(&call)? == "who=8 what=1 #1 #4 #21 where=10");
        client.sends("send *8*19*21##")?;
        client.sends("send *8*20*21##")?;
        let light = client.sends("light_on 12")?;
        ensure!(light == "*1*1*12##", "{light}");
        wait_for_figure(&gateway, "events", "frames", 6)?;
        let timeline = ["timeline", "--json"];
        for event in ["line_request_new", "line_door_state", "request_queued"] {
            let entry = format!("\"event\":\"{event}\"");
            wait::until_true(&format!("{event} on the timeline"), || {
                Ok(gateway.run(&timeline)?.contains(&entry))
            })?;
        }
        for (name, count) in [("opaque", 1), ("malformed", 0), ("requests_refused", 0)] {
            let counted = figure(&gateway, "events", name)?;
            ensure!(counted == count, "{name} {counted}");
        }
        Ok(())
    });
}

/// The site has a line for those who listen, and one for those who command.
fn start_legacy(site: &Site) -> Result<(LegacySite, SocketAddr, u16)> {
    let events = SocketAddr::new(site.host(SERVER), 20_000);
    let commands = SocketAddr::new(events.ip(), 20_001);
    let lines = format!(
        "protocol = \"openwebnet\"\nlisten = \"{events}\"\n\
         [[line]]\nname = \"commands\"\ngateway = 2\nprotocol = \"openwebnet\"\n\
         listen = \"{commands}\""
    );
    let legacy = LegacySite::start(events.ip(), &lines, site.folder())?;
    Ok((legacy, events, commands.port()))
}

#[test]
fn b9_ownd_opens_a_door_of_the_legacy_site_and_hears_who_rings() {
    if let Some(why) = Ownd::missing() {
        return not_run::note("OWNd", &why);
    }
    at_site(|site| {
        let (mut legacy, events, commands) = start_legacy(site)?;
        let mut client = Ownd::start_at_two(site.host(CLIENT), events, commands)?;
        legacy.order("press gate 1")?;
        ensure!(client.heard("*8*1#1#4#2101*2001##")? == "who=8 what=1 #1 #4 #2101 where=2001");
        client.sends("send *8*19*2101##")?;
        legacy.order("wait door gate 1 open")?;
        ensure!(client.heard("*8*19*2101##")? == "who=8 what=19 where=2101");
        ensure!(client.heard("*8*20*2101##")? == "who=8 what=20 where=2101");
        // A place without a lock, and a WHO that it has none of.
        client.sends_in_vain("send *8*19*99##")?;
        client.sends_in_vain("light_on 12")?;
        legacy.order("wait door gate 1 closed within 10")
    });
}

#[test]
fn b9_a_gateway_opens_a_door_of_the_legacy_site_over_openwebnet_and_hears_who_rings() {
    at_site(|site| {
        let (mut legacy, events, commands) = start_legacy(site)?;
        let at = |port| format!("connect = \"{}\"", SocketAddr::new(events.ip(), port));
        let gateway = setup_at(site, "2101", [&at(commands), &at(events.port())]);
        let gateway = Gateway::start(&gateway, site.folder())?;
        for line in ["gateway", "commands"] {
            legacy.order(&format!("wait line {line} up within 20"))?;
        }
        gateway.ask(&["open", "gate"])?;
        legacy.order("wait door gate 1 open")?;
        gateway.wait_for_metric(&["antiphon_door_commands_total", "not_confirmed"], 1.0)?;
        legacy.order("press gate 1")?;
        for event in ["line_request_new", "line_door_state", "request_queued"] {
            let entry = format!("\"event\":\"{event}\"");
            wait::until_true(&format!("{event} on the timeline"), || {
                Ok(gateway.run(&["timeline", "--json"])?.contains(&entry))
            })?;
        }
        Ok(())
    });
}

/// What `decode` says of a frame, one event a line.
fn decoded(preset: &str, frame: &str, folder: &Path) -> Result<Vec<Value>> {
    let file = folder.join("frame.txt");
    std::fs::write(&file, frame)?;
    let mut command = Command::new(gateway::binary()?);
    command.args(["decode", "--as", "table", "--driver", preset]);
    let output = command.arg(&file).output()?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{preset} of {frame}: {said}");
    let values = said.lines().map(serde_json::from_str);
    Ok(values.collect::<Result<_, _>>()?)
}

/// A frame, what OWNd makes of it, and the event that the driver makes of it.
type Example = (&'static str, &'static str, Option<&'static str>);

/// One for each rule and greeting of both drivers.
const EXAMPLES: [(&str, &[Example]); 2] = [
    (
        "openwebnet-events",
        &[
            ("*99*1##", "signal", None),
            ("*#*1##", "signal", None),
            ("*#*0##", "signal", None),
            (
                "*8*1#1#4#21*10##",
                "who=8 what=1 #1 #4 #21 where=10",
                Some("request_new"),
            ),
            ("*8*19*21##", "who=8 what=19 where=21", Some("door_state")),
            ("*8*20*21##", "who=8 what=20 where=21", Some("door_state")),
        ],
    ),
    (
        "openwebnet-commands",
        &[
            ("*99*0##", "signal", None),
            ("*#*1##", "signal", None),
            ("*#*0##", "signal", None),
            ("*8*19*21##", "who=8 what=19 where=21", None),
        ],
    ),
];

/// What the frames of a driver's file begin with: rules and the greeting.
fn beginnings(preset: &str) -> Result<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drivers");
    let text = std::fs::read_to_string(folder.join(format!("{preset}.toml")))?;
    let quoted = |after: &str| {
        let rest = after.split_once('"')?.0;
        (rest != "*").then(|| format!("*{rest}"))
    };
    let heads = ["fixed = \"", "greeting = [\""];
    let after = heads.iter().flat_map(|head| text.split(head).skip(1));
    Ok(after.filter_map(quoted).collect())
}

#[test]
fn every_frame_of_both_drivers_is_right_for_ownd() {
    if let Some(why) = Ownd::missing() {
        return not_run::note("OWNd", &why);
    }
    at_site(|site| {
        let at = SocketAddr::new(site.host(SERVER), 20_000);
        let _server = OpenWebNetServer::start(at)?;
        let mut client = Ownd::start(site.host(CLIENT), at)?;
        for (preset, examples) in EXAMPLES {
            for beginning in beginnings(preset)? {
                let mut all = examples.iter();
                let shown = all.any(|(frame, ..)| frame.starts_with(&beginning));
                ensure!(shown, "{preset}: no example of {beginning}");
            }
            for (frame, meaning, event) in examples {
                let read = client.reads(frame)?;
                ensure!(read == *meaning, "{frame} is {read}");
                if let Some(event) = event {
                    let told = decoded(preset, frame, site.folder())?;
                    ensure!(told.len() == 1 && told[0]["event"] == *event, "{told:?}");
                }
            }
        }
        // As the driver had it once.
        ensure!(client.reads("*8*1#1#4#21##")? == "invalid");
        Ok(())
    });
}
