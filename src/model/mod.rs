//! The records that the gateway keeps and the transitions between their states.
//!
//! Invariant: nothing in here performs I/O, reads a clock or draws random numbers; a record that exists is consistent.

pub mod flow;
pub mod key;
pub mod registry;
pub mod revocation;
pub mod service;
pub mod upstream;
