//! Sessions: how one begins, lives on and ends, and whether a token of one is good.

use std::{sync::Arc, time::Duration};

use auth_client::{Caller, Refusal, token::VerifiedToken};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service_kit::{Clock, Entropy, Timestamp};

use crate::{
    error::Error,
    lockout::Lockout,
    model::{
        ClientInfo, EventType, Identifier, NewEvent, Password, SESSION_ID_BYTES, Session, Subject,
        User, UserId,
    },
    passwords::{Passwords, Verified},
    session_cache::{LiveSession, SessionCache},
    signing_keys::SigningKeys,
    store::{Actor, EndedSessions, EndingSessions, PasswordChange, Store},
    tokens::{RefreshToken, TokenIssuer, TokenPair},
};

/// Sessions of one user; a further one ends the one that was longest unused.
const SESSIONS_MAX: i64 = 100;
/// How often a login is tried while the user's password hash changes.
const LOGIN_TRIES_MAX: usize = 3;
/// How much later than it was decided a token may be signed, and how far clocks may be apart.
const ISSUE_SLACK: Duration = Duration::from_mins(1);
/// How often a refresh is tried against others of the same session.
const REFRESH_TRIES_MAX: usize = 5;

/// How long sessions and their tokens live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A session that is not refreshed.
    pub idle: Duration,
    /// A session, refreshed or not.
    pub absolute: Duration,
    /// How long the refresh token before the current one still gives the current one: a lost
    /// answer, or fifty tabs, must not sign anyone out.
    pub refresh_grace: Duration,
}

/// The rules of sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// Where sessions are kept.
    pub store: Store,
    /// What is known of them.
    pub cache: SessionCache,
    /// Where passwords are verified.
    pub passwords: Passwords,
    /// Who may try a password.
    pub lockout: Lockout,
    /// What tokens are signed with.
    pub keys: Arc<SigningKeys>,
    /// What makes tokens.
    pub issuer: Arc<TokenIssuer>,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub entropy: Entropy,
}

/// A token that is good at this moment, and whose it is.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    /// What the token says.
    pub token: Arc<VerifiedToken>,
    /// The session, and its user as of now.
    pub session: Arc<LiveSession>,
}

impl ActiveToken {
    /// The user, as of now.
    pub fn user(&self) -> &User {
        &self.session.user
    }
}

/// Someone who has just signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The first tokens of the session.
    pub tokens: TokenPair,
    /// By which the device is told from strangers next time.
    pub device_token: String,
    /// What ends the session, and does nothing else.
    pub logout_token: String,
}

/// What replaces the hash of a password.
#[derive(Clone, Debug)]
pub struct HashChange {
    /// As it was found.
    pub old_hash: String,
    /// As it is to be.
    pub new_hash: String,
}

/// Whether a password was the right one.
enum Recognized {
    Known(Known),
    Disabled,
    Nobody(Verified),
}

/// Someone who knows the password of an account.
struct Known {
    user: User,
    stored: String,
    /// What the hash is to be replaced by.
    new_hash: Option<String>,
}

impl Sessions {
    /// Opens a session for whoever knows the password of `identifier`.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] for an unknown identifier and for a wrong password, after the
    /// same time; [`Error::AccountDisabled`] for the right password of a disabled account; those
    /// of [`Lockout::attempt`], right password or not.
    pub async fn login(
        &self,
        identifier: Identifier,
        password: Password,
        device_token: &str,
        client: ClientInfo,
    ) -> Result<SignedIn, Error> {
        let found = self.store.credentials(&identifier).await?;
        let user = found.as_ref().map(|(user, _)| user);
        let subject = self.lockout.subject(&identifier, user, device_token);
        let attempt = self.lockout.attempt(subject, &client).await?;
        let known = match self.recognize(found, &password).await {
            Ok(Recognized::Known(known)) => known,
            Ok(Recognized::Disabled) => {
                attempt.abandoned().await?;
                return Err(Error::AccountDisabled);
            }
            Ok(Recognized::Nobody(verified)) => {
                let refusal = attempt.failed().await;
                self.passwords.hold_refusal(verified).await;
                return Err(refusal);
            }
            Err(error) => {
                attempt.abandoned().await?;
                return Err(error);
            }
        };
        // Before the session: one that was locked meanwhile must not begin.
        attempt.succeeded().await?;
        let (user, session) = self.begin(known, &identifier, &password, client).await?;
        let tokens = self.issuer.issue(&user, &session, &self.keys.active())?;
        let device_token = self.lockout.device_token(&user, device_token);
        let logout_token = self.issuer.logout_token(&session.id);
        Ok(SignedIn { user, tokens, device_token, logout_token })
    }

    /// Whether `password` is the one that was found.
    async fn recognize(
        &self,
        found: Option<(User, String)>,
        password: &Password,
    ) -> Result<Recognized, Error> {
        let (user, stored) = found.unzip();
        let verified = self.passwords.verify(password.clone(), stored.clone()).await?;
        if let (Some(user), Some(unusable)) = (&user, verified.unusable) {
            tracing::error!(user.id = user.id.0, error = %unusable, "a password's hash");
        }
        let (Some(user), Some(stored), true) = (user, stored, verified.matches) else {
            return Ok(Recognized::Nobody(verified));
        };
        if user.disabled {
            return Ok(Recognized::Disabled);
        }
        let new_hash = if verified.needs_rehash {
            self.passwords.rehash(password.clone()).await?
        } else {
            None
        };
        Ok(Recognized::Known(Known { user, stored, new_hash }))
    }

    /// Begins a session of someone who was recognized. Where the account changed since, by another
    /// sign-in that replaced the hash or by anything else, it is looked at again.
    async fn begin(
        &self,
        mut known: Known,
        identifier: &Identifier,
        password: &Password,
        client: ClientInfo,
    ) -> Result<(User, Session), Error> {
        for _ in 0..LOGIN_TRIES_MAX {
            let Known { user, stored, new_hash } = known;
            let session = self.new_session(user.id, client.clone());
            let new_hash = new_hash.as_deref();
            if self.store.begin_session(&session, &stored, new_hash, SESSIONS_MAX).await? {
                return Ok((user, session));
            }
            let found = self.store.credentials(identifier).await?;
            let Recognized::Known(again) = self.recognize(found, password).await? else {
                return Err(Error::InvalidCredentials);
            };
            known = again;
        }
        Err(Error::Contended)
    }

    fn new_session(&self, user_id: UserId, client: ClientInfo) -> Session {
        let now = self.clock.now();
        Session {
            id: BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<SESSION_ID_BYTES>()),
            user_id,
            counter: 0,
            created_at: now,
            last_used_at: now,
            idle_expires_at: now + self.lifetimes.idle.min(self.lifetimes.absolute),
            expires_at: now + self.lifetimes.absolute,
            access_expires_at: self.access_expires_at(now),
            client,
        }
    }

    /// When the last access token has expired that can be issued before the next rotation: within
    /// the grace, the same rotation may issue more.
    fn access_expires_at(&self, now: Timestamp) -> Timestamp {
        now + self.issuer.access_token_ttl() + self.lifetimes.refresh_grace + ISSUE_SLACK
    }

    /// Gives the next tokens for a refresh token.
    ///
    /// # Errors
    /// [`Error::RefreshTokenReused`] for one that was used before the last one, or before the
    /// grace: its session is ended.
    pub async fn refresh(&self, token: &str, client: &ClientInfo) -> Result<TokenPair, Error> {
        let RefreshToken { session_id, counter } =
            self.issuer.read_refresh_token(token).ok_or(Error::RefreshTokenInvalid)?;
        for _ in 0..REFRESH_TRIES_MAX {
            let found = self.store.session(&session_id).await?;
            let (session, user) = found.ok_or(Error::RefreshTokenInvalid)?;
            let now = self.clock.now();
            if now >= session.idle_expires_at || user.disabled {
                return Err(Error::RefreshTokenExpired);
            }
            if counter == session.counter {
                let rotated = Session {
                    counter: counter + 1,
                    last_used_at: now,
                    idle_expires_at: session.expires_at.min(now + self.lifetimes.idle),
                    // Another replica's tokens, or those from before a restart, may live longer.
                    access_expires_at: session.access_expires_at.max(self.access_expires_at(now)),
                    ..session
                };
                if self.store.rotate_session(&rotated).await? {
                    return self.issuer.issue(&user, &rotated, &self.keys.active());
                }
                // Another was quicker: look again.
                continue;
            }
            let is_previous = counter.checked_add(1) == Some(session.counter);
            if is_previous && now < session.last_used_at + self.lifetimes.refresh_grace {
                return self.issuer.issue(&user, &session, &self.keys.active());
            }
            if counter > session.counter {
                // Issued by a database that this one is an older copy of.
                return Err(Error::RefreshTokenInvalid);
            }
            self.end_reused(&session, client, now).await?;
            return Err(Error::RefreshTokenReused);
        }
        Err(Error::Contended)
    }

    /// Either the thief or the owner holds a token that the other one has used: neither keeps the
    /// session (RFC 9700 section 4.14.2).
    async fn end_reused(
        &self,
        session: &Session,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<(), Error> {
        let reused = NewEvent {
            session_id: Some(session.id.clone()),
            client_address: client.address.clone(),
            ..NewEvent::new(EventType::RefreshTokenReused, Some(session.user_id))
        };
        let ending = EndingSessions {
            user_id: session.user_id,
            which: EndedSessions::One(&session.id),
            actor_id: None,
            client_address: &client.address,
            reason: "a refresh token was used again",
            now,
        };
        self.store.end_sessions(&ending, &[reused]).await?;
        Ok(())
    }

    /// Ends the session that a refresh token belongs to.
    ///
    /// # Errors
    /// [`Error::RefreshTokenInvalid`] where there is none.
    pub async fn logout_by_refresh_token(
        &self,
        token: &str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let token = self.issuer.read_refresh_token(token).ok_or(Error::RefreshTokenInvalid)?;
        self.sign_out(&token.session_id, client).await?.ok_or(Error::RefreshTokenInvalid)
    }

    /// Ends the session that a logout token belongs to.
    ///
    /// # Errors
    /// [`Error::LogoutTokenInvalid`] where there is none.
    pub async fn logout_by_logout_token(
        &self,
        token: &str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let session_id = self.issuer.read_logout_token(token).ok_or(Error::LogoutTokenInvalid)?;
        self.sign_out(session_id, client).await?.ok_or(Error::LogoutTokenInvalid)
    }

    /// Ends a session in the name of its user; `None` where there is none.
    async fn sign_out(&self, session_id: &str, client: &ClientInfo) -> Result<Option<()>, Error> {
        let Some((session, user)) = self.store.session(session_id).await? else { return Ok(None) };
        let which = EndedSessions::One(&session.id);
        let ended = self.end(user.id, which, user.id, client, "signed out").await?;
        Ok((ended > 0).then_some(()))
    }

    /// Ends sessions of a user; returns how many there were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(
        &self,
        user_id: UserId,
        which: EndedSessions<'_>,
        actor_id: UserId,
        client: &ClientInfo,
        reason: &'static str,
    ) -> Result<usize, Error> {
        let ending = EndingSessions {
            user_id,
            which,
            actor_id: Some(actor_id),
            client_address: &client.address,
            reason,
            now: self.clock.now(),
        };
        Ok(self.store.end_sessions(&ending, &[]).await?)
    }

    /// Replaces the password of whoever has `active`, and ends all other sessions. Returns a new
    /// device token: those from before are void.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where `current` is not the password.
    pub async fn change_password(
        &self,
        active: ActiveToken,
        current: Password,
        new: Password,
        client: &ClientInfo,
    ) -> Result<String, Error> {
        let (token, user) = (&active.token, active.user());
        let caller = Caller::from(&**token);
        for _ in 0..LOGIN_TRIES_MAX {
            let (current, new) = (current.clone(), new.clone());
            let change = self.prepare_password(&caller, user.id, current, new, client).await?;
            let change = PasswordChange {
                user_id: user.id,
                old_hash: &change.old_hash,
                new_hash: &change.new_hash,
                ending: EndedSessions::AllBut(&token.session_id),
                unlocking: None,
            };
            let now = self.clock.now();
            let actor = Actor { id: Some(user.id), client_address: &client.address, now };
            if self.store.change_password(&change, &actor).await? {
                // By this change. After another since `active` was judged, it is void already.
                let password_changes = user.password_changes + 1;
                let user = User { password_changes, ..user.clone() };
                return Ok(self.lockout.device_token(&user, ""));
            }
            // Replaced meanwhile, by another password or by a better hash of this one: look again.
        }
        Err(Error::Contended)
    }

    /// What replaces the password of `id`.
    ///
    /// # Errors
    /// [`Error::NotOwner`] where that is not the caller, and those of
    /// [`Sessions::confirm_password`].
    pub async fn prepare_password(
        &self,
        caller: &Caller,
        id: UserId,
        current: Password,
        new: Password,
        client: &ClientInfo,
    ) -> Result<HashChange, Error> {
        if id != UserId(caller.user_id) {
            return Err(Error::NotOwner);
        }
        let old_hash = self.confirm_password(caller, current, client).await?;
        let new_hash = self.passwords.hash(new).await?;
        Ok(HashChange { old_hash, new_hash })
    }

    /// Asks whether `current` is the caller's password: its hash.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] where it is not, which counts as a failure.
    pub async fn confirm_password(
        &self,
        caller: &Caller,
        current: Password,
        client: &ClientInfo,
    ) -> Result<String, Error> {
        let id = UserId(caller.user_id);
        let stored = self.store.password_hash(id).await?.ok_or(Error::InvalidCredentials)?;
        // Counted for this session: whoever locks strangers out does not keep the owner from it.
        let device_id = caller.session_id.clone();
        let subject = Subject::Device { user_id: id, device_id };
        let attempt = self.lockout.attempt(subject, client).await?;
        match self.passwords.verify(current, Some(stored.clone())).await {
            Ok(verified) if verified.matches => attempt.succeeded().await?,
            Ok(_) => return Err(attempt.failed().await),
            Err(error) => {
                attempt.abandoned().await?;
                return Err(error);
            }
        }
        Ok(stored)
    }

    /// Judges an access token as of now.
    ///
    /// # Errors
    /// [`Error::Token`] with the reason, or those of the database.
    pub async fn judge(&self, access_token: &str) -> Result<ActiveToken, Error> {
        let now = self.clock.now();
        let token = self.keys.verify(access_token, now).await?;
        let session = self.cache.get(&token.session_id).await?.ok_or(Refusal::Revoked)?;
        let user = &session.user;
        let is_good = user.id.0 == token.user_id
            && now < session.expires_at
            && !user.disabled
            && user.roles == token.roles;
        if is_good { Ok(ActiveToken { token, session }) } else { Err(Refusal::Revoked.into()) }
    }
}
