//! Stories of people through the whole interface, on both stores.

mod attacks;
mod authenticator;
mod example;
mod giving;
mod joining;
mod matrix;
mod passkeys;
mod signing_in;
mod tokens;
