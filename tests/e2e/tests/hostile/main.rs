//! What must not harm the others: each test attacks from one address while two
//! stations go on calling each other, then looks at the counter and the memory.

mod connections;
mod encrypted;
mod floods;
mod media;
mod messages;
mod packets;
mod passwords;
mod victims;
