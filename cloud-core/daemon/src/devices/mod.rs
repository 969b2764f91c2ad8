//! Devices and gateways: what is asked of them.

pub(crate) mod commands;
