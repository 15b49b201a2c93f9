//! What a token is for.

use serde::{Deserialize, Serialize};

use super::registry::HUB_NAME;
use crate::base::id::ServiceId;

/// The scope values that OpenID Connect defines, with Hub's `groups` (OpenID Connect Core sections 5.4, 11).
pub const OPENID_SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

/// Whether a word stands for something of its own in a scope, so that no service can go by it: the gateway's own service, and
/// what OpenID Connect defines. Capital letters do not count.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    let own = [ServiceId::HUB, HUB_NAME];
    own.iter().chain(&OPENID_SCOPES).any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// The one that asks for a refresh token (OpenID Connect Core section 11), as `access_type=offline` does.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// A scope that names registered services, each once, and is spelled as it was requested, because Hub's clients compare
/// the answer with what they asked for literally (hub-contract section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedScope {
    /// The entries as requested, separated by one blank: `scope` of the answer and of the token.
    pub spelled: String,
    /// The services that they name: `aud` of the token.
    pub services: Vec<ServiceId>,
}

impl GrantedScope {
    /// Whether an entry is exactly this word; for the values of [`OPENID_SCOPES`].
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.spelled.split(' ').any(|entry| entry == word)
    }

    /// The same without an entry.
    #[must_use]
    pub fn without(self, word: &str) -> Self {
        if !self.has(word) {
            return self;
        }
        let left: Vec<&str> = self.spelled.split(' ').filter(|entry| *entry != word).collect();
        Self { spelled: left.join(" "), services: self.services }
    }

    /// The values of [`OPENID_SCOPES`] in it.
    pub fn openid_entries(&self) -> impl Iterator<Item = &'static str> + '_ {
        OPENID_SCOPES.into_iter().filter(|word| self.has(word))
    }
}
