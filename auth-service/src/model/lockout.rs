//! Whose failed sign-ins are counted together, and what is remembered of them.

use service_kit::Timestamp;

use super::UserId;

/// Whose failed sign-ins are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Those of strangers by one identifier. Whether an account has it makes no difference, so
    /// that counting tells neither that one has it nor that two belong to the same.
    Identifier {
        /// A keyed hash of what was typed, in 43 characters.
        tag: String,
        /// Whose it is; `None` where no account has it.
        user_id: Option<UserId>,
    },
    /// Those of one device that has signed in to an account before. (Or of one session of it,
    /// which is known as well.)
    Device {
        /// The account.
        user_id: UserId,
        /// 16 bytes in base64url; a session's id is of the same form.
        device_id: String,
    },
    /// Those of all further devices of an account, of which too many have failed to count each.
    OtherDevices(UserId),
}

impl Subject {
    /// How it is stored: at most 64 characters.
    pub fn key(&self) -> String {
        match self {
            Self::Identifier { tag, .. } => format!("identifier:{tag}"),
            Self::Device { user_id, device_id } => format!("device:{}:{device_id}", user_id.0),
            Self::OtherDevices(user_id) => format!("devices:{}", user_id.0),
        }
    }

    /// Whose account it is.
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Identifier { user_id, .. } => *user_id,
            Self::Device { user_id, .. } | Self::OtherDevices(user_id) => Some(*user_id),
        }
    }
}

/// What is remembered of the attempts of one subject. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Failures in a row since the last success or lock.
    pub failures: i64,
    /// Attempts that were let in and whose outcome is not known yet.
    pub in_flight: i64,
    /// Locks in a row since the last success.
    pub locks: i64,
    /// Until when it is locked; the epoch where it is not.
    pub locked_until: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
}

/// What fails from one client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressAction {
    /// A wrong password.
    SignIn,
    /// A registration under a name that is taken. Those that succeed are not counted: a school
    /// registers a whole class from one address. They are bounded by the hashing pool, which
    /// refuses what it cannot do within seconds; requests of one client are the gateway's to limit.
    Registration,
}

impl AddressAction {
    /// How it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Registration => "registration",
        }
    }
}

/// The failures of one client address in the current window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressFailures {
    /// How many.
    pub failures: i64,
    /// When they are forgotten.
    pub window_ends_at: Timestamp,
}
