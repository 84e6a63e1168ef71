//! How often a call counts: one with a `request_id` that came before makes nothing new.

use aws_lc_rs::digest;
use service_kit::{
    Timestamp,
    db::{DbError, Tx},
    repeatable::REQUEST_ID_LIFETIME,
};

use crate::{
    error::Error,
    model::{Repeatable, UserId},
    store::requests::{Earlier, Requests},
};

/// The id of what the same call made before, if it did.
///
/// # Errors
/// The inner one where another call came with this `request_id`.
pub(crate) async fn find(
    tx: &mut Tx,
    requests: &Requests,
    user_id: UserId,
    repeatable: Option<&Repeatable>,
    now: Timestamp,
) -> Result<Result<Option<i64>, Error>, DbError> {
    let Some(Repeatable { request_id, body }) = repeatable else { return Ok(Ok(None)) };
    let Some(earlier) = requests.find(tx, user_id, request_id).await? else { return Ok(Ok(None)) };
    let expired = now - REQUEST_ID_LIFETIME;
    if earlier.created_at <= expired {
        requests.delete_until(tx, user_id, request_id, expired).await?;
        return Ok(Ok(None));
    }
    let is_same = earlier.fingerprint == fingerprint(body);
    Ok(if is_same { Ok(Some(earlier.made_id)) } else { Err(Error::RequestIdReused) })
}

/// Notes what a call has made, for when it comes again.
///
/// # Errors
/// A violated unique key where a call with the same `request_id` came in between.
pub(crate) async fn note(
    tx: &mut Tx,
    requests: &Requests,
    user_id: UserId,
    repeatable: Option<&Repeatable>,
    made_id: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(Repeatable { request_id, body }) = repeatable else { return Ok(()) };
    let made = Earlier { fingerprint: fingerprint(body), created_at: now, made_id };
    requests.insert(tx, user_id, request_id, &made).await
}

fn fingerprint(body: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, body).as_ref().to_vec()
}
