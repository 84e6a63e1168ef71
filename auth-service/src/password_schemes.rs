//! Which kinds of password hashes accounts have, so that refusing one takes as long as another.

use std::{collections::HashMap, mem, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{
    error::Error,
    passwords::{HashCost, Passwords},
    store::Store,
};

/// How often the accounts are looked at again even if none has moved in: the last hash of a scheme
/// may have been replaced, or another replica's settings may have brought one.
const REFRESH_PAUSE: Duration = Duration::from_mins(1);
/// The pause where sign-ins left no room to measure.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
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

    /// Looks once. `false` where a scheme could not be measured because sign-ins were waiting: it
    /// is left for the next time, and so is all that follows from it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refresh(&mut self) -> Result<bool, Error> {
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
                Ok(None) | Err(Error::Overloaded) => return Ok(false),
                Err(error) => return Err(error),
            }
            let Some(next) = self.store.password_scheme_after(&scheme).await? else {
                self.passwords.even_out(&present);
                return Ok(true);
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
        Ok(true)
    }

    /// Looks again and again, and at once when `moved_in` tells of accounts.
    pub async fn watch(mut self, mut moved_in: watch::Receiver<i64>) {
        loop {
            let pause = match self.refresh().await {
                Ok(true) => REFRESH_PAUSE,
                Ok(false) => BUSY_PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "the kinds of password hashes are not looked at");
                    REFRESH_PAUSE
                }
            };
            tokio::select! {
                Ok(()) = moved_in.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }
}
