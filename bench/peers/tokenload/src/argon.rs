//! What argon2id itself costs here, with the gateway's parameters and library: the limit of password logins.

use anyhow::Context as _;
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Memory in KiB, passes, lanes: as in the gateway.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Hashes so many times and prints the CPU time of one, in microseconds.
pub(crate) fn measure(count: u32) -> anyhow::Result<()> {
    anyhow::ensure!(count > 0, "argon2 COUNT");
    let params = Params::new(COST.0, COST.1, COST.2, Some(32)).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; 32];
    let mut hash = |salt: u64| {
        argon2
            .hash_password_into_with_memory(
                b"correct horse battery",
                &salt.to_le_bytes(),
                &mut output,
                &mut memory,
            )
            .map_err(|error| anyhow::anyhow!("{error}"))
    };
    // The first one takes the memory from the system.
    hash(u64::MAX)?;
    let before = nanoseconds()?;
    for salt in 0..count {
        hash(salt.into())?;
    }
    println!("{}", (nanoseconds()? - before) / 1000 / u64::from(count));
    Ok(())
}

/// This thread's time on a core.
fn nanoseconds() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().context("schedstat is empty")?.parse()?)
}
