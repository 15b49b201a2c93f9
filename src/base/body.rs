//! Marks that travel with a request: that its body is malformed, and that its head is larger than it may be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// On a request whose head has more bytes, or more fields, than it may have: what of it is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversized {
    /// The target alone takes more than half of what the whole head may have.
    Target,
    /// The fields.
    Fields,
}

/// On a request whose body comes in chunks: set once they are seen to be malformed, before a byte of such a piece is handed out.
#[derive(Debug, Clone, Default)]
pub struct Spoiled(Arc<AtomicBool>);

impl Spoiled {
    /// They are malformed.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody else has this mark any more: the body is not being read.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether they are.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
