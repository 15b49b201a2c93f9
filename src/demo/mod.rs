//! The demonstration: a sample backend to stand behind the gate, and the text that shows what to try.
//!
//! Invariant: nothing in here is part of a gateway in service; `hubgate serve` never reaches it.

pub mod backend;
pub mod story;
