//! The spans that the gateway sends, where it is built with the feature `otel`.

#[cfg(feature = "otel")]
mod sending;
#[cfg(not(feature = "otel"))]
mod silent;

#[cfg(feature = "otel")]
pub(super) use self::sending::Telemetry;
#[cfg(not(feature = "otel"))]
pub(super) use self::silent::Telemetry;
