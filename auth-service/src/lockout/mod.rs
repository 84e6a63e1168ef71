//! Lockout: guessing a password is stopped, and nobody can be kept out for good by guessing at
//! theirs (NIST SP 800-63B section 5.2.2, OWASP "Blocking Brute Force Attacks").
//!
//! | Module | Holds |
//! |---|---|
//! | this one | who is let in to try a password |
//! | `attempt` | an attempt that was let in, until its outcome is counted |
//! | `count` | how a count changes: pure |
//! | `addresses` | the throttle by client address |
//! | `devices` | the tokens by which devices are told from strangers |
//! | `turns` | who may ask the database next |
//!
//! All that counts is in the database, so that replicas share it and a restart forgets nothing.
//! Strangers are counted by what they type, whether an account has it or not: were they counted
//! by account, a lock would tell which two identifiers belong together.

mod addresses;
mod attempt;
mod count;
mod devices;
mod turns;

#[cfg(test)]
mod conformance;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Args;
use service_kit::{Clock, Entropy, Shutdown, Timestamp, secret::SecretKey, settings::duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    error::Error,
    model::{AddressAction, ClientInfo, EventType, Identifier, NewEvent, Subject, User, UserId},
    store::Store,
};
use attempt::{Open, to_its_end};
use count::{Admission, FORGET_AFTER, Rules};
use devices::DeviceTokens;
use turns::Turns;

pub use addresses::Addresses;
pub use attempt::Attempt;

/// Devices of one user with failures to remember, each by itself; further ones share a count.
const DEVICES_MAX: i64 = 20;
/// How long an attempt waits for others at the same subject, which are being hashed.
const WAIT_TIME_MAX: Duration = Duration::from_secs(5);
/// How often one that waits looks for what other replicas have done.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// Unknown identifiers, and client addresses, that are remembered.
const ROWS_MAX: i64 = 1_000_000;
/// How often what no longer matters is deleted, and how many rows in one transaction.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const SWEPT_ROWS_MAX: i64 = 500;

/// When failed sign-ins have consequences.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Failed sign-ins in a row before an identifier is locked.
    #[arg(
        long,
        env = "LOCKOUT_THRESHOLD",
        value_name = "LOCKOUT_THRESHOLD",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub lockout_threshold: u32,

    /// How long the first lock lasts; further ones in a row are twice as long each, up to a day.
    #[arg(
        long,
        env = "LOCKOUT_DURATION",
        value_name = "LOCKOUT_DURATION",
        default_value = "15m",
        value_parser = duration
    )]
    pub lockout_duration: Duration,

    /// Failed sign-ins from one client address in ten minutes before it is throttled; 0: off.
    #[arg(
        long,
        env = "ADDRESS_FAILURES_MAX",
        value_name = "ADDRESS_FAILURES_MAX",
        default_value_t = 100
    )]
    pub address_failures_max: u32,
}

/// The rules of failed sign-ins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lockout {
    /// The throttle by client address alone.
    pub addresses: Addresses,
    store: Store,
    rules: Rules,
    devices: DeviceTokens,
    identifier_key: hmac::Key,
    turns: Arc<Turns>,
    clock: Clock,
}

impl Lockout {
    /// The rules over `store`.
    pub fn new(
        settings: &Settings,
        store: Store,
        secret: &SecretKey,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        Self {
            addresses: Addresses::new(store.clone(), settings.address_failures_max, clock.clone()),
            store,
            rules: Rules {
                threshold: settings.lockout_threshold.into(),
                duration: settings.lockout_duration,
            },
            devices: DeviceTokens::new(secret, clock.clone(), entropy),
            identifier_key: hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("lockout")),
            turns: Arc::default(),
            clock,
        }
    }

    /// Who is counted where someone signs in with `identifier`, which names the account `user` or
    /// none, and shows `device_token`, which may be empty or anything at all.
    pub fn subject(
        &self,
        identifier: &Identifier,
        user: Option<&User>,
        device_token: &str,
    ) -> Subject {
        // Both are worked out whether there is an account or not: it must not take longer.
        let stranger = self.identifier(identifier, user.map(|user| user.id));
        match (self.devices.read(device_token), user) {
            (Some(device), Some(user)) if device.is_known_to(user) => {
                Subject::Device { user_id: user.id, device_id: device.id }
            }
            _ => stranger,
        }
    }

    /// Strangers who type `identifier`.
    fn identifier(&self, identifier: &Identifier, user_id: Option<UserId>) -> Subject {
        // Not what was typed: people type passwords into the wrong field.
        let typed = match identifier {
            Identifier::Username(key) => format!("username:{key}"),
            Identifier::Email(key) => format!("email:{key}"),
        };
        let tag = hmac::sign(&self.identifier_key, typed.as_bytes());
        Subject::Identifier { tag: BASE64_URL_SAFE_NO_PAD.encode(tag), user_id }
    }

    /// Strangers to an account, by each of the names that it has now.
    pub fn strangers(&self, user: &User) -> Vec<Subject> {
        user.identifiers().map(|one| self.identifier(&one, Some(user.id))).collect()
    }

    /// The account that `device_token`, which may be anything at all, is a good one of; `None`
    /// where there is none. What this costs depends on the token alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn device_owner(&self, device_token: &str) -> Result<Option<User>, Error> {
        let Some(device) = self.devices.read(device_token) else { return Ok(None) };
        let user = self.store.user(device.user_id).await?;
        Ok(user.filter(|user| device.is_known_to(user)))
    }

    /// The device token to hand to whoever has signed in to the account of `user` and showed
    /// `shown`.
    pub fn device_token(&self, user: &User, shown: &str) -> String {
        self.devices.issue(user, shown)
    }

    /// Lets an attempt in, before its password is hashed: at most as many at once as may fail
    /// before the lock; more wait for the outcome of those.
    ///
    /// # Errors
    /// [`Error::AccountLocked`], [`Error::TooManyFailures`]; [`Error::Overloaded`] where others
    /// are being hashed for more than five seconds.
    pub async fn attempt(&self, subject: Subject, client: &ClientInfo) -> Result<Attempt, Error> {
        // A known device is limited by its own count: neighbours at its address do not matter.
        if !matches!(subject, Subject::Device { .. }) {
            self.addresses.admit(AddressAction::SignIn, client).await?;
        }
        // Refusing what is locked already writes nothing: a flood of it costs a read each.
        let now = self.clock.now();
        if let Some(remaining) = self.store.count(&subject).await?.locked_for(now) {
            return Err(Error::AccountLocked(remaining));
        }
        if let Some(attempt) = self.take_turn(&subject, client).await? {
            return Ok(attempt);
        }
        // One device too many: not exempt from the throttle.
        self.addresses.admit(AddressAction::SignIn, client).await?;
        let others = subject.user_id().map_or(subject, Subject::OtherDevices);
        self.take_turn(&others, client).await?.ok_or(Error::Overloaded)
    }

    /// Waits until the outcome of other attempts lets this one in; `None` where there is no room
    /// for a further device.
    async fn take_turn(
        &self,
        subject: &Subject,
        client: &ClientInfo,
    ) -> Result<Option<Attempt>, Error> {
        let deadline = Instant::now() + WAIT_TIME_MAX;
        let place = Arc::new(self.turns.join(subject.key()));
        let _head = place.head(deadline).await.ok_or(Error::Overloaded)?;
        loop {
            let open = Open {
                lockout: self.clone(),
                subject: subject.clone(),
                client: client.clone(),
                place: place.clone(),
            };
            match to_its_end(Box::pin(open.admit())).await? {
                None => return Ok(None),
                Some((Admission::Granted, attempt)) => return Ok(attempt),
                Some((Admission::Locked(remaining), _)) => {
                    return Err(Error::AccountLocked(remaining));
                }
                Some((Admission::Undecided, _)) if Instant::now() >= deadline => {
                    return Err(Error::Overloaded);
                }
                Some((Admission::Undecided, _)) => place.another_ends(LOOK_INTERVAL).await,
            }
        }
    }

    /// Lifts the locks of a user's names and devices, and forgets their failures. Returns whether
    /// there was a lock.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unlock(
        &self,
        user: &User,
        actor_id: Option<UserId>,
        client: &ClientInfo,
    ) -> Result<bool, Error> {
        let event = NewEvent {
            actor_id,
            client_address: client.address.clone(),
            ..NewEvent::new(EventType::AccountUnlocked, Some(user.id))
        };
        let strangers = self.strangers(user);
        Ok(self.store.unlock(user.id, &strangers, self.clock.now(), &event).await?)
    }

    /// Fills in until when strangers to each of `users` are locked out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn show_locks(&self, users: &mut [User]) -> Result<(), Error> {
        let strangers: Vec<_> = users.iter().map(|user| self.strangers(user)).collect();
        let locks = self.store.locks(&strangers.concat(), self.clock.now()).await?;
        for (user, names) in users.iter_mut().zip(strangers) {
            user.locked_until = names.iter().filter_map(|one| locks.get(&one.key())).max().copied();
        }
        Ok(())
    }

    /// Deletes what no longer matters.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep(&self) -> Result<(), Error> {
        self.sweep_down_to(ROWS_MAX).await
    }

    async fn sweep_down_to(&self, rows_max: i64) -> Result<(), Error> {
        let (store, now) = (&self.store, self.clock.now());
        let forgotten = now - FORGET_AFTER;
        while store.delete_old_counts(forgotten, SWEPT_ROWS_MAX).await? > 0 {}
        while store.delete_address_failures(now, SWEPT_ROWS_MAX).await? > 0 {}
        let mut surplus = store.unknown_counts().await? - rows_max;
        while surplus > 0 {
            let limit = surplus.min(SWEPT_ROWS_MAX);
            let deleted = store.delete_unknown_counts(now, limit).await?;
            // None, where all of them changed meanwhile: then the next sweep.
            surplus = if deleted == 0 { 0 } else { surplus.saturating_sub_unsigned(deleted) };
        }
        let mut surplus = store.failing_addresses().await? - rows_max;
        while surplus > 0 {
            let limit = surplus.min(SWEPT_ROWS_MAX);
            let deleted =
                store.delete_address_failures(Timestamp::from_micros(i64::MAX), limit).await?;
            surplus = if deleted == 0 { 0 } else { surplus.saturating_sub_unsigned(deleted) };
        }
        Ok(())
    }

    /// Sweeps every minute until `shutdown`. Replicas may do so at the same time.
    pub async fn keep_swept(self, shutdown: Shutdown) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                _ = ticks.tick() => {}
            }
            let swept = tokio::select! {
                () = shutdown.begun() => return,
                swept = self.sweep() => swept,
            };
            if let Err(error) = swept {
                tracing::warn!(%error, "old failed sign-ins could not be deleted");
            }
        }
    }
}
