//! Plain data of the intercom world: ids, call numbers, stations, doors, ring groups, the directory.
