//! Stories of people through the whole interface, on both stores.

mod example;
mod giving;
mod joining;
mod matrix;
mod signing_in;
mod tokens;
