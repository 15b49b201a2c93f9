//! Digests, sealing, signing keys and signatures of tokens, all on aws-lc; password hashes; codes of a second step.
//!
//! Invariant: a private key or a secret leaves this module only sealed, digested or used.

pub mod digest;
pub mod jws;
pub mod keyring;
pub mod opaque;
pub mod password;
pub mod permanent;
pub mod recovery;
pub mod seal;
pub mod totp;
