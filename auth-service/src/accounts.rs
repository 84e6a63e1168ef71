//! Accounts: how one is made.

use service_kit::{Clock, db::Constraint};

use crate::{
    error::Error,
    lockout::Addresses,
    model::{AddressAction, ClientInfo, NewAccount, Role, Roles, User},
    passwords::Passwords,
    store::{Maker, NewUserRow, Store},
};

/// How often making an account is tried while others take and free its names.
const TRIES_MAX: usize = 3;

/// The rules of accounts.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    addresses: Addresses,
    clock: Clock,
}

impl Accounts {
    /// The rules over `store`.
    pub fn new(store: Store, passwords: Passwords, addresses: Addresses, clock: Clock) -> Self {
        Self { store, passwords, addresses, clock }
    }

    /// Makes an account with the role `user`.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`] before [`Error::EmailTaken`]; [`Error::TooManyFailures`] where
    /// too many names from the same address were taken. Only those are counted: it is they that
    /// tell which accounts exist, and a class may register from one address.
    pub async fn register(&self, new: NewAccount, client: &ClientInfo) -> Result<User, Error> {
        let action = AddressAction::Registration;
        self.addresses.admit(action, client).await?;
        let roles = Roles::from_iter([Role::User]);
        match self.create(new, roles, Maker::Owner, client).await {
            Err(taken @ (Error::UsernameTaken | Error::EmailTaken)) => {
                Err(self.addresses.failed(action, client, taken).await)
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
        // Before the hash, which is the expensive part, and again after a lost race.
        self.refuse_taken_names(&new).await?;
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
            match self.store.insert_user(&row).await {
                Err(error) if error.violated() == Some(Constraint::Unique) => {
                    self.refuse_taken_names(&new).await?;
                }
                inserted => return Ok(inserted?),
            }
        }
        Err(Error::Contended)
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
