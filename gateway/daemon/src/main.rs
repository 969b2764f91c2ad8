//! antiphon-gateway: composition root, shells, store and command line of the gateway.
fn main() {}
