//! What the tests share: a gateway in this process, upstreams that record, clients that send exactly what they are told.

pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod client;
#[cfg(feature = "otel")]
pub(crate) mod collector;
pub(crate) mod forge;
pub(crate) mod gateway;
pub(crate) mod h2;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod reply;
pub(crate) mod smtp;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod upstream2;
pub(crate) mod wire;

pub(crate) use answer::Answer;
pub(crate) use client::{Client, Request};
pub(crate) use gateway::{Gateway, Setup};
pub(crate) use raw::RawClient;
pub(crate) use reply::Reply;
pub(crate) use upstream::{Recorded, Upstream};
pub(crate) use upstream2::Upstream2;
