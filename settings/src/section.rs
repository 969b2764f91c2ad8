//! The one declaration of a configuration section: its fields, their documentation, their defaults.
//!
//! `section!` makes of one documented struct the reader of a TOML table and the text of the
//! reference, so the two cannot differ. Every field needs a doc comment or the macro does not match:
//! an undocumented field does not compile. Readers go on after an error and report all of them.
//! Cross-field rules are not known here (see `check`).
//!
//! Invariant: a default is the text that the reference shows, read by the same code as user input.

use std::ops::Deref;

use toml::de::{DeTable, DeValue};

use crate::problems::{Place, Problems, SourceId};

/// A value together with the place where the user wrote it.
#[derive(Clone, Debug)]
pub struct Located<T> {
    pub value: T,
    pub place: Place,
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// How a field is shown in the reference and what stands under it.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Must be given; the text is an example.
    Required,
    /// May be left out; the text is what holds then.
    Defaulted,
    /// May be left out, and then nothing holds; the text is an example.
    Optional,
    /// A table.
    Nested(&'static [Field]),
    /// A table that means something only where it stands.
    Perhaps(&'static [Field]),
    /// An array of tables.
    Repeated(&'static [Field]),
}

/// In place of the text of a list of tables: the reference shows one that holds, because there must
/// be one.
pub const SHOWN: &str = "shown";

/// One field as the reference shows it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// The doc comment, one entry per line.
    pub doc: &'static [&'static str],
    /// TOML text of the default or the example; for lists of tables `SHOWN` or nothing.
    pub text: &'static str,
    pub shape: Shape,
}

/// A table of the configuration.
pub trait Section: Sized {
    const FIELDS: &'static [Field];

    fn read(reader: &mut TableReader<'_>) -> Self;
}

/// One kind of field: must be there, has a default, may be absent, is a table, is many tables.
pub trait Slot: Sized {
    const SHAPE: Shape;

    fn read(reader: &mut TableReader<'_>, name: &'static str, text: &'static str) -> Self;
}

/// Something that a TOML value can be read as.
pub trait Value: Sized {
    /// What to write, for the remedy: `a duration such as "500ms"`.
    const EXPECTED: &'static str;

    /// The value, or what is wrong with the one given. Problems of parts of a list go into
    /// `problems` under their own place.
    fn from_toml(
        value: &DeValue<'_>,
        place: &Place,
        problems: &mut Problems,
    ) -> Result<Self, String>;
}

/// A field that must be given.
#[derive(Clone, Debug)]
pub struct Required<T>(pub Located<T>);

/// A field with a default.
#[derive(Clone, Debug)]
pub struct Defaulted<T>(pub Located<T>);

/// A field that may be absent.
#[derive(Clone, Debug)]
pub struct Optional<T>(pub Option<Located<T>>);

/// A table; absent means empty.
#[derive(Clone, Debug)]
pub struct Nested<S>(pub S);

/// A table that means something only where it stands.
#[derive(Clone, Debug)]
pub struct Perhaps<S>(pub Option<Located<S>>);

/// A table in place, or the name of a file that has its content.
#[derive(Clone, Debug)]
pub enum HereOrFile<S> {
    Here(S),
    File(Located<std::path::PathBuf>),
}

/// An array of tables, each with its place.
#[derive(Clone, Debug)]
pub struct Repeated<S>(pub Vec<Located<S>>);

macro_rules! deref {
    ($($slot:ident => $inner:ty),+ $(,)?) => {$(
        impl<T> Deref for $slot<T> {
            type Target = $inner;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )+};
}

deref!(
    Required => Located<T>,
    Defaulted => Located<T>,
    Optional => Option<Located<T>>,
    Nested => T,
    Perhaps => Option<Located<T>>,
    Repeated => Vec<Located<T>>,
);

/// Declares a section: a documented struct whose fields are `Slot`s, each with its TOML text.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $visibility:vis struct $Name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $slot:ident<$value:ty> $(= $text:literal)?,
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        $visibility struct $Name {
            $(
                $(#[doc = $doc])+
                pub $field: $crate::section::$slot<$value>,
            )*
        }

        impl $crate::section::Section for $Name {
            const FIELDS: &'static [$crate::section::Field] = &[
                $($crate::section::Field {
                    name: stringify!($field),
                    doc: &[$($doc),+],
                    text: concat!($($text)?),
                    shape: <$crate::section::$slot<$value>
                        as $crate::section::Slot>::SHAPE,
                },)*
            ];

            fn read(reader: &mut $crate::section::TableReader<'_>) -> Self {
                Self {
                    $($field: $crate::section::Slot::read(
                        reader,
                        stringify!($field),
                        concat!($($text)?),
                    ),)*
                }
            }
        }
    };
}
pub use crate::section;

/// Reads one table and reports what is wrong in it.
#[derive(Debug)]
pub struct TableReader<'a> {
    /// Absent when the user left the table out.
    table: Option<&'a DeTable<'a>>,
    place: Place,
    problems: &'a mut Problems,
}

/// Reads a whole document; syntax errors are reported too, and what could be read is still judged.
pub fn read_document<S: Section>(source: SourceId, text: &str, problems: &mut Problems) -> S {
    let (document, errors) = DeTable::parse_recoverable(text);
    let root = Place {
        source,
        offset: 0,
        path: String::new(),
    };
    for error in &errors {
        let place = Place {
            offset: error.span().map_or(0, |span| span.start),
            ..root.clone()
        };
        problems.report(
            &place,
            format!("this is not TOML: {}", error.message()),
            "correct the syntax here; strings stand in double quotes, tables in [brackets]",
        );
    }
    read_table(Some(document.get_ref()), root, problems)
}

/// Where in `text` the value at `path` (`stations[3].doors[0].code`) begins; where the path leaves
/// what is written, the last place that is.
pub fn locate(text: &str, path: &str) -> usize {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut offset = 0;
    let mut table = document.get_ref();
    for part in path.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse().ok()),
            None => (part, None::<usize>),
        };
        let Some(mut value) = table.get(name) else {
            break;
        };
        let entry = index.and_then(|index| value.get_ref().as_array()?.get(index));
        value = entry.unwrap_or(value);
        offset = value.span().start;
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    offset
}

fn read_table<S: Section>(table: Option<&DeTable<'_>>, place: Place, problems: &mut Problems) -> S {
    let mut reader = TableReader {
        table,
        place,
        problems,
    };
    let section = S::read(&mut reader);
    reader.refuse_unknown_keys(S::FIELDS);
    section
}

impl TableReader<'_> {
    fn refuse_unknown_keys(&mut self, known: &[Field]) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            if known.iter().any(|field| field.name == key.get_ref()) {
                continue;
            }
            let place = self.place.at(key.span().start, key.get_ref());
            let remedy = match nearest(key.get_ref(), known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("remove it; known here are: {}", names(known)),
            };
            self.problems
                .report(&place, format!("unknown key `{}`", key.get_ref()), remedy);
        }
    }

    fn given(&self, name: &str) -> Option<(&DeValue<'_>, Place)> {
        let value = self.table?.get(name)?;
        Some((value.get_ref(), self.place.at(value.span().start, name)))
    }

    /// The value given for `name`. A wrong one is reported and counts as absent, so that reading
    /// goes on; nothing comes of the configuration as a whole then.
    fn value<T: Value>(&mut self, name: &str) -> Option<Located<T>> {
        let (value, place) = self.table?.get(name).map(|spanned| {
            let place = self.place.at(spanned.span().start, name);
            (spanned.get_ref(), place)
        })?;
        match T::from_toml(value, &place, self.problems) {
            Ok(value) => Some(Located { value, place }),
            Err(what) => {
                self.problems
                    .report(&place, what, format!("write {}", T::EXPECTED));
                None
            }
        }
    }

    /// What `text`, written by us, says.
    fn own<T: Value>(&mut self, name: &str, text: &str) -> Located<T> {
        let place = self.place.at(self.place.offset, name);
        let parsed = DeValue::parse(text).expect("a default is TOML; a test reads them all");
        let value = T::from_toml(parsed.get_ref(), &place, self.problems)
            .expect("a default is valid; a test reads them all");
        Located { value, place }
    }
}

impl Place {
    /// The place of `name` in the table that stands here.
    pub fn at(&self, offset: usize, name: &str) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        Self {
            source: self.source,
            offset,
            path,
        }
    }

    /// The place of an entry of the list that stands here.
    pub fn entry(&self, offset: usize, index: usize) -> Self {
        Self {
            source: self.source,
            offset,
            path: format!("{}[{index}]", self.path),
        }
    }
}

impl<T: Value> Slot for Required<T> {
    const SHAPE: Shape = Shape::Required;

    fn read(reader: &mut TableReader<'_>, name: &'static str, text: &'static str) -> Self {
        if reader.given(name).is_none() {
            let place = reader.place.at(reader.place.offset, name);
            reader.problems.report(
                &place,
                format!("`{name}` is missing"),
                format!("add it, for example: {name} = {text}"),
            );
        }
        // The example keeps the other checks going; the report above keeps it from being used.
        match reader.value(name) {
            Some(value) => Self(value),
            None => {
                reader.problems.note_gap();
                Self(reader.own(name, text))
            }
        }
    }
}

impl<T: Value> Slot for Defaulted<T> {
    const SHAPE: Shape = Shape::Defaulted;

    fn read(reader: &mut TableReader<'_>, name: &'static str, text: &'static str) -> Self {
        match reader.value(name) {
            Some(value) => Self(value),
            None => Self(reader.own(name, text)),
        }
    }
}

impl<T: Value> Slot for Optional<T> {
    const SHAPE: Shape = Shape::Optional;

    fn read(reader: &mut TableReader<'_>, name: &'static str, _text: &'static str) -> Self {
        Self(reader.value(name))
    }
}

impl<S: Section> Slot for Nested<S> {
    const SHAPE: Shape = Shape::Nested(S::FIELDS);

    fn read(reader: &mut TableReader<'_>, name: &'static str, _text: &'static str) -> Self {
        let place = reader.place.at(reader.place.offset, name);
        let Some(spanned) = reader.table.and_then(|table| table.get(name)) else {
            return Self(read_table(None, place, reader.problems));
        };
        let place = reader.place.at(spanned.span().start, name);
        let table = spanned.get_ref().as_table();
        if table.is_none() {
            reader.problems.report(
                &place,
                format!("this is {}, not a table", spanned.get_ref().type_str()),
                format!("write [{}] and the settings below it", place.path),
            );
        }
        Self(read_table(table, place, reader.problems))
    }
}

impl<S: Section> Slot for Perhaps<S> {
    const SHAPE: Shape = Shape::Perhaps(S::FIELDS);

    fn read(reader: &mut TableReader<'_>, name: &'static str, text: &'static str) -> Self {
        let spanned = reader.table.and_then(|table| table.get(name));
        Self(spanned.map(|spanned| Located {
            place: reader.place.at(spanned.span().start, name),
            value: Nested::read(reader, name, text).0,
        }))
    }
}

impl<S: Section> Slot for HereOrFile<S> {
    const SHAPE: Shape = Shape::Nested(S::FIELDS);

    fn read(reader: &mut TableReader<'_>, name: &'static str, text: &'static str) -> Self {
        let given = reader.table.and_then(|table| table.get(name));
        match given.map(|given| given.get_ref()) {
            Some(DeValue::String(_)) => match reader.value(name) {
                Some(file) => Self::File(file),
                None => Self::Here(read_table(None, reader.place.clone(), reader.problems)),
            },
            Some(_) | None => Self::Here(Nested::read(reader, name, text).0),
        }
    }
}

impl<S: Section> Slot for Repeated<S> {
    const SHAPE: Shape = Shape::Repeated(S::FIELDS);

    fn read(reader: &mut TableReader<'_>, name: &'static str, _text: &'static str) -> Self {
        let Some(spanned) = reader.table.and_then(|table| table.get(name)) else {
            return Self(Vec::new());
        };
        let list = reader.place.at(spanned.span().start, name);
        let Some(entries) = spanned.get_ref().as_array() else {
            reader.problems.report(
                &list,
                format!("`{name}` may stand several times, so it is a list of tables"),
                format!("write [[{}]] with double brackets", list.path),
            );
            return Self(Vec::new());
        };
        let mut sections = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let place = list.entry(entry.span().start, index);
            match entry.get_ref().as_table() {
                Some(table) => sections.push(Located {
                    value: read_table(Some(table), place.clone(), reader.problems),
                    place,
                }),
                None => reader.problems.report(
                    &place,
                    format!("this is {}, not a table", entry.get_ref().type_str()),
                    format!("write [[{}]] and the settings below it", list.path),
                ),
            }
        }
        Self(sections)
    }
}

/// The known name that a mistyped one is likely to mean.
fn nearest(given: &str, known: &[Field]) -> Option<&'static str> {
    known
        .iter()
        .map(|field| (strsim::jaro_winkler(given, field.name), field.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn names(known: &[Field]) -> String {
    let names: Vec<_> = known.iter().map(|field| field.name).collect();
    names.join(", ")
}
