//! The stores: one suite for all of them, and what only a file can suffer.

mod child;
mod conformance;
mod crash;
mod damage;
mod dump;
mod refusal;
mod sqlite;
