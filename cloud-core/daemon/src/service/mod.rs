//! The core about itself: whether it lives and whether it can serve.

mod health;

pub(crate) use health::routes;
