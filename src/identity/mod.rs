//! People at the door: who signs in, how often they may try, and the sessions that come of it.
//!
//! Invariant: whatever the reason for a refusal, its answer and its cost are those of a wrong password.

pub mod asking;
mod counter;
pub mod login;
pub mod second_step;
pub mod session;
pub mod throttle;

#[cfg(test)]
mod tests;
