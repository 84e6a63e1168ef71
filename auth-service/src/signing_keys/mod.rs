//! The key pairs that access tokens are signed with, kept in the database, their private halves
//! sealed under the secret key.
//!
//! A key is `next`, `active`, `retired`, gone. There is one next and one active key from the first
//! start on. The next key is published like the others, so that every verifier knows it before the
//! first token comes; it becomes active when the active one is old, and another next one is made.
//! A retired key is trusted until the last token that it signed has expired. A revoked key is gone
//! at once, in whatever state it was.
//!
//! | Module | Holds |
//! |---|---|
//! | `plan` | what becomes of the keys, and when: pure |
//! | `keeper` | carries that out in the database; of several replicas, one does |
//! | `ring` | the keys at one moment, opened |
//! | `pair` | one key pair, of any of the three algorithms |

mod keeper;
mod pair;
mod plan;
mod ring;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use auth_client::{NotVerified, Refusal, TokenRules, token::VerifiedToken};
use service_kit::{StartError, Timestamp};
use tokio::{
    sync::Mutex,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::error::Error;

pub use keeper::{KeyKeeper, failed};
pub use plan::{KeyPolicy, Refused, rotation_age};
pub use ring::{BrokenKeys, KeyRing, SigningKey};

/// What the secret key seals private keys for.
const PURPOSE: &str = "signing-key";
/// How often the database is asked whether the keys have changed: a revoked key is refused
/// everywhere within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The pause between two looks, whoever asks for them: anyone can send a made-up key id.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a look may hold up those who ask for the public keys: half of what verifiers wait.
const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(1);

/// The keys in use, as up to date as the last look at the database.
#[derive(Debug)]
pub struct SigningKeys {
    keeper: KeyKeeper,
    rules: TokenRules,
    ring: RwLock<Arc<KeyRing>>,
    /// Held while looking.
    last_look: Mutex<Look>,
}

/// A look at the database.
#[derive(Debug)]
struct Look {
    began: Instant,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Succeeded,
    Failed,
    /// Whoever looked went away.
    GivenUp,
}

impl SigningKeys {
    /// The keys in the database of `keeper`, for tokens that follow `rules`; where there are none,
    /// the first are made.
    ///
    /// # Errors
    /// Names `SECRET_KEY` where the stored keys were sealed under another one, and the key where a
    /// single one is damaged.
    pub async fn start(keeper: KeyKeeper, rules: TokenRules) -> Result<Self, StartError> {
        keeper.require_fit().await?;
        keeper.start().await.map_err(failed)?;
        let began = Instant::now();
        let ring = load(&keeper, &rules).await.map_err(failed)??;
        let last_look = Mutex::new(Look { began, outcome: Outcome::Succeeded });
        Ok(Self { keeper, rules, ring: RwLock::new(Arc::new(ring)), last_look })
    }

    /// The keys as of the last look.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that signs.
    pub fn active(&self) -> Arc<SigningKey> {
        self.ring().active().clone()
    }

    /// Judges `access_token`, without regard to revocation. A key that is not known is looked for
    /// in the database: another replica may have begun to sign with it.
    ///
    /// # Errors
    /// Why the token is refused, or those of the database.
    pub async fn verify(
        &self,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, Error> {
        match self.ring().verifying().verify(access_token, now) {
            Err(NotVerified::UnknownKey(_)) => {
                self.refresh().await?;
                Ok(self.ring().verifying().verify(access_token, now).map_err(Refusal::from)?)
            }
            judged => Ok(judged.map_err(Refusal::from)?),
        }
    }

    /// The keys to show to verifiers: as of now, since one that heard of a change may ask a replica
    /// that has not heard of it. While the database is away, as of the last look.
    pub async fn published(&self) -> Arc<KeyRing> {
        // `keep` tells of a failure, and once.
        match timeout(PUBLISH_WAIT_MAX, self.refresh()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "showing the signing keys last known"),
            Err(late) => tracing::debug!(%late, "showing the signing keys last known"),
        }
        self.ring()
    }

    /// Brings the keys up to date with the database as of this call. A crowd of callers looks
    /// once, and all callers together ten times a second at most, whether the database answers or
    /// not: some wait for that.
    ///
    /// # Errors
    /// Those of the database, or [`Error::KeysUnknown`] where another caller's look has just failed;
    /// the keys stay as they were.
    pub async fn refresh(&self) -> Result<(), Error> {
        let asked = Instant::now();
        let mut last = self.last_look.lock().await;
        match last.outcome {
            Outcome::Succeeded if last.began >= asked => return Ok(()),
            Outcome::Failed if last.began >= asked => return Err(Error::KeysUnknown),
            Outcome::Succeeded | Outcome::Failed | Outcome::GivenUp => {}
        }
        sleep_until(last.began + LOOK_PAUSE).await;
        *last = Look { began: Instant::now(), outcome: Outcome::GivenUp };
        let looked = self.look().await;
        last.outcome = if looked.is_ok() { Outcome::Succeeded } else { Outcome::Failed };
        looked
    }

    async fn look(&self) -> Result<(), Error> {
        if self.keeper.store.signing_key_version().await? != self.ring().version() {
            let ring = load(&self.keeper, &self.rules).await??;
            tracing::info!(key.id = ring.active().key_id, "the signing keys have changed");
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        }
        Ok(())
    }

    /// Keeps the keys up to date and does what is due, until it is dropped.
    pub async fn keep(&self) -> Infallible {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            looks.tick().await;
            let tended = self.tend().await;
            // Once, and not at each look until someone has mended it.
            match &tended {
                Err(error) if !failing => {
                    tracing::error!(%error, "the signing keys cannot be brought up to date");
                }
                Ok(()) if failing => tracing::info!("the signing keys are up to date again"),
                Ok(()) | Err(_) => {}
            }
            failing = tended.is_err();
        }
    }

    /// One look, and what it finds due.
    async fn tend(&self) -> Result<(), Error> {
        self.refresh().await?;
        let KeyKeeper { clock, policy, .. } = &self.keeper;
        if !plan::upkeep(&self.ring().rows, clock.now(), policy).is_empty() {
            self.keeper.upkeep().await?;
            self.refresh().await?;
        }
        Ok(())
    }
}

/// Reads and opens the keys. The version comes first: where they change between, the next look
/// finds another one.
async fn load(
    keeper: &KeyKeeper,
    rules: &TokenRules,
) -> Result<Result<KeyRing, BrokenKeys>, Error> {
    if plan::is_to_be_prolonged(&keeper.list().await?, &keeper.policy) {
        // Before the first token is signed that lives longer than the database knows.
        keeper.upkeep().await?;
    }
    let version = keeper.store.signing_key_version().await?;
    Ok(KeyRing::open(version, keeper.list().await?, &keeper.secret, rules))
}
