use std::path::PathBuf;

use legacy_protocols::table::presets;
use proptest::prelude::*;

use super::super::problems::ConfigErrors;
use super::*;

fn shipped(name: &str) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drivers");
    let file = folder.join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&file).unwrap();
    (file, text)
}

fn complaints(text: &str) -> Vec<String> {
    let Err(ConfigErrors(found)) = parse(Path::new("driver.toml"), text) else {
        return Vec::new();
    };
    let line =
        |p: &super::super::Problem| format!("{} {}: {} | {}", p.line, p.path, p.what, p.remedy);
    found.iter().map(line).collect()
}

#[test]
fn the_shipped_files_say_what_the_presets_are() {
    for (name, _) in PRESETS {
        let (file, text) = shipped(name);
        let read = parse(&file, &text).unwrap();
        assert_eq!(Some(read), preset(name, Outputs::Enabled), "{name}");
    }
    assert_eq!(preset("vendor-secret", Outputs::Enabled), None);
}

#[test]
fn the_template_is_refused_until_it_is_filled_in_and_says_what_is_missing() {
    let (file, text) = shipped("licensed-server-link");
    let Err(ConfigErrors(found)) = parse(&file, &text) else {
        panic!("an empty driver was taken");
    };
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["receive", "frame"]);
    let mut problems = Problems::default();
    let source = problems.add_source(&file, &text);
    let empty = read::manifest(&read_document(source, &text, &mut problems), &mut problems);
    assert_eq!(empty, presets::licensed_server_link());
}

#[test]
fn its_commented_examples_make_a_driver() {
    let (file, text) = shipped("licensed-server-link");
    let filled: String = text
        .lines()
        .map(|line| {
            let code = line
                .strip_prefix('#')
                .filter(|rest| !rest.starts_with(' ') || rest.starts_with("    {"));
            // One way to find the end of a frame is enough.
            let kept = code.unwrap_or(line);
            format!("{kept}\n")
        })
        .collect();
    let length = filled.find("\n[frame.length]").unwrap();
    let check = filled.find("[check]").unwrap();
    let filled = format!("{}\n{}", &filled[..length], &filled[check..]);
    parse(&file, &filled).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_line_and_a_remedy() {
    let text = "\
name = \"x\"
[frame]
end = \"hex:0\"
longst = 5
[check]
kind = \"crc\"
[[receive]]
name = \"a\"
tells = \"station_stat\"
fields = [{ fixed = \"a\", shape = \"u8\" }, { shape = \"bcd\" }]
[[transmit]]
name = \"b\"
command = \"open_sesame\"
";
    let found = complaints(text);
    let starts = [
        "3 frame.end: these are not pairs of hex digits | write a text of ASCII",
        "4 frame.longst: unknown key `longst` | did you mean `longest`?",
        "6 check.kind: \"crc\" is not known here | write one of \"none\"",
        "7 receive[0]: it is not said, or said twice",
        "9 receive[0].tells: \"station_stat\" is not known here; did you mean \"station_state\"?",
        "10 receive[0].fields[0]: a field is either `fixed` or has a `shape`",
        "10 receive[0].fields[1]: a number in BCD needs a `width` | add width",
        "13 transmit[0].command: \"open_sesame\" is not known here | write a command",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (complaint, start) in found.iter().zip(starts) {
        assert!(complaint.starts_with(start), "{complaint}\nis not\n{start}");
    }
}

#[test]
fn what_makes_no_sense_together_has_its_line_too() {
    let text = "\
name = \"x\"
[frame]
end = \"\\n\"
encoding = \"ascii\"
[limits]
numbers = [\"100-99\"]
[[receive]]
name = \"a\"
tells = \"station_state\"
fields = [{ slot = \"station\", shape = \"digits\" }]
[[transmit]]
name = \"b\"
command = \"door_open\"
fields = [{ slot = \"station\", shape = \"digits\" }]
";
    let found = complaints(text);
    let starts = [
        "6 limits.numbers[0]: no range | give two numbers",
        "7 receive[0]: nothing tells state | add a field or a constant",
        "13 transmit[0].command: door_open drives an output | say outputs_enabled = true in limits",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (complaint, start) in found.iter().zip(starts) {
        assert!(complaint.starts_with(start), "{complaint}\nis not\n{start}");
    }
}

proptest! {
    /// Files that are almost right: pieces of the shipped ones, cut and put together anywhere.
    #[test]
    fn any_text_is_read_or_refused(
        cuts in proptest::collection::vec((0..5_usize, 0..4_000_usize, 0..400_usize), 1..6),
        noise in ".{0,20}",
    ) {
        let names = PRESETS.iter().map(|(name, _)| *name).chain(["licensed-server-link"]);
        let texts: Vec<String> = names.map(|name| shipped(name).1).collect();
        let mut text = noise;
        for (which, from, length) in cuts {
            let lines = texts[which].chars().skip(from).take(length);
            text.extend(lines);
        }
        survives(&text);
        // And one of them with a hole in it.
        let (which, from, length) = (text.len() % texts.len(), text.len(), text.len() % 97);
        let whole = &texts[which];
        let holed = whole.chars().take(from).chain(whole.chars().skip(from + length));
        survives(&holed.collect::<String>());
    }
}

/// What must hold of any text: it makes a driver, or every complaint has a line and a remedy.
fn survives(text: &str) {
    match parse(Path::new("driver.toml"), text) {
        Ok(manifest) => {
            assert_eq!(table::validate(&manifest), Ok(()));
            table::Session::new(manifest).unwrap();
        }
        Err(ConfigErrors(found)) => {
            assert!(!found.is_empty());
            for problem in found {
                assert!(problem.line > 0 && !problem.what.is_empty() && !problem.remedy.is_empty());
            }
        }
    }
}

#[test]
fn a_preset_drives_outputs_only_where_it_may() {
    use legacy_protocols::coverage::CommandKind;
    let commands = |outputs| preset("openwebnet-commands", outputs).unwrap().coverage();
    assert!(!commands(Outputs::Refused).can_command(CommandKind::DoorOpen));
    assert!(commands(Outputs::Enabled).can_command(CommandKind::DoorOpen));
}
