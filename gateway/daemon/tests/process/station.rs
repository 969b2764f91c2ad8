//! A station of the test: a UDP socket that speaks just enough SIP.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use sip::digest::client::{Answerer, Asked, Identity};
use sip::message::{HeaderName, Limits, Message, Response, StatusCode, parse_datagram};

use crate::gateway::{PASSWORD, PATIENCE};

pub(crate) struct Station {
    pub(crate) socket: UdpSocket,
    gateway: SocketAddr,
    pub(crate) number: String,
    sequence: u32,
}

impl Station {
    pub(crate) fn new(number: &str, gateway: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            gateway,
            number: number.to_owned(),
            sequence: 0,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Registers and answers the last response.
    pub(crate) fn register(&mut self, password: &str) -> Response {
        let challenge = self.request("REGISTER", "");
        assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
        let credentials = self.credentials(&challenge, "REGISTER", &self.registrar(), password);
        self.request("REGISTER", &format!("Authorization: {credentials}\r\n"))
    }

    pub(crate) fn registrar(&self) -> String {
        format!("sip:{}", self.gateway)
    }

    pub(crate) fn credentials(
        &self,
        challenge: &Response,
        method: &str,
        uri: &str,
        password: &str,
    ) -> String {
        let identity = Identity::new(&self.number, password);
        let www = challenge.headers.all(HeaderName::WwwAuthenticate);
        let proxy = challenge.headers.all(HeaderName::ProxyAuthenticate);
        let mut answerer = Answerer::choose(www.chain(proxy)).unwrap();
        let asked = Asked {
            method,
            uri,
            body: b"",
        };
        answerer
            .authorization(&identity, asked, "0a4f113b")
            .unwrap()
    }

    fn request(&mut self, method: &str, more: &str) -> Response {
        self.sequence += 1;
        let (number, address, sequence) = (&self.number, self.address(), self.sequence);
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{number}{sequence};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@{gateway}>;tag=f{number}\r\nTo: <sip:{number}@{gateway}>\r\n\
             Call-ID: register-{number}@test\r\nCSeq: {sequence} {method}\r\n\
             Contact: <sip:{number}@{address}>\r\nExpires: 600\r\n{more}Content-Length: 0\r\n\r\n",
            uri = self.registrar(),
            gateway = self.gateway,
        );
        self.send(request.as_bytes());
        match self.receive() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a request: {request:?}"),
        }
    }

    pub(crate) fn send(&self, message: &[u8]) {
        self.socket.send_to(message, self.gateway).unwrap();
    }

    pub(crate) fn receive(&self) -> Message {
        let mut buffer = vec![0; 65_535];
        let length = loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, _)) => break length,
                // A process that was stopped and goes on hears this (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer in time: {error}"),
            }
        };
        parse_datagram(&buffer[..length], &Limits::default()).unwrap()
    }
}

pub(crate) fn registered(number: &str, gateway: SocketAddr) -> Station {
    let mut station = Station::new(number, gateway);
    assert_eq!(station.register(PASSWORD).status, StatusCode::OK);
    station
}
