//! From sockets to a handler: listeners, TLS, connections with deadlines, draining.
//!
//! Invariant: every wait on a client has a limit; nothing in here knows what the handler does.

pub mod admission;
pub mod connection;
mod drive;
mod early;
mod flood;
pub mod handover;
pub mod io;
pub mod listener;
pub mod proxy_protocol;
pub mod supervisor;
pub mod tls;
mod validity;
pub mod worker;
