//! Stories of people through the whole interface, on both stores.

mod giving;
mod signing_in;
