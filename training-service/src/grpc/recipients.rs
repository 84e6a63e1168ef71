//! Asks auth-service where those are reached who have to be told something.

use std::time::Duration;

use auth_client::UserDirectory;
use proto::auth::v1::UserContact;
use tokio::time::sleep;
use tonic::Status;

use crate::{model::Recipient, notices::Notices};

/// How often it is looked for new notices.
const POLL_PAUSE: Duration = Duration::from_secs(1);
/// The pause after auth-service or the database has failed, or while the queue of mails is full.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// Turns notices into mails for as long as it is polled. It may stop anywhere: each notice becomes
/// a mail in one transaction.
pub(crate) async fn keep_mailing(notices: Notices, users: UserDirectory) {
    loop {
        let pause = match mail_some(&notices, &users).await {
            Ok(Done::Some) => continue,
            Ok(Done::All) => POLL_PAUSE,
            Ok(Done::QueueFull) => {
                tracing::warn!("notices must wait: the queue of mails is full");
                OUTAGE_PAUSE
            }
            Err(status) => {
                tracing::warn!(
                    grpc.code = ?status.code(), grpc.message = status.message(),
                    "notices must wait"
                );
                OUTAGE_PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// How far it came.
enum Done {
    Some,
    All,
    QueueFull,
}

async fn mail_some(notices: &Notices, users: &UserDirectory) -> Result<Done, Status> {
    let waiting = notices.waiting().await?;
    if waiting.is_empty() {
        return Ok(Done::All);
    }
    let ids: Vec<_> = waiting.iter().map(|notice| notice.user_id.0).collect();
    let contacts = users.contacts(&ids).await?;
    for notice in waiting {
        let contact = contacts.get(&notice.user_id.0);
        if !notices.answer(&notice, contact.and_then(recipient)).await? {
            return Ok(Done::QueueFull);
        }
    }
    Ok(Done::Some)
}

/// Nobody where there is no address.
fn recipient(UserContact { email, name, .. }: &UserContact) -> Option<Recipient> {
    (!email.is_empty()).then(|| Recipient { email: email.clone(), name: name.clone() })
}
