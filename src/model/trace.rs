//! Whether the gateway takes part in traces (W3C Trace Context).

/// What becomes of a request's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceContext {
    /// A request that is in none begins one, which nobody has decided to record.
    #[default]
    On,
    /// The same, marked to be recorded.
    Sampled,
    /// The gateway takes no part: what a trusted proxy sends goes on as it came.
    Off,
}
