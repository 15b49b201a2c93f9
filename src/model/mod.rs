//! The records that the gateway keeps and the transitions between their states.
//!
//! Invariant: nothing in here performs I/O, reads a clock or draws random numbers; a record that exists is consistent.

pub mod address;
pub mod credential;
pub mod delivery;
pub mod device;
pub mod event;
pub mod flow;
pub mod grant;
pub mod key;
pub mod link;
pub mod naming;
pub mod registry;
pub mod revocation;
pub mod scope;
pub mod search;
pub mod second_step;
pub mod service;
pub mod session;
pub mod trace;
pub mod upstream;
pub mod usage;
pub mod user;
