//! Letters that go out by mail.
//!
//! A letter is a row, written in the transaction of what it tells of, so that neither is without
//! the other. One node at a time takes what is due, hands it to the mail server over SMTP and
//! writes down what became of it; what the server does not take now is tried again until the letter
//! is worth nothing any more. Its link opens an account: it is sealed, and gone with the letter's
//! end. Deliberately not here: who is written to and why. Invariants: a letter that left is not
//! sent again, but for one whose node died between the server's word and ours (its `Message-ID`
//! stays the same); a letter that did not leave says why.

mod compose;
mod letters;
mod routes;
mod sender;
#[cfg(test)]
mod tests;
mod texts;
mod transport;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use letters::{Kind, Letter, State, counts, forget, listed, so_many_to, write};
pub(crate) use routes::routes;
pub(crate) use sender::run;
pub(crate) use texts::{Action, Text};
pub(crate) use transport::send_test;

use crate::config;

/// The way mails leave, and how it goes. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    settings: Option<config::Mail>,
    figures: Figures,
    trouble: Mutex<Option<String>>,
}

/// Since this process began.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sent: AtomicU64,
    /// Tries after which a letter waits for the next.
    pub(crate) put_off: AtomicU64,
    pub(crate) given_up: AtomicU64,
    /// Times the server could not be used at all.
    pub(crate) server_failures: AtomicU64,
    /// Letters about notices that were not written, because their reader has enough of them.
    pub(crate) held_back: AtomicU64,
}

impl Mail {
    /// Without settings no mail leaves.
    pub(crate) fn new(settings: Option<config::Mail>) -> Self {
        Self {
            inner: Arc::new(Inner {
                settings,
                ..Inner::default()
            }),
        }
    }

    pub(crate) fn settings(&self) -> Option<&config::Mail> {
        self.inner.settings.as_ref()
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    /// Why the mail server cannot be used, if it could not the last time.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.inner.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, why: Option<String>) {
        let trouble = self.inner.trouble.lock();
        *trouble.unwrap_or_else(PoisonError::into_inner) = why;
    }
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}
