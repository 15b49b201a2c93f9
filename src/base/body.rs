//! Marks that travel with a request: whether its body was read to the end, and that its head is larger than it may be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// On a request whose head has more bytes, or more fields, than it may have.
#[derive(Debug, Clone, Copy)]
pub struct Oversized;

/// Set by whoever reads the body, looked at by whoever has to know where the next request begins.
#[derive(Debug, Clone, Default)]
pub struct Whole(Arc<AtomicBool>);

impl Whole {
    /// The body was read to its end.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
