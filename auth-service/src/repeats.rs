//! Registrations that come again: one with a `request_id` that came before makes no account.

use aws_lc_rs::hmac;
use service_kit::{Clock, repeatable::REQUEST_ID_LIFETIME, secret::SecretKey};

use crate::{
    error::Error,
    lockout::Lockout,
    model::{ClientInfo, Password, Repeatable, User},
    passwords::Passwords,
    store::{EarlierRegistration, RegisterRequestTags, Store},
};

/// The rules of repeated registrations.
#[derive(Clone, Debug)]
pub struct Repeats {
    store: Store,
    passwords: Passwords,
    lockout: Lockout,
    key: hmac::Key,
    clock: Clock,
}

impl Repeats {
    /// The rules over `store`.
    pub fn new(
        store: Store,
        passwords: Passwords,
        lockout: Lockout,
        secret: &SecretKey,
        clock: Clock,
    ) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("register-request"));
        Self { store, passwords, lockout, key, clock }
    }

    /// What is to be stored of a call.
    pub fn tags(&self, call: &Repeatable) -> RegisterRequestTags {
        let tag = |purpose: &[u8], text: &[u8]| {
            let mut tag = [0; 32];
            let message = [purpose, b"\0", text].concat();
            tag.copy_from_slice(hmac::sign(&self.key, &message).as_ref());
            tag
        };
        RegisterRequestTags {
            key: tag(b"id", call.request_id.as_str().as_bytes()),
            body_hash: tag(b"body", &call.body),
        }
    }

    /// The account that the same call has made, if it came before. The password is not stored a
    /// second time: it is held against the account's own, under the rules of a sign-in, or a
    /// stranger who knows the id could guess at it here.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] where another call came with the id; those of
    /// [`Lockout::attempt`].
    pub async fn find(
        &self,
        call: &RegisterRequestTags,
        password: &Password,
        client: &ClientInfo,
    ) -> Result<Option<User>, Error> {
        let Some(earlier) = self.store.register_request(&call.key).await? else { return Ok(None) };
        let expired = self.clock.now() - REQUEST_ID_LIFETIME;
        if earlier.created_at <= expired {
            self.store.delete_register_request(&call.key, expired).await?;
            return Ok(None);
        }
        if earlier.body_hash != call.body_hash {
            return Err(Error::RequestIdReused);
        }
        self.confirm(earlier, password, client).await.map(Some)
    }

    async fn confirm(
        &self,
        earlier: EarlierRegistration,
        password: &Password,
        client: &ClientInfo,
    ) -> Result<User, Error> {
        let EarlierRegistration { user, password_hash, .. } = earlier;
        let no_name = || Error::Internal(format!("user {} has no name", user.id.0));
        let identifier = user.identifiers().next().ok_or_else(no_name)?;
        let subject = self.lockout.subject(&identifier, Some(&user), "");
        let attempt = self.lockout.attempt(subject, client).await?;
        match self.passwords.verify(password.clone(), Some(password_hash)).await {
            Ok(verified) if verified.matches => {
                attempt.succeeded().await?;
                Ok(user)
            }
            Ok(verified) => {
                let refusal = attempt.failed().await;
                self.passwords.hold_refusal(verified).await;
                Err(match refusal {
                    Error::InvalidCredentials => Error::RequestIdReused,
                    other => other,
                })
            }
            Err(error) => {
                attempt.abandoned().await?;
                Err(error)
            }
        }
    }
}
