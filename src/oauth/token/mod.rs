//! Access tokens: JWTs (RFC 9068) that this gateway makes and that only it needs to verify.
//!
//! Invariant: what [`issue`] makes, [`verify`] accepts until it expires, and nothing else.

pub mod claims;
pub mod identity;
pub mod introspect;
pub mod issue;
pub mod revoke;
#[cfg(test)]
pub(in crate::oauth) mod testing;
pub mod verify;

/// The header's `typ` of an access token (RFC 9068 section 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
