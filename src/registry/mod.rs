//! The verbs of administration: one code path for commands, the configuration file and, later, REST and pages.
//!
//! Invariant: a secret is returned once, by the verb that makes it; what is kept is its digest.

mod altered;
pub mod audit;
pub mod declared;
mod difference;
pub mod fields;
pub mod first;
pub mod groups;
pub mod held;
pub mod import;
pub mod keys;
pub mod links;
pub mod lives;
pub mod pasted;
pub mod people;
pub mod profile;
pub mod query;
pub mod redirects;
pub mod second_step;
pub mod secrets;
pub mod services;
pub mod tokens;
pub mod users;

pub use difference::{Difference, Step};
