//! Chromium with one page, driven by `tests/browser/driver.mjs`, which `scripts/setup.sh test`
//! installs Playwright for.
//!
//! Knows no page: where things are is said in Playwright's selectors. Each order waits for what it
//! wants and fails when that does not come.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::Program;

/// What it says into its microphone, and which pages without TLS may hear it.
#[derive(Debug, Clone, Copy)]
pub struct Microphone<'a> {
    pub says: &'a Path,
    /// Browsers give the microphone to this machine's own pages only; here the network is a test's.
    pub page: &'a str,
}

#[derive(Debug, Clone, Copy)]
pub enum Colours {
    Light,
    Dark,
}

#[derive(Debug)]
pub struct Browser {
    program: Program,
}

impl Browser {
    /// Why there is none; `None` when there is one.
    pub fn missing() -> Option<String> {
        let there = Path::new("/usr/bin/chromium").exists() && packages().exists();
        (!there).then(|| "scripts/setup.sh test was not run".to_owned())
    }

    /// Starts it at a host; `folder` is where it keeps what browsers keep.
    pub fn start(at: IpAddr, folder: &Path, microphone: Option<Microphone<'_>>) -> Result<Self> {
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser/driver.mjs");
        let mut command = Command::new("node");
        command
            .arg(driver)
            .arg(packages())
            .arg(folder.join("browser"));
        if let Some(Microphone { says, page }) = microphone {
            command.arg("--use-fake-ui-for-media-stream");
            command.arg("--use-fake-device-for-media-stream");
            command.arg(format!(
                "--use-file-for-fake-audio-capture={}",
                says.display()
            ));
            command.arg(format!("--unsafely-treat-insecure-origin-as-secure={page}"));
        }
        let program = Program::start_listening("the browser", at, &command)?;
        program.wait_for("ready")?;
        Ok(Self { program })
    }

    pub fn open(&mut self, url: &str) -> Result<()> {
        self.order(&json!({"order": "open", "url": url}))
    }

    pub fn click(&mut self, at: &str) -> Result<()> {
        self.order(&json!({"order": "click", "at": at}))
    }

    /// Chooses in a list.
    pub fn choose(&mut self, at: &str, value: &str) -> Result<()> {
        self.order(&json!({"order": "choose", "at": at, "value": value}))
    }

    /// Waits until it is to be seen.
    pub fn see(&mut self, at: &str) -> Result<()> {
        self.order(&json!({"order": "see", "at": at}))
    }

    /// Waits until it says these words, perhaps among others.
    pub fn read(&mut self, at: &str, text: &str) -> Result<()> {
        self.order(&json!({"order": "see", "at": at, "text": text}))
    }

    /// Goes there by the key Tab alone, and sees where it is.
    pub fn tab_to(&mut self, at: &str) -> Result<()> {
        self.order(&json!({"order": "tab", "at": at}))
    }

    pub fn key(&mut self, key: &str) -> Result<()> {
        self.order(&json!({"order": "key", "key": key}))
    }

    /// Fails where the page is wider than that.
    pub fn look(&mut self, colours: Colours, width: u32, height: u32) -> Result<()> {
        let colours = match colours {
            Colours::Light => "light",
            Colours::Dark => "dark",
        };
        self.order(&json!({"order": "look", "colours": colours, "width": width, "height": height}))
    }

    /// From then on a finger is laid on a passkey reader whenever a page asks; whose finger is told
    /// by `verifies`.
    pub fn authenticator(&mut self, verifies: bool) -> Result<()> {
        self.order(&json!({"order": "authenticator", "verifies": verifies}))
    }

    /// Runs a script in the page, and waits for what it promises.
    pub fn run(&mut self, script: &str) -> Result<()> {
        self.order(&json!({"order": "run", "script": script}))
    }

    /// The whole page as it looks now, below `target/pages`.
    pub fn picture(&mut self, name: &str) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
        let file = folder.join(name).with_extension("png");
        self.order(&json!({"order": "picture", "file": file}))
    }

    /// Fails with what axe-core finds: what keeps people from using the page.
    pub fn must_be_accessible(&mut self) -> Result<()> {
        self.order(&json!({"order": "axe"}))
    }

    /// Fails if anything went wrong in the page's own code.
    pub fn must_be_sound(&mut self) -> Result<()> {
        self.order(&json!({"order": "sound"}))
    }

    fn order(&mut self, order: &Value) -> Result<()> {
        let mark = self.program.mark();
        self.program.say(&order.to_string())?;
        let answer = self
            .program
            .wait_where(mark, "what became of an order", |line| {
                let over = line == "ok" || line.starts_with("error:");
                over.then(|| line.to_owned())
            })?;
        match answer.as_str() {
            "ok" => Ok(()),
            error => bail!("{order}: {error}"),
        }
    }
}

fn packages() -> PathBuf {
    let state = std::env::var_os("ANTIPHON_STATE").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    state.unwrap_or(root).join("browser/node_modules")
}
