//! Randomness as an argument, so that tests can fix it and nothing can reach for a weaker source.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom as AwsRandom};

/// A source of random bytes that are fit for keys and tokens.
pub trait Random: Send + Sync {
    /// Fills `target` with random bytes.
    fn fill(&self, target: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's generator, by way of aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// Stops the process's task when the generator fails: without it every secret would be guessable.
    fn fill(&self, target: &mut [u8]) {
        assert!(AwsRandom::new().fill(target).is_ok(), "the system's random number generator failed");
    }
}
