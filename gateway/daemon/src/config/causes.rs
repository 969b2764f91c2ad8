//! The table of causes: what in it is not as usual.

use exchange::Causes;
use legacy_protocols::isdn::causes::TableError;
use model::EndCause;

use super::fields::CausesSection;
use super::problems::{Place, Problems};
use super::section::Located;

pub(super) fn causes(section: &CausesSection, problems: &mut Problems) -> Causes {
    let mut causes = Causes::default();
    for own in section.own.iter() {
        let cause = cause(&own.cause, problems);
        let set = causes.set(cause, status(own.status.value.0), number(own.q850.value.0));
        report(set, &own.place, problems);
    }
    for heard in section.heard_q850.iter() {
        let set = causes
            .table
            .set_status(number(heard.q850.value.0), status(heard.status.value.0));
        report(set, &heard.place, problems);
    }
    for heard in section.heard_status.iter() {
        let set = causes
            .table
            .set_cause(status(heard.status.value.0), number(heard.q850.value.0));
        report(set, &heard.place, problems);
    }
    causes
}

fn cause(name: &Located<String>, problems: &mut Problems) -> EndCause {
    EndCause::from_name(name).unwrap_or_else(|| {
        let known = EndCause::ALL.map(EndCause::name).join(", ");
        problems.report(
            &name.place,
            format!("\"{}\" is no cause", name.value),
            format!("name one of: {known}"),
        );
        EndCause::Declined
    })
}

/// The bounds of the fields have been checked when they were read.
fn status(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn number(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn report(set: Result<(), TableError>, place: &Place, problems: &mut Problems) {
    if let Err(error) = set {
        let text = error.to_string();
        let (what, remedy) = text.split_once("; ").unwrap_or((&text, "give another one"));
        problems.report(place, what, remedy);
    }
}
