//! Subscriptions: what can be ordered, what a company has of it, and what needs which.
//!
//! [`offers`] is the table of what can be ordered. A [`Subscription`] is an amount of one offer
//! from a day to a day; [`Balance`] says what is there, used and missing at a moment. What needs
//! one ([`to_claim`], [`to_manage`]) is asked when something new is begun and by nothing else.
//!
//! Not here: rows, prices, counting of what is used. Invariant: calls, doors and what already
//! runs never ask; a subscription that has ended counts for [`GRACE`] more.

mod balance;
mod needs;
mod offers;

pub use balance::{Balance, ENDS_SOON, GRACE, Standing, Subscription, balance};
pub use needs::{Checking, Missing, Outcome, to_claim, to_manage};
pub use offers::{Offer, Sku, UnknownSku, offers};
