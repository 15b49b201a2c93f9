//! The OAuth 2.0 protocol as values and decisions.
//!
//! Invariant: nothing in here knows an HTTP library, a socket, a database or a clock; every step takes what it judges as
//! an argument (what is stored, by way of the store's narrow traits) and returns either the next value or an
//! [`error::OAuthError`].

pub mod authorize;
pub mod cause;
pub mod client_auth;
pub mod discovery;
pub mod error;
pub mod form;
pub mod grant;
pub mod owner;
pub mod pkce;
pub mod scope;
pub mod token;
pub mod userinfo;
