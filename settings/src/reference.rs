//! The reference: a sample of the whole configuration, made from the declarations.
//!
//! What must be written stands there as an example, what has a default stands commented out with
//! it. A test reads the sample back.

use std::fmt::Write as _;

use crate::section::{self, Field, Section, Shape};

/// The annotated sample of `S`, with `head` above it.
pub fn reference<S: Section>(head: &str) -> String {
    let mut text = head.to_owned();
    table(&mut text, "", S::FIELDS, InForce::Yes);
    text
}

/// Whether what is written holds, or is commented out as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InForce {
    Yes,
    No,
}

impl InForce {
    fn sign(self) -> &'static str {
        match self {
            Self::Yes => "",
            Self::No => "#",
        }
    }
}

fn table(text: &mut String, path: &str, fields: &[Field], in_force: InForce) {
    // In TOML what belongs to a table itself comes before the tables in it.
    for field in fields {
        let sign = match field.shape {
            Shape::Required => in_force.sign(),
            Shape::Defaulted | Shape::Optional => "#",
            Shape::Nested(_) | Shape::Perhaps(_) | Shape::Repeated(_) => continue,
        };
        text.push('\n');
        document(text, field);
        let _ = writeln!(text, "{sign}{} = {}", field.name, field.text);
    }
    for field in fields {
        let path = match path {
            "" => field.name.to_owned(),
            path => format!("{path}.{}", field.name),
        };
        let (head, inner, in_force) = match field.shape {
            Shape::Nested(inner) => (format!("[{path}]"), inner, in_force),
            Shape::Perhaps(inner) => (format!("[{path}]"), inner, InForce::No),
            Shape::Repeated(inner) if field.text == section::SHOWN => {
                (format!("[[{path}]]"), inner, in_force)
            }
            Shape::Repeated(inner) => (format!("[[{path}]]"), inner, InForce::No),
            Shape::Required | Shape::Defaulted | Shape::Optional => continue,
        };
        let _ = write!(text, "\n\n");
        document(text, field);
        let _ = writeln!(text, "{}{head}", in_force.sign());
        table(text, &path, inner, in_force);
    }
}

fn document(text: &mut String, field: &Field) {
    for line in field.doc {
        let _ = writeln!(text, "#{line}");
    }
}
