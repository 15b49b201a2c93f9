//! The gateway from outside, and the rules of the house.
#![cfg(test)]

mod architecture;
