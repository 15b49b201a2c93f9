//! The authorization endpoint: what is asked, what follows from it, how the answer travels.
//!
//! Invariant: [`request::read`] is the only way to a [`answer::ReturnAddress`], so a redirect exists only for a client and an
//! address that are known; [`decide::decide`] has no effects; whoever carries a decision out comes back here.
//!
//! RFC 6749 sections 3.1, 4.1.1, 4.1.2, 4.2; RFC 7636; RFC 9207; OpenID Connect Core section 3; hub-contract section 2.

pub mod answer;
pub mod decide;
pub mod issue;
pub mod redirect_uri;
pub mod request;
