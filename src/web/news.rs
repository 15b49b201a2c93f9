//! How a handler that has written to the store waits until the gate of this node acts on it.

use async_trait::async_trait;

/// What was written is kept, but the gate does not act on it yet; it will as soon as it has read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the change is kept and not yet in force here: {0}")]
pub struct NotInForce(pub String);

/// Tells the gate that there is news in the store.
#[async_trait]
pub trait News: Send + Sync {
    /// Returns when the gate judges by everything that was committed to the store before the call. Cheap when that is
    /// nothing, and calls at the same time share one look.
    ///
    /// # Errors
    /// [`NotInForce`]: the store does not answer, or holds keys that do not open.
    async fn taken_up(&self) -> Result<(), NotInForce>;
}
