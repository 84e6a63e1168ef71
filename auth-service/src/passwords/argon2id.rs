//! One hashing thread's Argon2id (RFC 9106), with memory that is used again and again.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use service_kit::{Entropy, StartError};

use super::Settings;

pub(super) const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Memory that a stored hash may ask for, in KiB: more is damage or an attack.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// Why a hash could not be made or compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum HashError {
    #[error("a stored password hash cannot be read")]
    Malformed,
    #[error("hashing a password: {0}")]
    Argon2(#[from] argon2::Error),
}

pub(super) struct Argon2id {
    params: Params,
    memory: Vec<Block>,
    /// Of the cost of a real hash, and of no password.
    decoy: String,
}

impl Argon2id {
    pub(super) fn new(settings: &Settings, entropy: &Entropy) -> Result<Self, StartError> {
        let Settings { argon2_memory_kib, argon2_iterations, argon2_parallelism } = *settings;
        if argon2_memory_kib > MEMORY_KIB_MAX {
            let message = format!("more than {MEMORY_KIB_MAX} KiB");
            return Err(StartError::setting("ARGON2_MEMORY_KIB", message));
        }
        let params =
            Params::new(argon2_memory_kib, argon2_iterations, argon2_parallelism, Some(HASH_BYTES))
                .map_err(|error| {
                    let variable = match error {
                        argon2::Error::TimeTooSmall => "ARGON2_ITERATIONS",
                        argon2::Error::ThreadsTooFew | argon2::Error::ThreadsTooMany => {
                            "ARGON2_PARALLELISM"
                        }
                        _ => "ARGON2_MEMORY_KIB",
                    };
                    StartError::setting(variable, error.to_string())
                })?;
        let memory = vec![Block::default(); params.block_count()];
        let decoy = phc_string(&params, &entropy.bytes(), &entropy.bytes::<HASH_BYTES>());
        Ok(Self { params, memory, decoy: decoy.map_err(|e| StartError::other(e.to_string()))? })
    }

    pub(super) fn hash(
        &mut self,
        password: &[u8],
        salt: &[u8; SALT_BYTES],
    ) -> Result<String, HashError> {
        let mut hash = [0; HASH_BYTES];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        argon2.hash_password_into_with_memory(password, salt, &mut hash, &mut self.memory)?;
        phc_string(&self.params, salt, &hash)
    }

    /// Whether `password` is the one in `stored`; for `None`, no at the same cost.
    pub(super) fn verify(
        &mut self,
        password: &[u8],
        stored: Option<&str>,
    ) -> Result<bool, HashError> {
        let phc = PasswordHash::new(stored.unwrap_or(&self.decoy));
        let phc = phc.map_err(|_| HashError::Malformed)?;
        let params = Params::try_from(&phc).map_err(|_| HashError::Malformed)?;
        let algorithm = Algorithm::new(phc.algorithm).map_err(|_| HashError::Malformed)?;
        let version = phc.version.map_or(Ok(Version::V0x13), Version::try_from);
        let version = version.map_err(|_| HashError::Malformed)?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(HashError::Malformed);
        };
        if params.m_cost() > MEMORY_KIB_MAX {
            return Err(HashError::Malformed);
        }

        // A hash of larger parameters borrows more, and gives it back.
        let own_blocks = self.params.block_count();
        let blocks = params.block_count().max(own_blocks);
        self.memory.resize(blocks, Block::default());
        let mut actual = [0; Output::MAX_LENGTH];
        let actual = actual.get_mut(..expected.len()).ok_or(HashError::Malformed)?;
        let argon2 = Argon2::new(algorithm, version, params);
        let hashed =
            argon2.hash_password_into_with_memory(password, &salt, actual, &mut self.memory);
        if blocks > own_blocks {
            self.memory.truncate(own_blocks);
            self.memory.shrink_to_fit();
        }
        hashed?;
        let matches = verify_slices_are_equal(actual, expected.as_bytes()).is_ok();
        Ok(matches && stored.is_some())
    }
}

/// The hash in the form `$argon2id$v=19$m=..,t=..,p=..$salt$hash`.
fn phc_string(params: &Params, salt: &[u8; SALT_BYTES], hash: &[u8]) -> Result<String, HashError> {
    let malformed = |_| HashError::Malformed;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params.try_into().map_err(|_| HashError::Malformed)?,
        salt: Some(Salt::new(salt).map_err(malformed)?),
        hash: Some(Output::new(hash).map_err(malformed)?),
    };
    Ok(phc.to_string())
}
