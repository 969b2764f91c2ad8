//! What a device and the core say.
