//! The task that delivers what is due.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{
    Mail, MailQueue, Mailer,
    mailer::Outcome,
    queue::{DueMail, PURPOSE},
};
use crate::{Shutdown, db::DbError, server::within_drain_time};

/// Mails that one replica delivers at the same time.
const DELIVERIES_MAX: i64 = 4;
/// How long a claim on a mail holds: twice what a delivery may take.
const CLAIM: Duration = Duration::from_mins(2);
/// How long a mail waits after the first failure, and at most after later ones.
const BACKOFF_MIN: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_mins(5);
/// How often the queue is looked at for what others put into it.
const POLL_PAUSE: Duration = Duration::from_secs(1);
/// The pause after the database has failed.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

impl MailQueue {
    /// Delivers what is due until `shutdown`, and what it has begun within ten seconds of it.
    pub async fn run(self, mailer: Mailer, shutdown: Shutdown) {
        let delivering = self.deliver_until(&mailer, &shutdown);
        if within_drain_time(delivering, &shutdown).await.is_none() {
            tracing::warn!("a delivery was cut off by the shutdown and will be tried again");
        }
    }

    async fn deliver_until(&self, mailer: &Mailer, shutdown: &Shutdown) {
        while !shutdown.has_begun() {
            let pause = match self.deliver_due(mailer).await {
                Ok(true) => continue,
                Ok(false) => POLL_PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "the mail queue must wait for its database");
                    OUTAGE_PAUSE
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = self.woken.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Delivers some of what is due. Tells whether to go on at once: not where a delivery has
    /// failed, as the next ones are likely to.
    async fn deliver_due(&self, mailer: &Mailer) -> Result<bool, DbError> {
        // In tasks of their own: a panic costs one try at one mail, not the queue.
        let mut deliveries = JoinSet::new();
        for mail in self.due(DELIVERIES_MAX).await? {
            let (queue, mailer) = (self.clone(), mailer.clone());
            deliveries.spawn(async move { queue.handle(&mailer, mail).await });
        }
        let mut goes_on = !deliveries.is_empty();
        while let Some(ended) = deliveries.join_next().await {
            goes_on &= ended.unwrap_or_else(|error| {
                tracing::error!(%error, "a delivery ended in a panic");
                Ok(false)
            })?;
        }
        Ok(goes_on)
    }

    /// Delivers a mail if it is still worth it and nobody else does. `false` where that failed.
    async fn handle(&self, mailer: &Mailer, mut mail: DueMail) -> Result<bool, DbError> {
        let now = self.clock.now();
        if now >= mail.not_after {
            if self.delete(&mail).await? {
                let DueMail { id, tries, .. } = &mail;
                tracing::warn!(mail.id = id, mail.tries = tries, "a mail was given up: too late");
            }
            return Ok(true);
        }
        // The try is counted before it is made: one that ends the process is one, too.
        let claimed_until = now + CLAIM;
        mail.tries = mail.tries.saturating_add(1);
        if !self.reschedule(&mail, claimed_until, mail.tries).await? {
            return Ok(true);
        }
        mail.due_at = claimed_until;
        let outcome = match self.open(&mail) {
            Some(content) => mailer.deliver(&mail.id, mail.created_at, &content).await,
            None => Outcome::Refused("it is damaged or sealed under another key".to_owned()),
        };
        let DueMail { id, tries, .. } = &mail;
        match outcome {
            Outcome::Sent => {
                self.delete(&mail).await?;
                tracing::debug!(mail.id = id, mail.tries = tries, "a mail was sent");
                Ok(true)
            }
            Outcome::Refused(reason) => {
                self.delete(&mail).await?;
                tracing::warn!(mail.id = id, mail.tries = tries, reason, "a mail was given up");
                Ok(true)
            }
            Outcome::Failed(reason) => {
                let next = self.clock.now() + self.backoff(mail.tries);
                self.reschedule(&mail, next.min(mail.not_after), mail.tries).await?;
                tracing::warn!(mail.id = id, mail.tries = tries, reason, "a mail must wait");
                Ok(false)
            }
        }
    }

    fn open(&self, mail: &DueMail) -> Option<Mail> {
        let content = self.secret.open(PURPOSE, &mail.id, &mail.sealed).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// How long to wait after `tries` failures: twice as long each time, less up to a half by
    /// chance, so that what failed together is not tried together.
    fn backoff(&self, tries: u32) -> Duration {
        let doubled = BACKOFF_MIN.saturating_mul(1 << tries.saturating_sub(1).min(16));
        let longest = doubled.min(BACKOFF_MAX);
        let chance = u32::from(u16::from_be_bytes(self.entropy.bytes()));
        longest / 2 + (longest / 2) * chance / u32::from(u16::MAX)
    }
}
