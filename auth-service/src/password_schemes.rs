//! Which kinds of password hashes accounts have, so that refusing one takes as long as another.

use std::{collections::HashMap, mem, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    error::Error,
    passwords::{HashCost, Passwords},
    store::Store,
};

/// How often the accounts are looked at again: an import may have added a scheme, and the last
/// hash of another may have been replaced. It is one look into an index for each scheme; until it
/// comes, the time of a refusal tells the new scheme's accounts from others.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Schemes that are measured. A library brings a few in its lifetime.
const SCHEMES_MAX: usize = 100;

/// Looks which schemes there are and measures those that are new.
#[derive(Debug)]
pub struct PasswordSchemes {
    store: Store,
    passwords: Passwords,
    /// What each scheme costs on this machine; the empty one is an unknown user's.
    costs: HashMap<String, HashCost>,
    /// Whether it was told that there are more.
    has_warned: bool,
}

impl PasswordSchemes {
    /// Over the accounts in `store`.
    pub fn new(store: Store, passwords: Passwords) -> Self {
        Self { store, passwords, costs: HashMap::new(), has_warned: false }
    }

    /// Looks once. A scheme that could not be measured because sign-ins were waiting is left for
    /// the next time, and so is all that follows from it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refresh(&mut self) -> Result<(), Error> {
        let mut present = Vec::new();
        let (mut scheme, mut sample) = (String::new(), None);
        for _ in 0..=SCHEMES_MAX {
            let known = self.costs.get(&scheme).copied();
            let measured = match known {
                Some(cost) => Ok(Some(cost)),
                None => self.passwords.measure(sample).await,
            };
            match measured {
                Ok(Some(cost)) => {
                    self.costs.insert(scheme.clone(), cost);
                    present.push(cost);
                }
                Ok(None) | Err(Error::Overloaded) => return Ok(()),
                Err(error) => return Err(error),
            }
            let Some(next) = self.store.password_scheme_after(&scheme).await? else {
                self.passwords.even_out(&present);
                return Ok(());
            };
            (scheme, sample) = (next.scheme, Some(next.sample));
        }
        if !mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                SCHEMES_MAX,
                "accounts have more kinds of password hashes than are measured"
            );
        }
        self.passwords.even_out(&present);
        Ok(())
    }

    /// Looks again and again.
    pub async fn watch(mut self) {
        let mut ticks = interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the kinds of password hashes could not be looked at");
            }
        }
    }
}
