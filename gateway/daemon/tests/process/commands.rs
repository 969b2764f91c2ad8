//! The command line: exit codes and what it says.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::gateway::{Site, directory, json, run, text};

#[test]
fn help_has_examples_and_every_exit_code() {
    let output = run(["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for part in [
        "Examples:",
        "calls --watch",
        "10  an address or the state folder is used",
    ] {
        assert!(help.contains(part), "{help}");
    }
    assert_eq!(run(["frobnicate"]).status.code(), Some(2));
    assert_eq!(run(["serve"]).status.code(), Some(2));
}

#[test]
fn the_shipped_examples_are_good() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gateway.toml");
    let output = run(["check-config", example]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));

    let folder = tempfile::tempdir().unwrap();
    let sample = folder.path().join("gateway.toml");
    std::fs::write(&sample, run(["config-reference"]).stdout).unwrap();
    let output = run(["check-config", sample.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_bound() {
    let site = Site::new("[[stations]]\nnumber = \"101\"\n");
    let configuration = site.path("gateway.toml");
    let configuration = configuration.to_str().unwrap();
    let output = run(["serve", "--config", configuration]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.contains("directory.toml:1:1: stations[0]: this station has no password"),
        "{told}"
    );
    assert!(told.contains("remedy: add password_file"), "{told}");
    assert!(!site.path("state").exists() && !site.path("control.sock").exists());

    let output = run(["check-config", "--json", configuration]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(json(&output.stdout)[0]["line"], 1);
}

#[test]
fn without_a_gateway_the_commands_say_how_to_start_one() {
    for command in ["status", "calls", "stations", "reload"] {
        let output = run([command, "--socket", "/nowhere/control.sock"]);
        assert_eq!(output.status.code(), Some(6), "{command}");
        let told = text(&output.stderr);
        assert!(
            told.contains("no gateway is running at /nowhere/control.sock: start it"),
            "{told}"
        );
    }
}

#[test]
fn what_does_not_exist_has_its_own_code() {
    let site = Site::new(&directory(&["101"]));
    let gateway = site.start();
    for (command, argument) in [("end", "5"), ("open", "cellar")] {
        let output = gateway.command([command, argument]);
        assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    }
    assert_eq!(text(&gateway.command(["calls"]).stdout), "no calls\n");
    assert!(text(&gateway.command(["stations"]).stdout).contains("101     Maria Gruber"));
}

#[test]
fn decode_says_by_its_code_what_it_understood() {
    let message = "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n\
                   From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: x\r\n\
                   CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    for (content, code, part) in [
        (message.to_owned(), 0, "\"method\":\"OPTIONS\""),
        (message.replace("CSeq: 1", "CSeq: one"), 3, "\"answer\":400"),
        ("hello".to_owned(), 4, "neither a SIP message"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = run(["decode", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code));
        assert!(
            text(&output.stdout).contains(part),
            "{}",
            text(&output.stdout)
        );
    }
    let output = run(["decode", "/nowhere/message"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("/nowhere/message cannot be read"));
}

#[test]
fn hash_password_reads_one_line_and_does_not_echo_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon-gateway"))
        .args([
            "hash-password",
            "--realm",
            "testrealm@host.com",
            "--user",
            "Mufasa",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"Circle Of Life\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    // RFC 2617 3.5.
    assert!(
        told.contains("ha1_md5 = \"939e7578ed9e3c518a452acee763bce9\""),
        "{told}"
    );
    assert!(!told.contains("Circle"), "{told}");
}
