//! Changes the keys in the database: for the service, and for the commands of an operator.

use auth_client::Algorithm;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{Clock, Entropy, StartError, Timestamp, secret::SecretKey};

use super::{
    PURPOSE,
    pair::KeyPair,
    plan::{self, FreshKey, KeyPolicy, Plan, Refused},
    ring::require_fit,
};
use crate::{
    error::Error,
    model::KeyState,
    store::{KeyChanges, SigningKeyRow, Store},
};

const KEY_ID_BYTES: usize = 12;
/// A change is tried once to learn how many new keys it needs, once with these, and again where
/// others have changed the keys between.
const CHANGE_TRIES_MAX: usize = 5;

/// Whoever may change the keys.
#[derive(Clone, Debug)]
pub struct KeyKeeper {
    /// Where keys are kept.
    pub store: Store,
    /// What they are sealed under.
    pub secret: SecretKey,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub entropy: Entropy,
    /// How keys are made and how long they live.
    pub policy: KeyPolicy,
}

/// What came of a wish to change the keys.
pub type Outcome = Result<Plan, Refused>;

impl KeyKeeper {
    /// All keys, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self) -> Result<Vec<SigningKeyRow>, Error> {
        Ok(self.store.signing_keys().await?)
    }

    /// Whether this process may make keys for this database.
    ///
    /// # Errors
    /// Names `SECRET_KEY` where the keys in the database are sealed under another one.
    pub async fn require_fit(&self) -> Result<(), StartError> {
        let rows = self.store.signing_keys().await.map_err(failed)?;
        Ok(require_fit(&rows, &self.secret)?)
    }

    /// Does what is due when a process starts: makes the first keys, and a next one of the
    /// algorithm that is wanted now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start(&self) -> Result<(), Error> {
        let plan = self.change(|rows, now| Ok(plan::at_start(rows, now, &self.policy))).await?;
        let (policy, rows) = (&self.policy, self.list().await?);
        let active = rows.iter().find(|row| row.state == KeyState::Active);
        if active.is_some_and(|active| active.algorithm != policy.algorithm) {
            tracing::info!(
                key.algorithm = policy.algorithm.as_str(),
                "another algorithm is wanted: a key of it signs once it has been published for \
                 {} minutes, or after `auth-service keys rotate --now`",
                plan::PUBLISH_LEAD.as_secs() / 60
            );
        }
        log(&plan);
        Ok(())
    }

    /// Does what is due.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upkeep(&self) -> Result<(), Error> {
        log(&self.change(|rows, now| Ok(plan::upkeep(rows, now, &self.policy))).await?);
        Ok(())
    }

    /// Lets another key sign than the one that does. Of several at once, one rotates.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rotate(&self, at_once: bool) -> Result<Outcome, Error> {
        let rows = self.list().await?;
        let Some(from) = rows.into_iter().find(|row| row.state == KeyState::Active) else {
            return Ok(Err(Refused::NoKeys));
        };
        let plan = |rows: &[SigningKeyRow], now| {
            plan::rotation(rows, now, &self.policy, &from.kid, at_once)
        };
        let outcome = self.change(plan).await?;
        log(&outcome);
        Ok(outcome)
    }

    /// Ends the trust in a key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revoke(&self, kid: &str) -> Result<Outcome, Error> {
        let outcome = self.change(|rows, _| plan::revocation(rows, kid)).await?;
        log(&outcome);
        Ok(outcome)
    }

    /// Carries out what `decide` wants, with as many new keys as that needs. Keys are made outside
    /// of the transaction: an RSA key takes a while.
    async fn change(
        &self,
        decide: impl Fn(&[SigningKeyRow], Timestamp) -> Outcome + Send + Sync,
    ) -> Result<Outcome, Error> {
        let mut fresh = Vec::new();
        for _ in 0..CHANGE_TRIES_MAX {
            let now = self.clock.now();
            let answer = |rows: &[SigningKeyRow]| match decide(rows, now) {
                Err(refused) => (KeyChanges::default(), Answer::Outcome(Err(refused))),
                Ok(plan) => match plan.changes(&fresh, &self.policy, now) {
                    None => (KeyChanges::default(), Answer::Wanting(plan.make.len())),
                    Some(changes) => (changes, Answer::Outcome(Ok(plan))),
                },
            };
            match self.store.change_signing_keys(now, answer).await? {
                Answer::Outcome(outcome) => return Ok(outcome),
                Answer::Wanting(count) => {
                    while fresh.len() < count {
                        fresh.push(self.generate().await?);
                    }
                }
            }
        }
        Err(Error::Contended)
    }

    async fn generate(&self) -> Result<FreshKey, Error> {
        let kid = BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<KEY_ID_BYTES>());
        let algorithm: Algorithm = self.policy.algorithm;
        let failed = || Error::Internal("no signing key can be made".to_owned());
        let pkcs8 = tokio::task::spawn_blocking(move || KeyPair::generate(algorithm)).await;
        let pkcs8 = pkcs8.ok().and_then(Result::ok).ok_or_else(failed)?;
        let private_key = self.secret.seal(PURPOSE, &kid, &pkcs8).map_err(|_| failed())?;
        Ok(FreshKey { kid, private_key })
    }
}

/// What came of one run of a change's transaction.
enum Answer {
    Outcome(Outcome),
    /// So many new keys are needed.
    Wanting(usize),
}

/// An error that ends a start or a command.
pub fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::other(format!("signing keys: {error}"))
}

fn log(outcome: &Outcome) {
    let Ok(plan) = outcome else { return };
    if plan.retire.is_some() || plan.activate.is_some() {
        let (retired, active) = (plan.retire.as_deref(), plan.activate.as_deref());
        tracing::info!(key.retired = retired, key.id = active, "another signing key signs");
    }
    if let Some(kid) = &plan.revoke {
        tracing::warn!(key.id = kid, "a signing key is no longer trusted");
    }
    for kid in &plan.delete {
        tracing::info!(key.id = kid, "a signing key that no token needs was deleted");
    }
    if !plan.make.is_empty() {
        let states: Vec<_> = plan.make.iter().map(|state| state.as_str()).collect();
        tracing::info!(key.states = states.join(", "), "made signing keys");
    }
}
