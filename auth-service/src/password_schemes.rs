//! Which kinds of password hashes accounts have, so that refusing one takes as long as another.

use std::{collections::HashMap, iter, mem, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{
    error::Error,
    passwords::{HashCost, Passwords},
    store::{PasswordSchemeRow, Store},
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
        let present = self.present().await?;
        if present.iter().all(|row| self.passwords.is_current(&row.sample)) {
            // Nothing to even out, and no reason to hash anything.
            self.passwords.even_out(&[]);
            return Ok(true);
        }
        let unknown_users = (String::new(), None);
        let schemes = present.into_iter().map(|row| (row.scheme, Some(row.sample)));
        let mut costs = Vec::new();
        for (scheme, sample) in iter::once(unknown_users).chain(schemes) {
            let measured = match self.costs.get(&scheme).copied() {
                Some(cost) => Ok(Some(cost)),
                None => self.passwords.measure(sample).await,
            };
            match measured {
                Ok(Some(cost)) => {
                    self.costs.insert(scheme, cost);
                    costs.push(cost);
                }
                Ok(None) | Err(Error::Overloaded) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.passwords.even_out(&costs);
        Ok(true)
    }

    /// The schemes that accounts have, each with a hash of it.
    async fn present(&mut self) -> Result<Vec<PasswordSchemeRow>, Error> {
        let mut present: Vec<PasswordSchemeRow> = Vec::new();
        while present.len() < SCHEMES_MAX {
            let last = present.last().map_or("", |row| &row.scheme);
            let Some(next) = self.store.password_scheme_after(last).await? else {
                return Ok(present);
            };
            present.push(next);
        }
        if !mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                SCHEMES_MAX,
                "accounts have more kinds of password hashes than are measured"
            );
        }
        Ok(present)
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
