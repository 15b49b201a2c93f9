//! What pages of administration tell of the gateway itself: its configuration in force, its certificate, its age.
//!
//! Invariant: no secret is among it; whoever offers the facts leaves them out.

use crate::base::time::Timestamp;

/// A part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsPart {
    /// As gateway.toml heads it, `[oauth]`; empty for what stands on top.
    pub heading: &'static str,
    /// Keys and values, as gateway.toml would spell them.
    pub entries: Vec<(&'static str, String)>,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file that it was read from.
    pub file: String,
    /// What is allowed and looks like a mistake, in lines.
    pub warnings: Vec<String>,
    /// Its parts.
    pub parts: Vec<SettingsPart>,
}

/// The certificate of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Until when it is valid; `None`: not understood.
    pub ends: Option<Timestamp>,
    /// Whether the gateway has made it itself, for development.
    pub self_signed: bool,
}

/// Tells it.
pub trait Facts: Send + Sync {
    /// The configuration in force.
    fn settings(&self) -> Settings;

    /// The certificate in use.
    fn certificate(&self) -> CertificateFacts;

    /// When this process began.
    fn started(&self) -> Timestamp;
}
