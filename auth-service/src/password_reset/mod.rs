//! Resetting a password by a code that is sent by mail.
//!
//! Whoever asks for a code must not learn whether the account exists. So asking only stores a
//! request, which is the same work for every address; a task of each replica
//! ([`PasswordResets::run`]) finds out later whether there is someone to be mailed. It does so
//! once a second and is not woken: what it writes for a known address would else hold up the next
//! requests, and tell. An address that nobody has gets a code, too, which is sent to nobody:
//! guessing at it costs what guessing at any other does.
//!
//! A code is one of 900 000, so that only counting keeps it safe: each guess is counted before it
//! is compared, and each client's guesses are counted together. Those of the client that asked for
//! it are counted apart from everybody else's, who cannot use them up. It is stored under a keyed
//! hash:
//! a plain one is reversed in a blink (RFC 4226 section 7.3 and NIST SP 800-63B rev. 4 section
//! 3.2.2 on limiting guesses).

mod codes;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use clap::Args;
use service_kit::{
    Clock, Entropy, Shutdown, Timestamp,
    mail::{Mail, MailQueue, SealedMail},
    server::within_drain_time,
    settings::duration,
};
use tokio::time::sleep;

pub use codes::Keys;
use codes::new_code;

use crate::{
    error::Error,
    lockout::Lockout,
    model::{ClientInfo, Email, Identifier, Otp, Password, User},
    passwords::Passwords,
    store::{
        Answered, EndedSessions, EndingSessions, Guess, NewGuess, NewResetCode, PasswordReset,
        ResetRequest, Store, Throttle,
    },
};

/// The longest life of a code.
const OTP_TTL_MAX: Duration = Duration::from_hours(24);
/// The window in which requests for one address, and from one client, are counted.
const REQUEST_WINDOW: Duration = Duration::from_hours(1);
/// Requests from one client, times what one address is allowed: many may share its address.
const CLIENT_REQUESTS_FACTOR: u32 = 100;
/// Guesses from one client, whatever the account, in a window.
const CLIENT_GUESSES_MAX: u32 = 100;
const GUESS_WINDOW: Duration = Duration::from_mins(10);
/// What the client that asked for a code is tagged for.
const ASKER: &str = "codes asked for by";
/// Requests that may wait to be answered: a few seconds of work, as a rule.
const REQUESTS_WAITING_MAX: i64 = 10_000;
/// Requests that are answered between two looks for a shutdown.
const REQUESTS_PER_ROUND_MAX: usize = 100;
/// The pause between two looks for requests.
const PAUSE: Duration = Duration::from_secs(1);
/// The same, after the database has failed.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);
/// How often what has expired is deleted, and how much of each kind at once.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const SWEPT_MAX: i64 = 1000;

/// How long codes live, and how often they may be asked for and guessed at.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// How long a code to reset a password is good, at most a day.
    #[arg(
        long,
        env = "OTP_TTL",
        value_name = "OTP_TTL",
        default_value = "10m",
        value_parser = otp_ttl
    )]
    pub otp_ttl: Duration,

    /// How often a code may be guessed at from the network that asked for it, and from all others.
    #[arg(
        long,
        env = "OTP_MAX_ATTEMPTS",
        value_name = "OTP_MAX_ATTEMPTS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=100)
    )]
    pub otp_max_attempts: u16,

    /// How often a code may be asked for in an hour for one account, as often by devices that have
    /// signed in to it, and a hundred times that by one client; 0: any number of times.
    #[arg(
        long,
        env = "RESET_REQUESTS_MAX",
        value_name = "RESET_REQUESTS_MAX",
        default_value_t = 5
    )]
    pub reset_requests_max: u32,
}

/// NIST SP 800-63B rev. 4 section 4.2.1.2: a code that is sent by e-mail is good for a day at most.
fn otp_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration(text)?;
    if ttl > OTP_TTL_MAX { Err("longer than one day".to_owned()) } else { Ok(ttl) }
}

/// The rules of resetting passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PasswordResets {
    /// Where accounts and codes are kept.
    pub store: Store,
    /// Where passwords are hashed.
    pub passwords: Passwords,
    /// What a reset unlocks.
    pub lockout: Lockout,
    /// What delivers codes; in the same database as `store`.
    pub mails: MailQueue,
    /// How long codes live, and how often they may be asked for and guessed at.
    pub settings: Settings,
    /// Under which codes are stored.
    pub keys: Arc<Keys>,
    /// The time.
    pub clock: Clock,
    /// Where codes come from.
    pub entropy: Entropy,
}

impl PasswordResets {
    /// Takes a request for a code; whether there is such an account is not looked at. A device of
    /// the account, which shows `device_token`, has requests that strangers cannot use up.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] for the address or the client, known or not;
    /// [`Error::TooManyWaiting`] where so many wait that this one would have to be kept for long.
    pub async fn request(
        &self,
        email: &Email,
        device_token: &str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        self.request_behind(REQUESTS_WAITING_MAX, email, device_token, client).await
    }

    async fn request_behind(
        &self,
        waiting_max: i64,
        email: &Email,
        device_token: &str,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        if self.store.are_reset_requests_waiting(waiting_max).await? {
            return Err(Error::TooManyWaiting);
        }
        let (now, email_key) = (self.clock.now(), email.key());
        // Whose device it is, not whose address: whether that is known must not be told.
        let owner = self.lockout.device_owner(device_token).await?;
        let is_known = owner.is_some_and(|user| user.has_email(&email_key));
        let requests_max = self.settings.reset_requests_max;
        let throttle = |key, hits_max| Throttle { key, hits_max, window: REQUEST_WINDOW };
        let mut throttles = Vec::new();
        if requests_max > 0 && is_known {
            let of_devices = self.keys.subject("requests of devices for", &email_key);
            throttles.push(throttle(of_devices, requests_max));
        } else if requests_max > 0 {
            // The client first: one that asks too often must not use up what others may ask for.
            let of_client = self.keys.client("requests of", client);
            let client_max = requests_max.saturating_mul(CLIENT_REQUESTS_FACTOR);
            throttles.extend(of_client.map(|key| throttle(key, client_max)));
            throttles.push(throttle(self.keys.subject("requests for", &email_key), requests_max));
        }
        let address = &client.address;
        match self.store.insert_reset_request(&email_key, address, &throttles, now).await? {
            Some(until) => Err(Error::TooManyRequests(until.since(now))),
            None => Ok(()),
        }
    }

    /// Sets a new password for whoever knows the code, and ends all sessions.
    ///
    /// # Errors
    /// [`Error::OtpInvalid`] whatever is wrong with the code or the account;
    /// [`Error::TooManyRequests`] for a client that has guessed too often; [`Error::Overloaded`]
    /// where the queue for hashing is full: the guess is counted, and the code is still good.
    pub async fn reset(
        &self,
        email: &Email,
        otp: &Otp,
        new_password: Password,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let (now, email_key) = (self.clock.now(), email.key());
        let account_key = self.keys.subject("account", &email_key);
        let throttle = self.keys.client("guesses of", client).map(|key| Throttle {
            key,
            hits_max: CLIENT_GUESSES_MAX,
            window: GUESS_WINDOW,
        });
        let guess = NewGuess {
            account_key,
            client_key: self.keys.client(ASKER, client),
            attempts_max: self.settings.otp_max_attempts,
            throttle,
            now,
        };
        let code = match self.store.count_reset_guess(&guess).await? {
            Guess::Counted(code) => code.ok_or(Error::OtpInvalid)?,
            Guess::Throttled(until) => return Err(Error::TooManyRequests(until.since(now))),
        };
        let is_right = self.keys.is_code(&code, otp);
        let (Some(user_id), true) = (code.user_id, is_right) else {
            return Err(Error::OtpInvalid);
        };
        let user = self.store.user(user_id).await?.ok_or(Error::OtpInvalid)?;
        let password_hash = self.passwords.hash(new_password).await?;
        let reset = PasswordReset {
            account_key,
            email_key: &email_key,
            code_hash: code.code_hash,
            password_hash: &password_hash,
            strangers: &self.lockout.strangers(&user),
            ending: EndingSessions {
                user_id,
                which: EndedSessions::All,
                actor_id: Some(user_id),
                client_address: &client.address,
                reason: "the password was reset",
                now: self.clock.now(),
            },
        };
        if self.store.reset_password(&reset).await? { Ok(()) } else { Err(Error::OtpInvalid) }
    }

    /// Answers requests, and deletes what has expired, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        // What is cut off is rolled back, and done after the next start.
        let _ = within_drain_time(self.work_until(&shutdown), &shutdown).await;
    }

    async fn work_until(&self, shutdown: &Shutdown) {
        let mut swept_at = Timestamp::default();
        while !shutdown.has_begun() {
            let pause = match self.work(&mut swept_at).await {
                Ok(true) => continue,
                Ok(false) => PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "password resets must wait");
                    OUTAGE_PAUSE
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Tells whether there is more to do at once.
    async fn work(&self, swept_at: &mut Timestamp) -> Result<bool, Error> {
        let now = self.clock.now();
        if now >= *swept_at + SWEEP_INTERVAL {
            let requests_before = now - self.settings.otp_ttl;
            let swept = self.store.delete_expired_resets(now, requests_before, SWEPT_MAX).await?;
            if swept < SWEPT_MAX.unsigned_abs() {
                *swept_at = now;
            }
        }
        let requests = self.store.reset_requests(REQUESTS_PER_ROUND_MAX).await?;
        let mut is_stuck = false;
        for request in &requests {
            match self.answer(request).await {
                Ok(Answered::Done | Answered::ByAnother) => {}
                Ok(Answered::QueueFull) => {
                    tracing::warn!("the mail queue is full: password resets must wait");
                    return Ok(false);
                }
                Err(Error::Database(error)) if error.is_unavailable() => return Err(error.into()),
                Err(error) => {
                    // It must not hold up the ones behind it.
                    tracing::warn!(%error, "a password reset must wait");
                    is_stuck = true;
                }
            }
        }
        Ok(requests.len() == REQUESTS_PER_ROUND_MAX && !is_stuck)
    }

    async fn answer(&self, request: &ResetRequest) -> Result<Answered, Error> {
        let now = self.clock.now();
        let expires_at = now + self.settings.otp_ttl;
        let otp = new_code(&self.entropy);
        let found = self.store.credentials(&Identifier::Email(request.email_key.clone())).await?;
        let recipient = found.and_then(|(user, _)| {
            let mail = (!user.disabled).then(|| self.mail(&user, &otp, expires_at)).flatten()?;
            Some((user.id, mail))
        });
        let user_id = recipient.as_ref().map(|(user_id, _)| *user_id);
        let salt = self.entropy.bytes();
        let code = NewResetCode {
            account_key: self.keys.subject("account", &request.email_key),
            asker_key: self.keys.client(ASKER, &request.client),
            recipient: recipient.as_ref().map(|(user_id, mail)| (*user_id, mail)),
            salt,
            code_hash: self.keys.code_hash(&salt, user_id, &otp),
            expires_at,
            now,
        };
        let answered = self.store.answer_reset_request(request, &code, &self.mails).await?;
        if user_id.is_some() {
            self.mails.wake();
        }
        Ok(answered)
    }

    /// The mail that brings a code. The user's name stands in its head alone: it is whatever
    /// someone typed who registered that address.
    fn mail(&self, user: &User, otp: &Otp, expires_at: Timestamp) -> Option<SealedMail> {
        let mail = Mail {
            to: user.email.clone()?,
            name: user.name.clone(),
            subject: "Your code to reset your password".to_owned(),
            text: mail_text(otp, self.settings.otp_ttl),
        };
        let sealed = self.mails.seal(&mail, expires_at);
        let warn = |error| tracing::warn!(user.id = user.id.0, %error, "no code can be mailed");
        sealed.map_err(warn).ok()
    }
}

fn mail_text(otp: &Otp, ttl: Duration) -> String {
    let (code, seconds) = (otp.as_str(), ttl.as_secs());
    let ttl = if seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    };
    format!(
        "Someone, hopefully you, has asked to reset the password of your account.\n\
         \n\
         Your code: {code}\n\
         \n\
         It works once, within {ttl}. Tell it to nobody: whoever has it can set a\n\
         new password.\n\
         \n\
         If it was not you, there is nothing to do: your password stays as it is.\n"
    )
}
