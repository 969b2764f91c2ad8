//! What CI runs beyond cargo: dependency directions, tidy checks, test set-up, demo.
fn main() {}
