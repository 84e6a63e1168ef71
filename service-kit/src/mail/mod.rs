//! Mail: a queue in the database, and its delivery over SMTP.
//!
//! A rule puts a mail into the queue within the transaction that is the reason for it, so that
//! neither is there without the other and no request waits for a mail server. A task of each
//! replica ([`MailQueue::run`]) delivers what is due. A row is claimed for two minutes before it
//! is tried, so that no two replicas try it at once, and deleted when the server has taken it.
//! Between those two a crash or a lost answer sends it again: **at least once**, with the same
//! `Message-ID`, by which mail programs tell a duplicate. What fails is tried again after 5
//! seconds, then twice that, at most 5 minutes, until the mail is worthless; what the server
//! refuses for good is given up at once. Neither addresses nor texts are logged.
//!
//! A mail may hold a secret, such as a code: at rest it is sealed under the secret key.

mod delivery;
mod mailer;
mod queue;

use clap::Args;
use lettre::message::Mailbox;

pub use mailer::Mailer;
pub use queue::{Mail, MailError, MailQueue, SealedMail};

/// How mail is sent.
#[derive(Args, Clone)]
#[group(skip)]
pub struct Settings {
    /// The mail server: smtps://user:password@host, or smtp://user:password@host?tls=required for
    /// STARTTLS (tls=opportunistic: where the server offers it; no tls: unencrypted). A path is
    /// the name for EHLO. Default: mails are written to the log
    #[arg(long, env = "SMTP_URL", value_name = "SMTP_URL", hide_env_values = true)]
    // Text until it is used: clap would quote a bad value, and with it the password.
    pub smtp_url: Option<String>,

    /// The sender of mails.
    #[arg(long, env = "MAIL_FROM", value_name = "MAIL_FROM", default_value = "no-reply@localhost")]
    pub mail_from: Mailbox,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("mail_from", &self.mail_from).finish_non_exhaustive()
    }
}
