//! The answers of a registrar: status and headers, for the endpoint to put into a response.

use std::fmt::Write as _;
use std::time::Duration;

use super::binding::{Binding, View};
use crate::message::{HeaderName, Request, Response, StatusCode};

/// What to answer a request with. Via, tags and the like are the endpoint's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, String)>,
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 503 with Retry-After, at least one second.
    pub(super) fn busy(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        Self::new(StatusCode::SERVICE_UNAVAILABLE).with(HeaderName::RetryAfter, seconds.to_string())
    }

    /// The whole response, but for the To tag.
    pub fn to_response(&self, request: &Request) -> Response {
        let mut response = Response::answering(request, self.status);
        for (name, value) in &self.headers {
            response.headers.push(name.clone(), value);
        }
        response
    }
}

/// RFC 3261 10.3 (8): all current bindings, each with its remaining time.
pub(super) fn contact_headers(
    bindings: &[Binding],
    second: u32,
) -> impl Iterator<Item = (HeaderName, String)> {
    bindings.iter().map(move |binding| {
        // Bindings live into the second after the granted time.
        let left = binding.expires.saturating_sub(second + 1);
        let value = contact_value(&binding.view(), left);
        (HeaderName::Contact, value)
    })
}

fn contact_value(view: &View<'_>, expires: u32) -> String {
    let mut out = String::with_capacity(view.uri.len() + 32);
    let mut add = |text: std::fmt::Arguments<'_>| {
        out.write_fmt(text)
            .expect("writing to a string does not fail");
    };
    add(format_args!("<{}>;expires={expires}", view.uri));
    if let Some(q) = view.q {
        add(format_args!(";q={}.{:03}", q / 1000, q % 1000));
    }
    if !view.instance.is_empty() {
        add(format_args!(";+sip.instance=\"{}\"", view.instance));
    }
    if let Some(reg_id) = view.reg_id {
        add(format_args!(";reg-id={reg_id}"));
    }
    out
}
