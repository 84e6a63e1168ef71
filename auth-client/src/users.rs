//! Whose accounts these are: names and addresses, asked of auth-service when they are needed and
//! kept nowhere else.

use std::{collections::HashMap, time::Duration};

use proto::auth::v1::{BatchGetUsersRequest, UserContact, user_service_client::UserServiceClient};
use service_kit::{channel::RpcChannel, settings::ServiceTokens};
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::bearer::service_token;

/// Accounts that one call may name.
const BATCH_MAX: usize = 1000;
/// How long one call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);

/// The accounts of auth-service, for a service that has the service token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserDirectory {
    users: UserServiceClient<RpcChannel>,
    service_token: Option<AsciiMetadataValue>,
}

impl UserDirectory {
    /// The accounts of the auth-service behind `auth`.
    pub fn new(auth: RpcChannel, service_tokens: &ServiceTokens) -> Self {
        let service_token = service_token(service_tokens);
        Self { users: UserServiceClient::new(auth), service_token }
    }

    /// Those of `user_ids` that have an account, by id. One call for each thousand; a call takes
    /// five seconds at most.
    ///
    /// # Errors
    /// Why auth-service could not tell: FAILED_PRECONDITION where no service token is set.
    pub async fn contacts(&self, user_ids: &[i64]) -> Result<HashMap<i64, UserContact>, Status> {
        let Some(token) = &self.service_token else {
            return Err(Status::failed_precondition("SERVICE_TOKEN is not set"));
        };
        let mut contacts = HashMap::with_capacity(user_ids.len());
        for batch in user_ids.chunks(BATCH_MAX) {
            let mut request = Request::new(BatchGetUsersRequest { user_ids: batch.to_vec() });
            request.metadata_mut().insert("authorization", token.clone());
            request.set_timeout(CALL_TIME_MAX);
            let answer = self.users.clone().batch_get_users(request).await?.into_inner();
            contacts.extend(answer.users.into_iter().map(|contact| (contact.user_id, contact)));
        }
        Ok(contacts)
    }
}
