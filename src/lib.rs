//! hubgate: a reverse-proxy authentication gateway that speaks the OAuth 2.0 protocol of JetBrains Hub.

pub mod access;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod demo;
pub mod identity;
pub mod mail;
pub mod model;
pub mod oauth;
pub mod observe;
pub mod proxy;
pub mod registry;
pub mod server;
pub mod store;
pub mod texts;
pub mod web;
