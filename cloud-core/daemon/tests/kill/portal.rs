//! A page as far as this test needs one: signs in, orders commands, hears what changes.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::core::URL;

/// Somebody who is signed in; on all nodes, since they share the store.
#[derive(Clone)]
pub(crate) struct Portal {
    cookie: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    cookie: Option<String>,
}

impl Portal {
    pub(crate) async fn sign_in(port: u16, mail: &str, password: &str) -> Self {
        let body = json!({"mail": mail, "password": password});
        let nobody = Self {
            cookie: String::new(),
        };
        let answer = nobody.post(port, "/api/v1/login", "login", &body).await;
        let answer = answer.expect("the node is there");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let cookie = answer.cookie.expect("a session");
        Self { cookie }
    }

    /// `None` when the node is not there, or ends before it has answered.
    pub(crate) async fn post(
        &self,
        port: u16,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Option<Answer> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\norigin: {URL}\r\ncookie: {}\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.cookie,
            body.len(),
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let cookie = head.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            value.split(';').next().map(str::to_owned)
        });
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = serde_json::from_str(body).ok()?;
        Some(Answer {
            status,
            body,
            cookie,
        })
    }

    /// What changes from now on, or from after an event that came on any node.
    pub(crate) async fn events(&self, port: u16, after: Option<&str>) -> Events {
        let after = after.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\n{after}\r\n",
            self.cookie
        );
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let mut stream = BufReader::new(stream.expect("the node is there"));
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut status = String::new();
        stream.read_line(&mut status).await.expect("it answers");
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        Events { stream }
    }
}

/// A change: its place among all, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) object: String,
}

pub(crate) struct Events {
    stream: BufReader<TcpStream>,
}

impl Events {
    /// The next one; `None` when the node has ended.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        let (mut id, mut data) = (None, None);
        loop {
            // An event is one piece of the answer, so no line of it is torn.
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("id:") {
                id = Some(text.trim().to_owned());
            }
            if let Some(text) = line.strip_prefix("data:") {
                let event: Value = serde_json::from_str(text.trim()).expect("an event is JSON");
                data = Some(event);
            }
            if let (Some(id), Some(data)) = (&id, &data) {
                let text = |key: &str| data[key].as_str().expect("of a change").to_owned();
                return Some(Change {
                    id: id.clone(),
                    kind: text("kind"),
                    object: text("id"),
                });
            }
        }
    }
}
