//! The way out: an SMTP server or, for trying things out, the log.

use std::{
    fmt,
    sync::Once,
    time::{Duration, SystemTime},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp,
};
use tokio::time::timeout;

use super::{Mail, Settings};
use crate::{StartError, Timestamp};

/// How long the server may take to accept a connection, and to answer each command.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(15);
/// How long one delivery may take.
const DELIVERY_TIME_MAX: Duration = Duration::from_mins(1);

/// Delivers a mail. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    smtp: Option<AsyncSmtpTransport<Tokio1Executor>>,
}

/// What became of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has taken it.
    Sent,
    /// It never will be.
    Refused(String),
    /// It may go better next time.
    Failed(String),
}

impl Mailer {
    /// The mailer that `settings` describe. Warns where mails go to the log, once for all the
    /// services of a process.
    ///
    /// # Errors
    /// Names `SMTP_URL`, without its value, where it cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        static WARNED: Once = Once::new();
        let smtp = settings.smtp_url.as_deref().map(smtp_transport).transpose()?;
        if smtp.is_none() {
            WARNED.call_once(|| {
                tracing::warn!("SMTP_URL is not set: mails are written to the log, codes included");
            });
        }
        Ok(Self { from: settings.mail_from.clone(), smtp })
    }

    /// Delivers `mail`. `id` is the same each time it is tried.
    pub(super) async fn deliver(&self, id: &str, created_at: Timestamp, mail: &Mail) -> Outcome {
        let Some(smtp) = &self.smtp else {
            tracing::info!(
                mail.to = mail.to,
                mail.subject = mail.subject,
                mail.text = mail.text,
                "a mail, as SMTP_URL is not set"
            );
            return Outcome::Sent;
        };
        let message = match self.message(id, created_at, mail) {
            Ok(message) => message,
            Err(error) => return Outcome::Refused(format!("it cannot be written: {error}")),
        };
        match timeout(DELIVERY_TIME_MAX, smtp.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(error)) if is_final(&error) => Outcome::Refused(explain(&error)),
            Ok(Err(error)) => Outcome::Failed(explain(&error)),
            Err(_) => Outcome::Failed(format!("took more than {DELIVERY_TIME_MAX:?}")),
        }
    }

    /// The mail as RFC 5322 has it, with what is not ASCII encoded. No name and no subject has a
    /// line break by now, which would make the library panic.
    fn message(
        &self,
        id: &str,
        created_at: Timestamp,
        mail: &Mail,
    ) -> Result<Message, Box<dyn std::error::Error>> {
        let name = (!mail.name.is_empty()).then(|| mail.name.clone());
        let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
        Ok(Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, mail.to.parse()?))
            .subject(mail.subject.as_str())
            .date(SystemTime::UNIX_EPOCH + created_at.since(Timestamp::default()))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // No answering machine answers (RFC 3834 section 5).
            .raw_header(HeaderValue::new(auto_submitted, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())?)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

fn smtp_transport(url: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, StartError> {
    static WARNED: Once = Once::new();
    let wrong = || {
        let message = "not of the form smtps://user:password@host:port or \
                       smtp://user:password@host:port?tls=required";
        StartError::setting("SMTP_URL", message)
    };
    // A misspelt parameter would be passed over, and the mail go out unencrypted.
    let query = url.split_once('?').map(|(_, query)| query);
    if !matches!(query, None | Some("tls=required" | "tls=opportunistic")) {
        return Err(wrong());
    }
    let has_password = url.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    if url.starts_with("smtp://") && has_password && query != Some("tls=required") {
        WARNED.call_once(|| {
            tracing::warn!(
                "SMTP_URL: the password may go out unencrypted; ?tls=required prevents it"
            );
        });
    }
    // The library's message may quote the URL, and with it the password.
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| wrong())?;
    Ok(builder.timeout(Some(COMMAND_TIME_MAX)).build())
}

/// Whether the server has refused this one mail for good. A middle digit of 5 is about the mail
/// or its recipient (RFC 5321 section 4.2.1); any other, such as 535 for a wrong password, is
/// about us, and an operator may mend it.
fn is_final(error: &smtp::Error) -> bool {
    let is_about_mail =
        |code: smtp::response::Code| code.category == smtp::response::Category::MailSystem;
    error.is_permanent() && error.status().is_some_and(is_about_mail)
}

/// What went wrong, for the log. What a server says may repeat the address: only its code is told.
fn explain(error: &smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_response() => "the server's answer is not SMTP".to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        let mail_from = "Pavilion <no-reply@localhost>".parse().expect("a mailbox");
        Settings { smtp_url: Some(url.to_owned()), mail_from }
    }

    #[test]
    fn takes_urls_of_mail_servers() {
        for url in [
            "smtp://localhost",
            "smtp://localhost:2525/pavilion.example",
            "smtp://user:p%40ss@mail.example:587?tls=required",
            "smtp://mail.example?tls=opportunistic",
            "smtps://user:password@mail.example",
        ] {
            assert!(Mailer::new(&settings(url)).is_ok(), "{url}");
        }
    }

    #[test]
    fn refuses_other_urls_without_repeating_the_password() {
        for url in [
            "",
            "mail.example:25",
            "user:hunter2@mail.example",
            "http://user:hunter2@mail.example",
            "smtp://user:hunter2@mail.example?tls=requird",
            "smtp://user:hunter2@mail.example?TLS=required",
            "smtp://user:hunter2@mail.example:99999",
        ] {
            let error = Mailer::new(&settings(url)).expect_err(url).to_string();
            assert!(error.starts_with("SMTP_URL: not of the form"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
        assert!(!format!("{:?}", settings("smtp://user:hunter2@mail.example")).contains("hunter2"));
    }

    #[test]
    fn a_name_is_encoded_and_adds_no_recipient() {
        let mailer = Mailer::new(&settings("smtp://localhost")).expect("a mailer");
        let mail = Mail {
            to: "zoe@example.com".to_owned(),
            name: "Zoë \"☃\" <eve@example.com>, Bob".to_owned(),
            subject: "Grüße".to_owned(),
            text: "Schöne Grüße\n.\nQUIT\n".to_owned(),
        };
        let created_at = Timestamp::from_seconds(1_767_225_600);
        let message = mailer.message("id", created_at, &mail).expect("a message");
        let to: Vec<_> = message.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["zoe@example.com"]);
        let text = String::from_utf8(message.formatted()).expect("UTF-8");
        let (head, _) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.is_ascii() && !head.contains("eve"), "{head}");
        for line in [
            "From: Pavilion <no-reply@localhost>",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000",
            "Message-ID: <id@localhost>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(head.lines().any(|one| one == line), "{line} is not in {head}");
        }
    }
}
