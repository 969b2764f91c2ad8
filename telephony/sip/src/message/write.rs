//! Writing messages: the long header names, one line each, Content-Length from the body, last.
//!
//! Always ends with a correct Content-Length, so the output can go over a stream. Line breaks in a
//! reason phrase become spaces; [`super::Headers`] and [`super::Uri`] cannot hold any.

use super::headers::Headers;
use super::{HeaderName, Message, Request, Response};

impl Message {
    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.write(out),
            Self::Response(response) => response.write(out),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        write_rest(&self.headers, &self.body, out);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INITIAL + self.body.len());
        self.write(&mut out);
        out
    }
}

impl Response {
    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0 ");
        push_number(usize::from(self.status.code()), out);
        out.push(b' ');
        out.extend(
            self.reason
                .iter()
                .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
        );
        out.extend_from_slice(b"\r\n");
        write_rest(&self.headers, &self.body, out);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INITIAL + self.body.len());
        self.write(&mut out);
        out
    }
}

/// Holds most messages without growing.
const INITIAL: usize = 1024;

fn write_rest(headers: &Headers, body: &[u8], out: &mut Vec<u8>) {
    headers.write(out, &HeaderName::ContentLength);
    out.extend_from_slice(b"Content-Length: ");
    push_number(body.len(), out);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn push_number(mut n: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
