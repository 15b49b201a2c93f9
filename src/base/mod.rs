//! Values and seams that every other module may use: ids, secrets, time, randomness, URLs.
//!
//! Invariant: nothing in here knows a protocol; only `file` touches the disk.

pub mod body;
pub mod file;
pub mod id;
pub mod interim;
pub mod pace;
pub mod random;
pub mod secret;
pub mod source;
pub mod time;
pub mod url;

/// A hash map for short keys that is fast and, being seeded at random for each process, safe against chosen keys.
#[expect(clippy::disallowed_types, reason = "this is the alias that the ban points to")]
pub type FastMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
