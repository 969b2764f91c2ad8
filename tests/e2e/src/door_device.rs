//! A relay in the network that opens a door when its page is requested.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use anyhow::{Context, Result, ensure};

use crate::{PATIENCE, network};

#[derive(Debug)]
pub struct DoorDevice {
    requests: mpsc::Receiver<String>,
}

impl DoorDevice {
    /// Listens until the test is over.
    pub fn start(address: SocketAddr) -> Result<Self> {
        let listener = match network::namespace(address.ip())? {
            Some(_) => network::at(address.ip(), move || TcpListener::bind(address))?,
            None => TcpListener::bind(address),
        };
        let listener = listener.context("the door device's port")?;
        let (opened, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut line = String::new();
                let mut reader = BufReader::new(&stream);
                if reader.read_line(&mut line).is_err() {
                    continue;
                }
                // The rest of the request, up to the empty line.
                let mut rest = String::new();
                while reader.read_line(&mut rest).is_ok_and(|read| read > 2) {
                    rest.clear();
                }
                let _ = (&stream).write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
                if opened.send(line.trim().to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { requests })
    }

    /// Waits until the door is opened.
    pub fn must_open(&self) -> Result<()> {
        let request = self
            .requests
            .recv_timeout(PATIENCE)
            .context("the door was not opened")?;
        ensure!(
            request.contains(" /open "),
            "an unexpected request: {request}"
        );
        Ok(())
    }

    /// Waits for the next opening, however long it takes; `None` when over.
    pub fn next_opening(&self) -> Option<String> {
        self.requests.recv().ok()
    }

    /// Fails if the door was opened (again).
    pub fn must_not_have_opened(&self) -> Result<()> {
        match self.requests.try_recv() {
            Ok(request) => anyhow::bail!("the door was opened: {request}"),
            Err(_) => Ok(()),
        }
    }
}
