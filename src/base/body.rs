//! A mark that travels with a request: whether its body was read to the end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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
