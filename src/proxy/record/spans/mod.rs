//! What becomes of a request as spans of OpenTelemetry: one of the gateway towards its client, and one for each attempt at an
//! upstream. Without the feature `otel` these are types of no size, whose methods do nothing.
//!
//! Invariant: nothing is noted of a request that is not sampled; no query, no field but `User-Agent` and `Host`, and no body
//! is.
//!
//! W3C Trace Context section 3.2; OpenTelemetry's semantic conventions for HTTP spans.

#[cfg(feature = "otel")]
mod noted;
#[cfg(feature = "otel")]
mod server;
#[cfg(feature = "otel")]
mod upstream;

#[cfg(not(feature = "otel"))]
mod unnoted;

#[cfg(feature = "otel")]
pub use self::noted::{Noted, Spans};
#[cfg(not(feature = "otel"))]
pub use self::unnoted::{Noted, Spans};
