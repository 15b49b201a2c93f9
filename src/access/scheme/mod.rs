//! The ways in which a request presents a credential.

pub mod bearer;
