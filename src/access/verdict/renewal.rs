//! A verdict on what is still going on, as it would be reached now.
//!
//! Invariant: what is renewed has passed what a new request passes; it takes no place in the memory of verdicts.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64},
};

use super::{Standing, Verdict, Verdicts};
use crate::{access::judge::Judge, oauth::token::verify::TokenError};

impl Verdict {
    /// The same token with what is known now of the person, or of the credential.
    ///
    /// # Errors
    /// [`TokenError`], why it is not good any more.
    pub fn renewed(self: &Arc<Self>, verdicts: &Verdicts, judge: Judge<'_>) -> Result<Arc<Self>, TokenError> {
        match self.standing(verdicts, judge)? {
            Standing::Unchanged => Ok(Arc::clone(self)),
            Standing::Outdated(person, epoch) => Ok(Arc::new(self.exchanged(person, epoch))),
            Standing::Stale => {
                let known = self.credential.as_ref().map(|credential| &credential.known);
                let known = known.ok_or(TokenError::Unknown)?;
                // The epoch is read first: what is revoked from here on is news to this verdict.
                let epoch = judge.revocations.epoch();
                let (claims, person, credential, key) = judge.credential(&known.digest, known.kind)?;
                Ok(Arc::new(Self {
                    claims,
                    person,
                    credential,
                    key,
                    client: Arc::clone(&self.client),
                    epoch: AtomicU64::new(epoch),
                    born: epoch,
                    recent: AtomicBool::new(false),
                    scoped: Mutex::default(),
                }))
            }
        }
    }
}
