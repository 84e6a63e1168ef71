//! Who is told by mail what has become of a registration.

use service_kit::{
    Clock,
    db::Db,
    mail::{Mail, MailQueue, SealedMail},
};

use crate::{
    error::Error,
    model::{News, Notice, Recipient},
    store::notices,
};

/// Notices that are read at once.
const BATCH_MAX: i64 = 100;

/// Turns notices into mails. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    db: Db,
    clock: Clock,
    mails: MailQueue,
}

impl Notices {
    pub(crate) fn new(db: Db, clock: Clock, mails: MailQueue) -> Self {
        Self { db, clock, mails }
    }

    /// The oldest notices. Those of programs that are over are dropped instead.
    pub(crate) async fn waiting(&self) -> Result<Vec<Notice>, Error> {
        let now = self.clock.now();
        let oldest = notices::oldest(&self.db, BATCH_MAX).await?;
        let (waiting, late): (Vec<_>, Vec<_>) =
            oldest.into_iter().partition(|notice| notice.ends_at > now);
        for notice in late {
            tracing::warn!(user.id = notice.user_id.0, "a notice was given up: too late");
            notices::replace(&self.db, notice.id, None, &self.mails).await?;
        }
        Ok(waiting)
    }

    /// Has the mail sent, at once with the end of the notice, and nothing where there is no
    /// recipient or the notice is no longer true. `false` where the queue of mails is full: the notice waits.
    pub(crate) async fn answer(
        &self,
        notice: &Notice,
        recipient: Option<Recipient>,
    ) -> Result<bool, Error> {
        let mail = recipient.and_then(|recipient| self.seal(notice, recipient));
        let replaced = notices::replace(&self.db, notice.id, mail.as_ref(), &self.mails).await?;
        if mail.is_some() && replaced {
            self.mails.wake();
        }
        Ok(replaced)
    }

    fn seal(&self, notice: &Notice, Recipient { email, name }: Recipient) -> Option<SealedMail> {
        let (subject, text) = words(notice);
        let mail = Mail { to: email, name, subject: subject.to_owned(), text };
        let sealed = self.mails.seal(&mail, notice.ends_at);
        let warn =
            |error| tracing::warn!(user.id = notice.user_id.0, %error, "nothing can be mailed");
        sealed.map_err(warn).ok()
    }
}

/// Subject and text. The title is too long for a subject.
fn words(notice: &Notice) -> (&'static str, String) {
    let (subject, first, last) = match notice.news {
        News::Promoted => (
            "You have a seat now",
            "A seat has become free, and it is yours:",
            "If you cannot come, please cancel your registration: others wait for a seat.",
        ),
        News::ProgramCancelled => (
            "A training is cancelled",
            "This training will not take place:",
            "You are told because you were registered for it. There is nothing for you to do.",
        ),
    };
    let (title, location) = (notice.title.as_str(), notice.location.as_str());
    let time = notice.time_zone.write(notice.starts_at);
    let place = if location.is_empty() { String::new() } else { format!("  {location}\n") };
    (subject, format!("{first}\n\n  {title}\n  {time}\n{place}\n{last}\n"))
}
