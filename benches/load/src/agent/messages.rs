//! The messages of both sides as text.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{Agent, Call};
use crate::Parties;
use crate::text::{header, headers, is_md5, random};

impl Agent {
    pub(super) fn invite(&self, call: &mut Call) {
        let branch = random() >> 16;
        let request = |method: &str, to: &str, rest: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch:012x};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{from}@{domain}>;tag={tag}\r\nTo: {to}\r\n\
                 Call-ID: {id}\r\nCSeq: {cseq} {method}\r\n{rest}",
                uri = call.request_uri,
                ip = self.ip(),
                port = self.port(&self.caller),
                from = call.from,
                domain = self.parties.domain(),
                tag = call.tag,
                id = call.id,
                cseq = call.cseq,
            )
        };
        let rest = format!(
            "Contact: <sip:{}@{}:{}>\r\n{}Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n{}",
            call.from,
            self.ip(),
            self.port(&self.caller),
            call.credentials,
            content(&call.offer),
        );
        let invite = request("INVITE", &call.to, &rest);
        // The To of an ACK to a refusal carries the refusal's tag, known only then.
        let ack = request("ACK", "@", "Content-Length: 0\r\n\r\n");
        call.last_request = invite;
        call.last_ack = ack;
        self.to_peer(&call.last_request);
    }

    pub(super) fn in_dialog(&self, call: &Call, method: &str) -> String {
        let routes: String = call
            .routes
            .iter()
            .map(|r| format!("Route: {r}\r\n"))
            .collect();
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch:012x};rport\r\n\
             {routes}Max-Forwards: 70\r\nFrom: <sip:{from}@{domain}>;tag={tag}\r\nTo: {to}\r\n\
             Call-ID: {id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            target = call.remote_target,
            ip = self.ip(),
            port = self.port(&self.caller),
            branch = random() >> 16,
            from = call.from,
            domain = self.parties.domain(),
            tag = call.tag,
            to = call.to,
            id = call.id,
            cseq = call.cseq,
        )
    }

    pub(super) fn respond(
        &self,
        socket: usize,
        to: SocketAddr,
        request: &str,
        status: &str,
        tag: &str,
        description: &str,
    ) -> String {
        let port = self.port(&self.answerers[socket]);
        let response = self.response(request, status, tag, description, port);
        // Loopback with deep buffers; a loss would show as a retransmission.
        let _ = self.answerers[socket].send_to(response.as_bytes(), to);
        response
    }

    pub(super) fn response(
        &self,
        request: &str,
        status: &str,
        tag: &str,
        body: &str,
        port: u16,
    ) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            for value in headers(request, name) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        let copied = |name| header(request, name).unwrap_or("");
        let to = copied("To");
        let tag = if tag.is_empty() || to.contains(";tag=") {
            String::new()
        } else {
            format!(";tag={tag}")
        };
        text += &format!(
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:uas@{}:{port}>\r\n{}",
            copied("From"),
            copied("Call-ID"),
            copied("CSeq"),
            self.ip(),
            content(body),
        );
        text
    }
}

/// A REGISTER as text.
pub(crate) struct Registration<'a> {
    pub(crate) parties: &'a Parties,
    pub(crate) user: &'a str,
    pub(crate) contact: &'a str,
    pub(crate) via_port: u16,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// In seconds; nothing ends the registration.
    pub(crate) expires: u32,
    pub(crate) credentials: &'a str,
}

impl Registration<'_> {
    pub(crate) fn request(&self) -> String {
        let domain = self.parties.domain();
        format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch:012x};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={cseq}{port}\r\nTo: <sip:{user}@{domain}>\r\n\
             Call-ID: {id}\r\nCSeq: {cseq} REGISTER\r\nContact: <{contact}>\r\nExpires: {expires}\r\n\
             {credentials}Content-Length: 0\r\n\r\n",
            uri = registrar_uri(self.parties),
            ip = self.parties.target.ip(),
            port = self.via_port,
            branch = random() >> 16,
            user = self.user,
            id = self.call_id,
            cseq = self.cseq,
            contact = self.contact,
            expires = self.expires,
            credentials = self.credentials,
        )
    }
}

pub(crate) fn registrar_uri(parties: &Parties) -> String {
    format!("sip:{}:{}", parties.domain(), parties.target.port())
}

/// The challenge among several that this tool can answer.
pub(crate) fn md5_challenge<'a>(response: &'a str, name: &str) -> Result<&'a str> {
    headers(response, name)
        .find(|challenge| is_md5(challenge))
        .context("no MD5 challenge: allow MD5 for the load tool's accounts")
}

fn content(description: &str) -> String {
    if description.is_empty() {
        "Content-Length: 0\r\n\r\n".into()
    } else {
        format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
            description.len()
        )
    }
}
