//! A call through the real program: signalling, audio both ways, the live view, its end.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use sip::message::{HeaderName, Message, Request, Response, StatusCode};
use sip::sdp::{Description, Kind};

use crate::gateway::{Gateway, PASSWORD, PATIENCE, PROGRAM, Site, directory, json};
use crate::station::{Station, registered};

const BODY_TYPE: &str = "Content-Type: application/sdp\r\n";

/// One end of a call with its audio.
struct Phone {
    station: Station,
    audio: UdpSocket,
    /// Where the gateway wants its audio.
    towards: Option<SocketAddr>,
}

impl Phone {
    fn new(number: &str, gateway: &Gateway) -> Self {
        let audio = UdpSocket::bind("127.0.0.1:0").unwrap();
        audio.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            station: registered(number, gateway.sip("udp")),
            audio,
            towards: None,
        }
    }

    fn description(&self) -> String {
        let port = self.audio.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
    }

    fn learn(&mut self, body: &[u8]) {
        let description = Description::parse(body).unwrap();
        self.towards = description.live(&Kind::Audio).unwrap().rtp;
    }

    fn invite(&self, to: &str, sequence: u32, more: &str) -> String {
        let (number, address) = (&self.station.number, self.station.address());
        let body = self.description();
        format!(
            "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKi{sequence};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@house>;tag=caller\r\nTo: <{to}>\r\n\
             Call-ID: call@test\r\nCSeq: {sequence} INVITE\r\nContact: <sip:{number}@{address}>\r\n\
             {more}{BODY_TYPE}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Calls, with a password when asked for one; answers the sequence number and the final response.
    fn call(&self, to: &str) -> (u32, Response) {
        self.station.send(self.invite(to, 1, "").as_bytes());
        let first = self.final_response();
        if first.status != StatusCode::UNAUTHORIZED
            && first.status != StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return (1, first);
        }
        self.station.send(self.ack(to, 1, &first).as_bytes());
        let credentials = self.station.credentials(&first, "INVITE", to, PASSWORD);
        let name = match first.status == StatusCode::UNAUTHORIZED {
            true => "Authorization",
            false => "Proxy-Authorization",
        };
        let invite = self.invite(to, 2, &format!("{name}: {credentials}\r\n"));
        self.station.send(invite.as_bytes());
        (2, self.final_response())
    }

    fn final_response(&self) -> Response {
        loop {
            match self.station.receive() {
                Message::Response(response) if response.status.is_final() => return response,
                Message::Response(_) => {}
                Message::Request(request) => panic!("a request: {request:?}"),
            }
        }
    }

    fn ack(&self, to: &str, sequence: u32, response: &Response) -> String {
        let (number, address) = (&self.station.number, self.station.address());
        let answered = String::from_utf8(response.headers.get(HeaderName::To).unwrap().to_vec());
        // RFC 3261 17.1.1.3: the ACK to a refusal belongs to the INVITE's transaction.
        let branch = match response.status == StatusCode::OK {
            true => format!("a{sequence}"),
            false => format!("i{sequence}"),
        };
        format!(
            "ACK {to} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@house>;tag=caller\r\nTo: {}\r\n\
             Call-ID: call@test\r\nCSeq: {sequence} ACK\r\nContent-Length: 0\r\n\r\n",
            answered.unwrap()
        )
    }

    /// The next request that is `method`; others are of no interest.
    fn request(&self, method: &str) -> Request {
        loop {
            if let Message::Request(request) = self.station.receive()
                && request.method.as_str() == method
            {
                return request;
            }
        }
    }

    fn answer(&self, request: &Request, status: StatusCode, body: &str) {
        let contact = format!("<sip:{}@{}>", self.station.number, self.station.address());
        let response = Response::answering(request, status)
            .with_to_tag("callee")
            .with_header(HeaderName::Contact, contact);
        let response = match body {
            "" => response,
            body => response.with_body("application/sdp", body.to_owned()),
        };
        self.station.send(&Message::from(response).to_bytes());
    }

    /// Sends audio packets until the other phone has one of them; audio may be lost at first.
    fn is_heard_by(&self, other: &Self) {
        let towards = self.towards.unwrap();
        let payload = [0x55; 160];
        for sequence in 0..200_u16 {
            let mut packet = vec![0x80, 8];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(sequence) * 160).to_be_bytes());
            packet.extend(0x1234_5678_u32.to_be_bytes());
            packet.extend(payload);
            self.audio.send_to(&packet, towards).unwrap();
            other.audio.set_read_timeout(Some(PATIENCE / 200)).unwrap();
            let mut heard = [0; 2048];
            if let Ok((length, from)) = other.audio.recv_from(&mut heard) {
                assert_eq!(&heard[12..length], payload);
                assert_eq!(
                    Some(from),
                    other.towards,
                    "not from the port in the description"
                );
                return;
            }
        }
        panic!("nothing was heard");
    }
}

#[test]
fn two_stations_talk_through_the_gateway_and_sigterm_lets_them_finish() {
    let site = Site::new(&directory(&["101", "102"]));
    let mut gateway = site.start();
    let (mut caller, mut callee) = (Phone::new("101", &gateway), Phone::new("102", &gateway));
    let to = format!("sip:102@{}", gateway.sip("udp"));

    let (sequence, accepted) = std::thread::scope(|scope| {
        let calling = scope.spawn(|| caller.call(&to));
        let invite = callee.request("INVITE");
        callee.answer(&invite, StatusCode::RINGING, "");
        let calls = gateway.json(["calls"]);
        assert_eq!(calls[0]["state"], "ringing", "{calls}");
        callee.learn(&invite.body);
        callee.answer(&invite, StatusCode::OK, &callee.description());
        calling.join().unwrap()
    });
    assert_eq!(accepted.status, StatusCode::OK);
    callee.request("ACK");
    caller
        .station
        .send(caller.ack(&to, sequence, &accepted).as_bytes());
    caller.learn(&accepted.body);
    caller.is_heard_by(&callee);
    callee.is_heard_by(&caller);
    let calls = gateway.json(["calls"]);
    assert_eq!(
        (&calls[0]["state"], &calls[0]["legs"][1]["state"]),
        (&"talking".into(), &"answered".into())
    );

    // A call goes on while the gateway waits for its end; an operator ends it.
    gateway.signal(Signal::SIGTERM);
    gateway.wait_for("stopping: no new calls");
    assert_eq!(gateway.json(["status"])["state"], "stopping");
    caller.is_heard_by(&callee);
    let call = calls[0]["call"].to_string();
    let output = gateway.command(["end", &call]);
    assert!(output.status.success());
    for phone in [&caller, &callee] {
        let bye = phone.request("BYE");
        phone.answer(&bye, StatusCode::OK, "");
    }
    assert_eq!(gateway.wait(), Some(0));

    // Both legs stand in the report, and survive the end of the process.
    let journal = rusqlite::Connection::open(site.path("state/journal.db")).unwrap();
    let legs: Vec<(String, String)> = journal
        .prepare("SELECT role, status FROM call_record ORDER BY role")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let answered = |role: &str| (role.to_owned(), "answered".to_owned());
    assert_eq!(legs, [answered("callee"), answered("caller")]);
}

#[test]
fn a_second_sigterm_ends_running_calls_at_once() {
    let site = Site::new(&directory(&["101", "102"]));
    let mut gateway = site.start();
    let (caller, mut callee) = (Phone::new("101", &gateway), Phone::new("102", &gateway));
    let to = format!("sip:102@{}", gateway.sip("udp"));
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| caller.call(&to));
        let invite = callee.request("INVITE");
        // RFC 3261 9.1: nothing is cancelled that has not answered at all. What follows on the same
        // way shows that the answer was read.
        callee.answer(&invite, StatusCode::RINGING, "");
        assert_eq!(callee.station.register(PASSWORD).status, StatusCode::OK);
        gateway.signal(Signal::SIGTERM);
        gateway.wait_for("stopping: no new calls");
        gateway.signal(Signal::SIGTERM);
        callee.request("CANCEL");
        let (_, refused) = calling.join().unwrap();
        assert!(refused.status.code() >= 400, "{refused:?}");
    });
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn whoever_watches_sees_calls_come_and_go() {
    let site = Site::new(&directory(&["101", "102"]));
    let gateway = site.start();
    let (caller, callee) = (Phone::new("101", &gateway), Phone::new("102", &gateway));
    let mut watching = Command::new(PROGRAM)
        .args(["calls", "--watch", "--json", "--socket"])
        .arg(gateway.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pictures = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut picture = move || json(pictures.next().unwrap().unwrap().as_bytes());
    assert_eq!(picture(), serde_json::json!([]));
    let to = format!("sip:102@{}", gateway.sip("udp"));
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| caller.call(&to));
        let invite = callee.request("INVITE");
        callee.answer(&invite, StatusCode::BUSY_HERE, "");
        assert_eq!(calling.join().unwrap().1.status, StatusCode::BUSY_HERE);
    });
    // However short the call was, the last picture is without it.
    while picture() != serde_json::json!([]) {}
    watching.kill().unwrap();
    watching.wait().unwrap();
}
