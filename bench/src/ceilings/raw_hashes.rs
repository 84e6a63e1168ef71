//! What argon2id at the product's default cost takes by itself, on as many threads as the product
//! has for it, each with memory that is used again and again.

use std::{thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::time::Instant;

use crate::{load::Tally, measure::Sample, people::PASSWORD, process::own_usage};

/// The defaults of `ARGON2_MEMORY_KIB`, `ARGON2_ITERATIONS` and `ARGON2_PARALLELISM`.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
const PARALLELISM: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT: &[u8; 16] = b"0123456789abcdef";

/// Hashes for `duration`.
///
/// # Errors
/// Where a thread panics.
pub(crate) async fn run(duration: Duration) -> Result<Sample> {
    let before = own_usage();
    let tally = tokio::task::spawn_blocking(move || on_all_cores(duration)).await??;
    Ok(Sample::of_our_own(tally, before))
}

fn on_all_cores(duration: Duration) -> Result<Tally> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let hashing: Vec<_> = (0..threads).map(|_| scope.spawn(|| on_one(duration))).collect();
        let mut tally = Tally::default();
        for thread in hashing {
            tally.merge(&thread.join().map_err(|_| anyhow!("a hashing thread panicked"))??);
        }
        Ok(tally)
    })
}

fn on_one(duration: Duration) -> Result<Tally> {
    let params = Params::new(MEMORY_KIB, ITERATIONS, PARALLELISM, Some(HASH_BYTES));
    let params = params.map_err(|error| anyhow!("{error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH_BYTES];
    let mut tally = Tally::begin();
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let began = Instant::now();
        let hashed = argon2.hash_password_into_with_memory(
            PASSWORD.as_bytes(),
            SALT,
            &mut hash,
            &mut memory,
        );
        hashed.map_err(|error| anyhow!("{error}")).context("hashing")?;
        tally.answered(began.elapsed());
    }
    tally.end();
    Ok(tally)
}
