//! `auth.v1.UserService`.

use auth_client::Caller;
use proto::auth::v1::{
    self as pb, BatchGetUsersRequest, BatchGetUsersResponse, DeleteUserRequest, DeleteUserResponse,
    GetUserRequest, GetUserResponse, ListSessionsRequest, ListSessionsResponse, ListUsersRequest,
    ListUsersResponse, RevokeSessionRequest, RevokeSessionResponse, UnlockUserRequest,
    UnlockUserResponse, UpdateUserRequest, UpdateUserResponse, user_service_server::UserService,
};
use service_kit::{page::Page, rejection::Violation, settings::ServiceTokens};
use tonic::{Request, Response, Status, async_trait};

use super::{caller, time_message};
use crate::{
    error::Error,
    model::{
        Email, Name, Password, PasswordPolicy, Role, Roles, Session, User, UserChanges, UserId,
        Username, keep, parse_query,
    },
    permissions::Action,
    sessions::Sessions,
    users::Users,
};

/// Accounts that one batch may name: as many as a page may list.
const BATCH_MAX: usize = 1000;

/// The service over its rules.
#[derive(Debug)]
pub struct UserApi {
    /// Managing accounts.
    pub users: Users,
    /// Who calls.
    pub sessions: Sessions,
    /// Which services may ask for batches.
    pub service_tokens: ServiceTokens,
    /// What new passwords must be like.
    pub password_policy: PasswordPolicy,
}

#[async_trait]
impl UserService for UserApi {
    async fn get_user(
        &self,
        request: Request<GetUserRequest>,
    ) -> Result<Response<GetUserResponse>, Status> {
        let (caller, _) = caller::user(&self.sessions, &request).await?;
        let user = self.users.get(&caller, user_id(request.get_ref().user_id)?).await?;
        Ok(Response::new(GetUserResponse { user: Some(user.into()) }))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (caller, _) = caller::user(&self.sessions, &request).await?;
        let ListUsersRequest { page_size, page_token, query } = request.into_inner();
        let (prefix, page) = match (parse_query(&query), Page::parse(page_size, &page_token)) {
            (Ok(prefix), Ok(page)) => (prefix, page),
            (prefix, page) => {
                let violations = prefix.err().into_iter().chain(page.err().into_iter().flatten());
                return Err(Error::Invalid(violations.collect()).into());
            }
        };
        let (users, next_page_token) = self.users.list(&caller, &prefix, page).await?;
        let users = users.into_iter().map(Into::into).collect();
        Ok(Response::new(ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<UpdateUserResponse>, Status> {
        let (active, client) = caller::account(&self.sessions, &request).await?;
        let request = request.into_inner();
        let (changes, passwords) = self.parse_update(active.user(), &request)?;
        let caller = Caller::from(&*active.token);
        let id = user_id(request.user.unwrap_or_default().id)?;
        let password = match passwords {
            Some([current, new]) => {
                let id = id.unwrap_or(UserId(caller.user_id));
                Some(self.sessions.prepare_password(&caller, id, current, new, &client).await?)
            }
            None => None,
        };
        let user = self.users.update(&caller, id, &changes, password.as_ref(), &client).await?;
        Ok(Response::new(UpdateUserResponse { user: Some(user.into()) }))
    }

    async fn delete_user(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<DeleteUserResponse>, Status> {
        let (caller, client) = caller::user(&self.sessions, &request).await?;
        let DeleteUserRequest { user_id: id, current_password, as_administrator } =
            request.into_inner();
        let id = match user_id(id)? {
            None if !current_password.is_empty() => UserId(caller.user_id),
            id => id.ok_or_else(|| Error::Invalid(vec![Violation::required("user_id")]))?,
        };
        if !current_password.is_empty() {
            let current = Password::parse("current_password", &current_password)
                .map_err(|violation| Error::Invalid(vec![violation]))?;
            self.sessions.confirm_password(&caller, current, &client).await?;
        }
        let action =
            if as_administrator { Action::DeleteUserAsAdministrator } else { Action::DeleteUser };
        self.users.delete(&caller, action, id, &client).await?;
        Ok(Response::new(DeleteUserResponse {}))
    }

    async fn unlock_user(
        &self,
        request: Request<UnlockUserRequest>,
    ) -> Result<Response<UnlockUserResponse>, Status> {
        let (caller, client) = caller::user(&self.sessions, &request).await?;
        let id = user_id(request.get_ref().user_id)?;
        let id = id.ok_or_else(|| Error::Invalid(vec![Violation::required("user_id")]))?;
        let user = self.users.unlock(&caller, id, &client).await?;
        Ok(Response::new(UnlockUserResponse { user: Some(user.into()) }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (caller, _) = caller::user(&self.sessions, &request).await?;
        let id = user_id(request.get_ref().user_id)?;
        let sessions = self.users.sessions(&caller, id).await?;
        let sessions = sessions.into_iter().map(|one| session_message(one, &caller)).collect();
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let (caller, client) = caller::user(&self.sessions, &request).await?;
        let session_id = &request.get_ref().session_id;
        if session_id.is_empty() {
            return Err(Error::Invalid(vec![Violation::required("session_id")]).into());
        }
        self.users.revoke_session(&caller, session_id, &client).await?;
        Ok(Response::new(RevokeSessionResponse {}))
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        caller::service(&self.service_tokens, &request)?;
        let ids = parse_batch(request.into_inner().user_ids).map_err(invalid)?;
        let users = self.users.batch(ids).await?.into_iter().map(contact_message).collect();
        Ok(Response::new(BatchGetUsersResponse { users }))
    }
}

fn parse_batch(ids: Vec<i64>) -> Result<Vec<UserId>, Violation> {
    let out_of_range =
        |description: String| Violation::new("user_ids", "OUT_OF_RANGE", description);
    if ids.len() > BATCH_MAX {
        return Err(out_of_range(format!("user_ids are more than {BATCH_MAX}")));
    }
    if ids.iter().any(|id| *id < 1) {
        return Err(out_of_range("user_ids must be at least 1".to_owned()));
    }
    Ok(ids.into_iter().map(UserId).collect())
}

fn invalid(violation: Violation) -> Error {
    Error::Invalid(vec![violation])
}

fn contact_message(user: User) -> pb::UserContact {
    pb::UserContact {
        user_id: user.id.0,
        username: user.username.unwrap_or_default(),
        email: user.email.unwrap_or_default(),
        name: user.name,
    }
}

impl UserApi {
    /// The changes, and the current and the new password where there is a new one.
    fn parse_update(
        &self,
        caller: &User,
        request: &UpdateUserRequest,
    ) -> Result<(UserChanges, Option<[Password; 2]>), Error> {
        let UpdateUserRequest { user, update_mask, current_password, new_password } = request;
        let user = user.clone().unwrap_or_default();
        let paths = update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
        let mut violations = Vec::new();
        let changes = parse_changes(&user, paths, &mut violations);
        if new_password.is_empty() {
            if paths.is_empty() {
                violations.push(Violation::required("update_mask"));
            }
            return if violations.is_empty() {
                Ok((changes, None))
            } else {
                Err(violations.into())
            };
        }
        // Those of now and those to be.
        let names = caller.names().into_iter().chain([&*user.username, &*user.email]);
        let names: Vec<_> = names.collect();
        let current = keep(Password::parse("current_password", current_password), &mut violations);
        let new = self.password_policy.parse("new_password", new_password, &names);
        match (current, keep(new, &mut violations)) {
            (Some(current), Some(new)) if violations.is_empty() => {
                Ok((changes, Some([current, new])))
            }
            _ => Err(violations.into()),
        }
    }
}

/// 0 is the caller.
fn user_id(id: i64) -> Result<Option<UserId>, Error> {
    if id < 0 {
        let violation = Violation::new("user_id", "OUT_OF_RANGE", "user_id is negative");
        return Err(Error::Invalid(vec![violation]));
    }
    Ok((id > 0).then_some(UserId(id)))
}

fn parse_changes(
    user: &pb::User,
    paths: &[String],
    violations: &mut Vec<Violation>,
) -> UserChanges {
    let mut changes = UserChanges::default();
    for path in paths {
        match path.as_str() {
            "username" if user.username.is_empty() => changes.username = Some(None),
            "username" => {
                changes.username = keep(Username::parse(&user.username), violations).map(Some);
            }
            "email" if user.email.is_empty() => changes.email = Some(None),
            "email" => changes.email = keep(Email::parse(&user.email), violations).map(Some),
            "name" => changes.name = keep(Name::parse(&user.name), violations),
            "roles" => changes.roles = keep(parse_roles(&user.roles), violations),
            "disabled" => changes.disabled = Some(user.disabled),
            _ => {
                let description = "update_mask may name username, email, name, roles and disabled";
                violations.push(Violation::new("update_mask", "UNKNOWN_PATH", description));
            }
        }
    }
    changes
}

fn parse_roles(roles: &[i32]) -> Result<Roles, Violation> {
    let known = |role: &i32| match pb::Role::try_from(*role) {
        Ok(pb::Role::User) => Some(Role::User),
        Ok(pb::Role::Coach) => Some(Role::Coach),
        Ok(pb::Role::Admin) => Some(Role::Admin),
        Ok(pb::Role::Unspecified) | Err(_) => None,
    };
    let all: Option<Vec<Role>> = roles.iter().map(known).collect();
    match all {
        Some(all) if !all.is_empty() => Ok(all.into_iter().collect()),
        _ => {
            let description = "roles must be one or more of ROLE_USER, ROLE_COACH, ROLE_ADMIN";
            Err(Violation::new("roles", "INVALID_VALUE", description))
        }
    }
}

fn session_message(session: Session, caller: &Caller) -> pb::Session {
    pb::Session {
        current: session.id == caller.session_id,
        session_id: session.id,
        created_at: Some(time_message(session.created_at)),
        last_used_at: Some(time_message(session.last_used_at)),
        expires_at: Some(time_message(session.idle_expires_at)),
        client_address: session.client.address,
        user_agent: session.client.user_agent,
    }
}
