//! The core's interface over HTTP, on one connection that is kept open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Web {
    stream: BufReader<TcpStream>,
    cookie: String,
}

impl Web {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            cookie: String::new(),
        })
    }

    pub(super) fn sign_in(&mut self, mail: &str, password: &str) -> Result<()> {
        let body = json!({"mail": mail, "password": password}).to_string();
        let (head, _) = self.exchange("POST", "/api/v1/login", &body)?;
        let cookie = head.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            value.split(';').next()
        });
        cookie.context("no session")?.clone_into(&mut self.cookie);
        Ok(())
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Value> {
        let (_, body) = self.exchange("GET", path, "")?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Head and body of a good answer.
    fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<(String, Vec<u8>)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: same-origin\r\n\
             cookie: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.cookie,
            body.len(),
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.stream.read_line(&mut head)?;
            ensure!(read > 0, "{path}: the core closed the connection");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.context("no content-length")?.parse()?];
        self.stream.read_exact(&mut body)?;
        let good = head.starts_with("HTTP/1.1 2");
        ensure!(good, "{path}: {head}{}", String::from_utf8_lossy(&body));
        Ok((head, body))
    }
}
