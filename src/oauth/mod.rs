//! The OAuth 2.0 protocol as values and decisions.
//!
//! Invariant: nothing in here knows an HTTP library, a socket, a store or a clock; every step takes what it judges as
//! an argument and returns either the next value or an [`error::OAuthError`].

pub mod authorize;
pub mod client_auth;
pub mod error;
pub mod form;
pub mod grant;
pub mod pkce;
pub mod scope;
pub mod token;
