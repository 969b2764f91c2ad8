//! The header fields of a message: ordered, values as raw bytes, known names as a small enum.
//!
//! Values received lie as ranges in one shared buffer, values set later in one growing one, so a
//! message costs few allocations and a response that echoes a request copies little. Typed views
//! stand in `access`. Invariant: no name or value holds a line break, so nothing set here can add
//! a header line of its own.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;

use super::grammar::{self, Angles};
use super::header_name::HeaderName;

/// Header fields in order.
#[derive(Clone, Default)]
pub struct Headers {
    received: Bytes,
    added: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: HeaderName,
    value: Place,
}

/// Where a value lies.
#[derive(Clone, Copy)]
enum Place {
    Received(u32, u32),
    Added(u32, u32),
}

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    /// Headers to be filled by [`Headers::push_received`], then [`Headers::set_received`].
    pub(crate) fn over(capacity: usize) -> Self {
        Self {
            fields: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// Adds a line whose value will lie at `start..end` of the received text.
    pub(crate) fn push_received(&mut self, name: HeaderName, start: usize, end: usize) {
        self.fields.push(Field {
            name,
            value: Place::Received(start as u32, end as u32),
        });
    }

    pub(crate) fn set_received(&mut self, received: Bytes) {
        self.received = received;
    }

    /// Where in the received text the values of that name lie.
    pub(crate) fn offsets(&self, name: &HeaderName) -> impl Iterator<Item = usize> {
        self.fields
            .iter()
            .filter(move |field| field.name == *name)
            .filter_map(|field| match field.value {
                Place::Received(start, _) => Some(start as usize),
                Place::Added(..) => None,
            })
    }

    /// A part of the received text, shared.
    pub(crate) fn received(&self, range: std::ops::Range<usize>) -> Bytes {
        self.received.slice(range)
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&HeaderName, &[u8])> {
        self.fields
            .iter()
            .map(|field| (&field.name, self.at(field.value)))
    }

    /// The first value of that name.
    pub fn get(&self, name: impl Borrow<HeaderName>) -> Option<&[u8]> {
        let name = name.borrow();
        self.fields
            .iter()
            .find(|field| field.name == *name)
            .map(|field| self.at(field.value))
    }

    /// The first value of that name, when it is UTF-8.
    pub fn get_str(&self, name: impl Borrow<HeaderName>) -> Option<&str> {
        str::from_utf8(self.get(name)?).ok()
    }

    /// The first value of a header outside the known set, by its name in any case.
    pub fn get_other(&self, name: &str) -> Option<&[u8]> {
        self.get(HeaderName::parse(name.as_bytes())?)
    }

    /// All values of that name, one per header line.
    pub fn all(&self, name: impl Borrow<HeaderName>) -> impl DoubleEndedIterator<Item = &[u8]> {
        let fields = self
            .fields
            .iter()
            .filter(move |field| field.name == *name.borrow());
        fields.map(|field| self.at(field.value))
    }

    /// All elements of a comma-separated header, over all its lines (RFC 3261 7.3.1).
    pub fn elements(&self, name: impl Borrow<HeaderName>) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(grammar::split_list)
    }

    /// The first element of a comma-separated header.
    pub fn first_element(&self, name: impl Borrow<HeaderName>) -> Option<&[u8]> {
        let name = name.borrow();
        self.all(name)
            .find_map(|value| grammar::split_list(value).next())
    }

    pub fn count(&self, name: impl Borrow<HeaderName>) -> usize {
        let name = name.borrow();
        self.fields
            .iter()
            .filter(|field| field.name == *name)
            .count()
    }

    pub fn has(&self, name: impl Borrow<HeaderName>) -> bool {
        let name = name.borrow();
        self.fields.iter().any(|field| field.name == *name)
    }

    /// Adds a line at the end. Line breaks in the value become spaces.
    pub fn push(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let value = self.add(value.as_ref());
        self.fields.push(Field { name, value });
    }

    /// Adds a line before all others of the same name, or at the very top.
    pub fn insert_first(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let value = self.add(value.as_ref());
        let at = self
            .fields
            .iter()
            .position(|field| field.name == name)
            .unwrap_or(0);
        self.fields.insert(at, Field { name, value });
    }

    /// Sets the only line of that name, at the place of the first one or at the end.
    pub fn replace(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let value = self.add(value.as_ref());
        match self.fields.iter().position(|field| field.name == name) {
            Some(first) => {
                self.fields[first].value = value;
                let mut at = 0;
                self.fields.retain(|field| {
                    at += 1;
                    at - 1 <= first || field.name != name
                });
            }
            None => self.fields.push(Field { name, value }),
        }
    }

    /// Takes all lines of that name away and says how many there were.
    pub fn remove(&mut self, name: impl Borrow<HeaderName>) -> usize {
        let name = name.borrow();
        let before = self.fields.len();
        self.fields.retain(|field| field.name != *name);
        before - self.fields.len()
    }

    /// Replaces the first element of a comma-separated header and leaves the rest alone.
    pub(crate) fn replace_first_element(&mut self, name: HeaderName, element: &[u8]) {
        let Some(line) = self
            .fields
            .iter()
            .position(|field| field.name == name && !after_empty(self.at(field.value)).is_empty())
        else {
            return self.push(name, element);
        };
        let value = after_empty(self.at(self.fields[line].value));
        let end = grammar::find_outside(value, b',', Angles::Opaque).unwrap_or(value.len());
        let value = self.add(&[element, &value[end..]].concat());
        self.fields[line].value = value;
    }

    /// Headers that share this message's buffer but have no lines yet; see [`Headers::echo`].
    pub(crate) fn sharing(&self) -> Self {
        Self {
            received: self.received.clone(),
            added: Vec::new(),
            fields: Vec::with_capacity(12),
        }
    }

    /// Copies all lines of `name` from the message that `self` was made from by `sharing`.
    pub(crate) fn echo(&mut self, from: &Self, name: &HeaderName) {
        for field in from.fields.iter().filter(|field| field.name == *name) {
            let value = match field.value {
                place @ Place::Received(..) => place,
                place @ Place::Added(..) => self.add(from.at(place)),
            };
            self.fields.push(Field {
                name: field.name.clone(),
                value,
            });
        }
    }

    /// Appends `Name: value CRLF` for each line.
    pub(crate) fn write(&self, out: &mut Vec<u8>, skip: &HeaderName) {
        for (name, value) in self.iter().filter(|(name, _)| *name != skip) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn add(&mut self, value: &[u8]) -> Place {
        let start = self.added.len();
        self.added.extend(
            value
                .iter()
                .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
        );
        Place::Added(start as u32, self.added.len() as u32)
    }

    fn at(&self, place: Place) -> &[u8] {
        match place {
            Place::Received(start, end) => &self.received[start as usize..end as usize],
            Place::Added(start, end) => &self.added[start as usize..end as usize],
        }
    }
}

/// A list without the empty elements it may begin with.
fn after_empty(list: &[u8]) -> &[u8] {
    let empty = list
        .iter()
        .take_while(|b| matches!(b, b',' | b' ' | b'\t'))
        .count();
    &list[empty..]
}

/// Equal lines in equal order, wherever they are stored.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value))),
            )
            .finish()
    }
}
