//! One file for each gRPC service: translate in, call one rule, translate out.

mod auth;
mod caller;
mod events;
mod password_reset;
mod revocations;
mod users;
mod watching;

use proto::auth::v1 as pb;
use service_kit::Timestamp;

use crate::model::{Role, User};

pub use auth::AuthApi;
pub use events::EventApi;
pub use users::UserApi;
pub use watching::Watchers;

impl From<User> for pb::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            username: user.username.unwrap_or_default(),
            email: user.email.unwrap_or_default(),
            name: user.name,
            roles: user.roles.iter().map(|role| role_message(role).into()).collect(),
            disabled: user.disabled,
            locked_until: user.locked_until.map(time_message),
            created_at: Some(time_message(user.created_at)),
            updated_at: Some(time_message(user.updated_at)),
        }
    }
}

fn role_message(role: Role) -> pb::Role {
    match role {
        Role::User => pb::Role::User,
        Role::Coach => pb::Role::Coach,
        Role::Admin => pb::Role::Admin,
    }
}

fn time_message(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: time.subsecond_nanos() }
}
