//! Reading the RFCs' own messages, and short ways to parse.

use std::fs;
use std::path::PathBuf;

use sip::message::{Limits, Message, ParseError, Request, Response, parse_datagram};

pub(crate) fn folder(set: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(set)
}

pub(crate) fn fixture(set: &str, name: &str) -> Vec<u8> {
    let path = folder(set).join(name).with_extension("dat");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All messages of a set, by name.
pub(crate) fn all(set: &str) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> = fs::read_dir(folder(set))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| (name.clone(), fixture(set, &name)))
        .collect()
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    parse_datagram(bytes, &Limits::default())
}

pub(crate) fn request(bytes: &[u8]) -> Request {
    match parse(bytes).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

pub(crate) fn response(bytes: &[u8]) -> Response {
    match parse(bytes).unwrap() {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

/// The code of the answer that may be sent; `None` for silence.
pub(crate) fn refusal(bytes: &[u8]) -> Option<u16> {
    let error = parse(bytes).expect_err("refused");
    error.reply().map(|reply| reply.status.code())
}
