//! May this request reach this service?
//!
//! Invariant: only [`policy`] makes a [`policy::Permit`], and nothing is forwarded without one.

pub mod credentials;
pub mod directory;
pub mod foreign;
pub mod judge;
pub mod policy;
pub mod quota;
pub mod revocations;
pub mod scheme;
pub mod uses;
pub mod verdict;
