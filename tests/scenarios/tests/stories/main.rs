//! Stories of a site in virtual time, one file each.

mod ring_group;
mod two_stations_talk;
