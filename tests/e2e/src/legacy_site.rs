//! `antiphon-site`, an older intercom server with its stations, as the other end of a line.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{PATIENCE, Program, gateway};

/// Two stations of server 1, and one of server 3 behind it. The gateway is system 2.
const STATIONS: &str = r#"
name = "Works"
node = { number = 1, name = "Hall 1" }
further_node = [{ number = 3, name = "Hall 2" }]

[[station]]
id = "porter"
name = "Porter"
number = "2001"
kind = "desk"

[[station]]
id = "gate"
name = "Gate East"
number = "2101"
kind = "door"
[[station.button]]
label = "Porter"
calls = "porter"
[[station.button]]
label = "Reception"
calls = "2/102"
[[station.button]]
label = "Desk"
asks = "2/500"
[[station.button]]
label = "HELP"
calls = "2/102"
priority = 1
[[station.button]]
label = "Help at the desk"
asks = "2/500"
priority = 2
[[station.door]]
name = "Gate"
contact = true
[[station.door]]
name = "Wicket"

[[station]]
id = "workshop"
name = "Workshop"
number = "3101"
node = 3
"#;

#[derive(Debug)]
pub struct LegacySite {
    program: Program,
}

impl LegacySite {
    /// Works in `folder`, where the sounds are that its stations say and hear.
    ///
    /// `line` is how the gateway gets there, in the words of docs/legacy-site.md; by the open link
    /// profile, if it says nothing else.
    pub fn start(at: IpAddr, line: &str, folder: &Path) -> Result<Self> {
        let mut command = Self::stations(at, line, folder)?;
        command.arg("--no-page");
        Self::run(at, command, folder)
    }

    /// The same with its page.
    pub fn start_with_page(page: SocketAddr, line: &str, folder: &Path) -> Result<Self> {
        let mut command = Self::stations(page.ip(), line, folder)?;
        command.arg("--page").arg(page.to_string());
        Self::run(page.ip(), command, folder)
    }

    fn stations(at: IpAddr, line: &str, folder: &Path) -> Result<Command> {
        let file = folder.join("legacy-site.toml");
        let protocol = match line.contains("protocol") {
            true => "",
            false => "protocol = \"versicle\"",
        };
        let text = format!(
            "{STATIONS}\n[sound]\naddress = \"{at}\"\n[[line]]\nname = \"gateway\"\ngateway = 2\n\
             {protocol}\n{line}\n"
        );
        std::fs::write(&file, text)?;
        let mut command = Command::new(gateway::build("simulator", "antiphon-site")?);
        command.arg(&file);
        Ok(command)
    }

    /// The site that is built in, with its page; its line waits at `line`.
    pub fn start_demo(page: SocketAddr, line: SocketAddr, folder: &Path) -> Result<Self> {
        let mut command = Command::new(gateway::build("simulator", "antiphon-site")?);
        command.arg("--page").arg(page.to_string());
        command.arg("--listen").arg(format!("gateway={line}"));
        Self::run(page.ip(), command, folder)
    }

    fn run(at: IpAddr, mut command: Command, folder: &Path) -> Result<Self> {
        command.arg("--orders").current_dir(folder);
        let program = Program::start_listening("the legacy site", at, &command)?;
        program.wait_for("ready")?;
        Ok(Self { program })
    }

    /// Gives an order and waits until it is carried out.
    pub fn order(&mut self, order: &str) -> Result<()> {
        let mark = self.program.mark();
        self.program.say(order)?;
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

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Ends it, as when the power fails.
    pub fn end(mut self) -> Result<()> {
        self.program.signal(nix::sys::signal::Signal::SIGKILL)?;
        self.program.finish(PATIENCE)?;
        Ok(())
    }
}
