//! Stories in virtual time and the contract every machine keeps.
