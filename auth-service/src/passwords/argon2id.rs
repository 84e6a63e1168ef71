//! Argon2 (RFC 9106): hashes as they are stored, and one hashing thread's maker and verifier of
//! them, with memory that is used again and again.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use service_kit::{Entropy, StartError};

use super::{
    Settings,
    stored::{KEY_BYTES_MIN, UnusableHash},
};

pub(super) const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Memory that a hash may ask for, in KiB: each thread may hold as much at once.
const MEMORY_KIB_MAX: u32 = 512 * 1024;
/// Memory times passes over it, in KiB: about three seconds.
const WORK_KIB_MAX: u64 = 4 * 1024 * 1024;

/// Why a hash could not be made or compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum HashError {
    #[error("a stored password hash {0}")]
    Unusable(#[from] UnusableHash),
    #[error("a password hash cannot be put together")]
    Unprintable,
    #[error("hashing a password: {0}")]
    Argon2(#[from] argon2::Error),
}

/// A hash of any Argon2, as a PHC string holds it.
#[derive(Clone)]
pub struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    key: Output,
}

impl Argon2Hash {
    /// `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`.
    pub(super) fn parse(text: &str) -> Result<Self, UnusableHash> {
        let malformed = |_| UnusableHash::Malformed;
        let phc = PasswordHash::new(text).map_err(|_| UnusableHash::Malformed)?;
        let params = Params::try_from(&phc).map_err(|_| UnusableHash::Malformed)?;
        if params.m_cost() > MEMORY_KIB_MAX || work_kib(&params) > WORK_KIB_MAX {
            return Err(UnusableHash::TooCostly);
        }
        let algorithm = Algorithm::new(phc.algorithm).map_err(|_| UnusableHash::UnknownFormat)?;
        // Of a hash without a version, the reference code assumes the first one.
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(malformed)?;
        match (phc.salt, phc.hash) {
            (Some(salt), Some(key)) if key.len() >= KEY_BYTES_MIN => {
                Ok(Self { algorithm, version, params, salt, key })
            }
            _ => Err(UnusableHash::Malformed),
        }
    }
}

impl Argon2Hash {
    /// Whether it is as a hash that is made now with `params`.
    pub(super) fn is_of(&self, params: &Params) -> bool {
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && cost(&self.params) == cost(params)
            && self.salt.len() >= SALT_BYTES
            && self.key.len() == HASH_BYTES
    }
}

fn work_kib(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

impl Settings {
    /// Makes sure that hashes can be made with these settings.
    ///
    /// # Errors
    /// Names the setting that is out of bounds.
    pub fn check(&self) -> Result<(), StartError> {
        self.params().map(drop)
    }

    pub(super) fn params(&self) -> Result<Params, StartError> {
        let Settings { argon2_memory_kib, argon2_iterations, argon2_parallelism } = *self;
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
        if work_kib(&params) > WORK_KIB_MAX {
            let message = format!("more than {WORK_KIB_MAX} KiB in all passes");
            return Err(StartError::setting("ARGON2_ITERATIONS", message));
        }
        Ok(params)
    }
}

pub(super) struct Argon2id {
    params: Params,
    /// From the first hash on until nobody asks for one.
    memory: Vec<Block>,
    /// Of the cost of a real hash, and of no password.
    pub(super) decoy: Argon2Hash,
}

impl Argon2id {
    pub(super) fn new(settings: &Settings, entropy: &Entropy) -> Result<Self, StartError> {
        let params = settings.params()?;
        let decoy = phc_string(&params, &entropy.bytes(), &entropy.bytes::<HASH_BYTES>());
        let decoy = decoy.and_then(|text| Ok(Argon2Hash::parse(&text)?));
        Ok(Self {
            params,
            memory: Vec::new(),
            decoy: decoy.map_err(|e| StartError::other(e.to_string()))?,
        })
    }

    pub(super) fn hash(
        &mut self,
        password: &[u8],
        salt: &[u8; SALT_BYTES],
    ) -> Result<String, HashError> {
        let mut hash = [0; HASH_BYTES];
        self.memory.resize(self.params.block_count(), Block::default());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        argon2.hash_password_into_with_memory(password, salt, &mut hash, &mut self.memory)?;
        phc_string(&self.params, salt, &hash)
    }

    /// Gives the memory back until the next hash.
    pub(super) fn rest(&mut self) {
        self.memory = Vec::new();
    }

    /// Whether `stored` is as [`Argon2id::hash`] would make it now.
    pub(super) fn is_current(&self, stored: &Argon2Hash) -> bool {
        stored.is_of(&self.params)
    }

    /// Whether `password` is the one in `stored`.
    pub(super) fn verify(
        &mut self,
        password: &[u8],
        stored: &Argon2Hash,
    ) -> Result<bool, HashError> {
        let Argon2Hash { algorithm, version, params, salt, key } = stored.clone();
        // A hash of larger parameters borrows more, and gives it back.
        let own_blocks = self.params.block_count();
        let blocks = params.block_count().max(own_blocks);
        self.memory.resize(blocks, Block::default());
        let mut actual = [0; Output::MAX_LENGTH];
        let actual = actual.get_mut(..key.len()).ok_or(UnusableHash::Malformed)?;
        let argon2 = Argon2::new(algorithm, version, params);
        let hashed =
            argon2.hash_password_into_with_memory(password, &salt, actual, &mut self.memory);
        if blocks > own_blocks {
            self.memory.truncate(own_blocks);
            self.memory.shrink_to_fit();
        }
        hashed?;
        Ok(verify_slices_are_equal(actual, key.as_bytes()).is_ok())
    }
}

/// The hash in the form `$argon2id$v=19$m=..,t=..,p=..$salt$hash`.
fn phc_string(params: &Params, salt: &[u8; SALT_BYTES], hash: &[u8]) -> Result<String, HashError> {
    let malformed = |_| HashError::Unprintable;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params.try_into().map_err(|_| HashError::Unprintable)?,
        salt: Some(Salt::new(salt).map_err(malformed)?),
        hash: Some(Output::new(hash).map_err(malformed)?),
    };
    Ok(phc.to_string())
}
