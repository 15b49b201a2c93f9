//! How often something may happen, as an administrator states it.

use std::{num::NonZeroU32, time::Duration};

use serde::Serialize;

/// So many within so long; the whole number may come at once: `"100/s"`, `"30/m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// Within this time.
    pub per: Duration,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Those of an address.
    Source,
    /// Those with tokens of a service.
    Service,
    /// Those on behalf of a user.
    User,
}

/// How often requests may come; `None`: as often as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestRates {
    /// From one source.
    pub source: Option<Rate>,
    /// With tokens of one service.
    pub service: Option<Rate>,
    /// On behalf of one user.
    pub user: Option<Rate>,
}

impl RequestRates {
    /// Those that are limited.
    pub fn limited(&self) -> impl Iterator<Item = (Whose, Rate)> {
        let all = [(Whose::Source, self.source), (Whose::Service, self.service), (Whose::User, self.user)];
        all.into_iter().filter_map(|(whose, rate)| Some((whose, rate?)))
    }

    /// Whether none is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.limited().next().is_none()
    }
}
