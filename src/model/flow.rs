//! The OAuth flows that Hub knows, and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to obtain a token, under the name that `grant_type` (or, for implicit, RFC 6749 section 4.2) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 4.2.
    Implicit,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 4.3.
    Password,
}

impl Flow {
    /// Every flow.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::Implicit,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::Password,
    ];

    /// The name in configuration and protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Implicit => "implicit",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
        }
    }

    /// The flow of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flow| flow.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of flows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Flow>", into = "Vec<Flow>")]
pub struct Flows(u8);

impl Flows {
    /// All five, what the profile `"hub"` allows.
    #[must_use]
    pub fn all() -> Self {
        Flow::ALL.into_iter().collect()
    }

    /// Whether the set has `flow`.
    #[must_use]
    pub const fn contains(self, flow: Flow) -> bool {
        self.0 & flow.bit() != 0
    }

    /// What both sets have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The members, in the order of [`Flow::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Flow> {
        Flow::ALL.into_iter().filter(move |flow| self.contains(*flow))
    }
}

impl FromIterator<Flow> for Flows {
    fn from_iter<I: IntoIterator<Item = Flow>>(flows: I) -> Self {
        Self(flows.into_iter().fold(0, |set, flow| set | flow.bit()))
    }
}

impl From<Vec<Flow>> for Flows {
    fn from(flows: Vec<Flow>) -> Self {
        flows.into_iter().collect()
    }
}

impl From<Flows> for Vec<Flow> {
    fn from(flows: Flows) -> Self {
        flows.iter().collect()
    }
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: Flows = [Flow::Password, Flow::ClientCredentials].into_iter().collect();
        assert!(set.contains(Flow::Password) && !set.contains(Flow::Implicit));
        assert_eq!(Flows::all().intersection(set), set);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["client_credentials","password"]"#);
        assert_eq!(serde_json::from_str::<Flows>(r#"["password","client_credentials"]"#).unwrap(), set);
        for flow in Flow::ALL {
            assert_eq!(Flow::parse(flow.name()), Some(flow));
        }
    }
}
