//! Accounts: how one is made.

use service_kit::{Clock, db::Constraint, secret::SecretKey};

use crate::{
    error::Error,
    lockout::Lockout,
    model::{AddressAction, ClientInfo, NewAccount, Repeatable, Role, Roles, User},
    passwords::Passwords,
    repeats::Repeats,
    store::{Maker, NewUserRow, RegisterRequestTags, Store},
};

/// How often making an account is tried while others take and free its names.
const TRIES_MAX: usize = 3;

/// The rules of accounts.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    lockout: Lockout,
    repeats: Repeats,
    clock: Clock,
}

impl Accounts {
    /// The rules over `store`.
    pub fn new(
        store: Store,
        passwords: Passwords,
        lockout: Lockout,
        secret: &SecretKey,
        clock: Clock,
    ) -> Self {
        let (kept, pool) = (store.clone(), passwords.clone());
        let repeats = Repeats::new(kept, pool, lockout.clone(), secret, clock.clone());
        Self { store, passwords, lockout, repeats, clock }
    }

    /// Makes an account with the role `user`; where the same call came before, returns what was
    /// made then.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`] before [`Error::EmailTaken`]; [`Error::TooManyFailures`] where
    /// too many names from the same address were taken. Only those are counted: it is they that
    /// tell which accounts exist, and a class may register from one address. Those of
    /// [`Repeats::find`].
    pub async fn register(
        &self,
        new: NewAccount,
        repeatable: Option<&Repeatable>,
        client: &ClientInfo,
    ) -> Result<User, Error> {
        let action = AddressAction::Registration;
        let addresses = &self.lockout.addresses;
        addresses.admit(action, client).await?;
        let roles = Roles::from_iter([Role::User]);
        let call = repeatable.map(|call| self.repeats.tags(call));
        match self.create_once(new, roles, Maker::Owner, client, call).await {
            Err(told @ (Error::UsernameTaken | Error::EmailTaken | Error::RequestIdReused)) => {
                Err(addresses.failed(action, client, told).await)
            }
            made => made,
        }
    }

    /// Makes an account with `roles`.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`] before [`Error::EmailTaken`].
    pub async fn create(
        &self,
        new: NewAccount,
        roles: Roles,
        maker: Maker,
        client: &ClientInfo,
    ) -> Result<User, Error> {
        self.create_once(new, roles, maker, client, None).await
    }

    async fn create_once(
        &self,
        new: NewAccount,
        roles: Roles,
        maker: Maker,
        client: &ClientInfo,
        call: Option<RegisterRequestTags>,
    ) -> Result<User, Error> {
        // Before the hash, which is the expensive part, and again after a lost race.
        if let Some(made) = self.look_before(&new, call.as_ref(), client).await? {
            return Ok(made);
        }
        let password_hash = self.passwords.hash(new.password.clone()).await?;
        let row = NewUserRow {
            username: new.username.as_ref(),
            email: new.email.as_ref(),
            name: &new.name,
            password_hash: &password_hash,
            roles,
            maker,
            created_at: self.clock.now(),
            client_address: &client.address,
        };
        for _ in 0..TRIES_MAX {
            match self.store.insert_user(&row, call.as_ref()).await {
                Err(error) if error.violated() == Some(Constraint::Unique) => {
                    if let Some(made) = self.look_before(&new, call.as_ref(), client).await? {
                        return Ok(made);
                    }
                }
                inserted => return Ok(inserted?),
            }
        }
        Err(Error::Contended)
    }

    /// What the same call has made; else refuses names that are taken.
    async fn look_before(
        &self,
        new: &NewAccount,
        call: Option<&RegisterRequestTags>,
        client: &ClientInfo,
    ) -> Result<Option<User>, Error> {
        // In this order: whoever takes the names notes the call in the same transaction.
        let taken = self.refuse_taken_names(new).await;
        if let Some(call) = call {
            // In a box: a sign-in would be a part of every registration otherwise.
            let earlier = Box::pin(self.repeats.find(call, &new.password, client));
            if let Some(made) = earlier.await? {
                return Ok(Some(made));
            }
        }
        taken.map(|()| None)
    }

    async fn refuse_taken_names(&self, new: &NewAccount) -> Result<(), Error> {
        let taken = self.store.taken_names(new.username.as_ref(), new.email.as_ref(), None).await?;
        match taken {
            taken if taken.username => Err(Error::UsernameTaken),
            taken if taken.email => Err(Error::EmailTaken),
            _ => Ok(()),
        }
    }
}
