//! What the gateway says about itself: access and decision lines, metrics, the log of its own life.
//!
//! Invariant: nothing in here can stall or stop a request: lines go through a bounded channel and are counted when
//! they are lost; no query, header value or body ever reaches a line.

pub mod files;
pub mod history;
pub mod journal;
pub mod line;
pub mod log;
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
pub mod refusals;
pub mod sink;
