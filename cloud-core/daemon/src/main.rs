//! antiphon-cloud: the program. All of it is in the library, so that tests reach it.

fn main() {}
