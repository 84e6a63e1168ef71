//! Sessions, and from where they are used.

use std::net::IpAddr;

use service_kit::{Timestamp, client::Client, client_network::ClientNetwork};

use super::UserId;

/// From where someone signs in, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// An IP address; empty where it is not known.
    pub address: String,
    /// What the client says it is, cut to 200 characters.
    pub user_agent: String,
}

impl ClientInfo {
    /// What is counted together with it; `None` where the address is not known.
    pub fn network(&self) -> Option<ClientNetwork> {
        Some(self.address.parse::<IpAddr>().ok()?.into())
    }
}

/// Random bytes of a session's id.
pub const SESSION_ID_BYTES: usize = 16;

/// Whether a text is of the form of a session's id: base64url without padding.
pub fn is_session_id(text: &str) -> bool {
    text.len() == (SESSION_ID_BYTES * 4).div_ceil(3)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

impl From<Client> for ClientInfo {
    fn from(client: Client) -> Self {
        let address = client.address.map_or_else(String::new, |address| address.to_string());
        Self { address, user_agent: client.user_agent }
    }
}

/// Where someone is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Random, in base64url.
    pub id: String,
    /// Whose it is.
    pub user_id: UserId,
    /// How often its refresh token was rotated.
    pub counter: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub idle_expires_at: Timestamp,
    /// When it ends for good.
    pub expires_at: Timestamp,
    /// When the last access token that was issued for it expires, at the latest.
    pub access_expires_at: Timestamp,
    /// From where it was begun.
    pub client: ClientInfo,
}
