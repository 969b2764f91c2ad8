//! The interface of a cloud core, asked as the portal asks it, with `curl` as the browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{Cloud, cloud, wait};

/// A session of the owner.
#[derive(Debug)]
pub struct Portal {
    url: String,
    root: PathBuf,
    cookies: PathBuf,
    password: String,
    orders: u32,
}

impl Portal {
    pub fn sign_in(cloud: &Cloud, folder: &Path) -> Result<Self> {
        let mut portal = Self {
            url: cloud.url.clone(),
            root: cloud.root().context("a core that speaks TLS")?.to_owned(),
            cookies: folder.join("cookies"),
            password: cloud.password.clone(),
            orders: 0,
        };
        let login = json!({"mail": cloud::OWNER, "password": portal.password});
        portal.must("POST", "login", Some(&login))?;
        Ok(portal)
    }

    /// Asks; the status and what is answered.
    pub fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.ask_with(method, path, body, &[])
    }

    /// Changes what has the version that was read.
    pub fn change(&mut self, path: &str, version: &Value, body: &Value) -> Result<Value> {
        let version = format!("if-match: \"{version}\"");
        let (status, answer) = self.ask_with("PATCH", path, Some(body), &[&version])?;
        ensure!((200..300).contains(&status), "{path}: {status} {answer}");
        Ok(answer)
    }

    fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[&str],
    ) -> Result<(u16, Value)> {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--max-time",
            "20",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
        ]);
        command.arg("--cacert").arg(&self.root);
        command
            .arg("-b")
            .arg(&self.cookies)
            .arg("-c")
            .arg(&self.cookies);
        command.args(["-H", &format!("origin: {}", self.url)]);
        for header in headers {
            command.args(["-H", header]);
        }
        if let Some(body) = body {
            self.orders += 1;
            let key = format!("order-{}-{}", std::process::id(), self.orders);
            command.args(["-H", "content-type: application/json"]);
            command.args(["-H", &format!("idempotency-key: {key}")]);
            command.args(["-d", &body.to_string()]);
        }
        let output = command
            .arg(format!("{}/api/v1/{path}", self.url))
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = || String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{path}: {}", wrong());
        let (answer, status) = said.rsplit_once('\n').context("no status")?;
        let status = status.parse()?;
        match answer {
            "" => Ok((status, Value::Null)),
            answer => Ok((status, serde_json::from_str(answer)?)),
        }
    }

    /// Asks for what is answered with yes.
    pub fn must(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.ask(method, path, body)?;
        ensure!((200..300).contains(&status), "{path}: {status} {answer}");
        Ok(answer)
    }

    pub fn get(&mut self, path: &str) -> Result<Value> {
        self.must("GET", path, None)
    }

    /// Shows once more who she is, for what asks for that.
    pub fn prove(&mut self) -> Result<()> {
        let proof = json!({"password": self.password});
        self.must("POST", "me/proof", Some(&proof)).map(drop)
    }

    /// The id of the owner's company.
    pub fn company(&mut self) -> Result<String> {
        let me = self.get("me")?;
        let first = me["companies"][0].as_str();
        Ok(first.context(me.to_string())?.to_owned())
    }

    /// A site with a gateway that waits for being claimed: its device, and its code.
    pub fn add_gateway(&mut self) -> Result<(String, String)> {
        let company = self.company()?;
        self.orders += 1;
        let project = json!({"name": format!("North {}", self.orders)});
        let project = self.must(
            "POST",
            &format!("companies/{company}/projects"),
            Some(&project),
        )?;
        let path = format!("projects/{}/sites", text(&project, "id")?);
        let site = json!({"name": "Hall", "time_zone": "Europe/Vienna"});
        let site = self.must("POST", &path, Some(&site))?;
        let path = format!("sites/{}/gateways", text(&site, "id")?);
        let gateway = self.must("POST", &path, Some(&json!({})))?;
        Ok((text(&gateway, "device")?, text(&gateway, "code")?))
    }

    /// What happened at a device, of a kind.
    pub fn events(&mut self, device: &str, kind: &str) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("devices/{device}/events?kind={kind}&limit=100{cursor}");
            let page = self.get(&path)?;
            events.extend(page["items"].as_array().context("a list")?.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(events),
            }
        }
    }

    /// Waits until so many events of a kind are there; more are an error.
    pub fn wait_for_events(
        &mut self,
        device: &str,
        kind: &str,
        number: usize,
    ) -> Result<Vec<Value>> {
        let events = wait::until(&format!("{number} events {kind}"), || {
            let events = self.events(device, kind)?;
            Ok((events.len() >= number).then_some(events))
        })?;
        ensure!(
            events.len() == number,
            "{} events: {events:?}",
            events.len()
        );
        Ok(events)
    }
}

/// A text of an answer.
pub fn text(answer: &Value, name: &str) -> Result<String> {
    let text = answer[name].as_str();
    Ok(text
        .with_context(|| format!("no {name} in {answer}"))?
        .to_owned())
}
