//! Pages as people use them, in Chromium.

mod legacy_site;
mod passkeys;
