//! The gateway from outside: real sockets, real TLS, and upstreams that record every byte they receive.
//!
//! One binary, a file for each capability. A case asserts both what the client got and what the upstream received,
//! and after each attack an innocent request on another connection must be answered right.
#![cfg(test)]

mod support;

mod architecture;
mod backup;
mod balancing;
mod beside;
mod broken_off;
mod browser_mode;
mod console;
mod demo;
mod directory;
mod dressed;
mod explain;
mod files;
mod floods;
mod flows;
mod forwarding;
mod framing;
mod framing_upstream;
mod gate_people;
mod headers;
mod import;
mod interim;
mod letters;
mod limits;
mod live;
mod observation;
mod operation;
#[cfg(feature = "otel")]
mod otel;
mod own_endpoints;
mod pace;
mod panics;
mod paths;
mod people;
mod permanent;
mod protocols;
mod proxy_protocol;
mod refusals;
mod rest;
mod review;
mod shadow;
mod store;
mod streams;
mod takeover;
mod timeouts;
mod token_endpoint;
mod token_inquiries;
mod tokens;
mod unread_uploads;
mod upstreams;
mod vectors;
mod websocket;
