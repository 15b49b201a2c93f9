//! The ways in which a request presents a credential.

pub mod basic;
pub mod bearer;
mod parameters;
