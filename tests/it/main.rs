//! The gateway as its users meet it, and the parts whose contract is not visible from within.

#[cfg(test)]
mod store;
