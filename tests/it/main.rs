//! The gateway as its users meet it, and the parts whose contract is not visible from within.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod store;
