//! Digests, sealing, signing keys and tokens' signatures, all on aws-lc.
//!
//! Invariant: a private key and a secret leave this module only sealed, digested or used.

pub mod digest;
