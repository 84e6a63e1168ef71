//! What a user may do, as tokens and REST bodies spell it.

use std::{fmt, str::FromStr};

/// Grants a set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Anyone with an account.
    User = 0b001,
    /// May run programs and see their participants.
    Coach = 0b010,
    /// May manage accounts.
    Admin = 0b100,
}

impl Role {
    /// Every role, ascending.
    pub const ALL: [Self; 3] = [Self::User, Self::Coach, Self::Admin];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Coach => "coach",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of user, coach, admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(UnknownRole)
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// The set with these bits, one for each [`Role`]; `None` where a bit is no role's.
    pub fn from_bits(bits: i64) -> Option<Self> {
        let all = Role::ALL.into_iter().collect::<Self>();
        u8::try_from(bits).ok().filter(|bits| bits & !all.0 == 0).map(Self)
    }

    /// One bit for each role: the form in which a set is stored.
    pub fn bits(self) -> i64 {
        self.0.into()
    }

    /// Whether `role` is in the set.
    pub fn contains(self, role: Role) -> bool {
        self.0 & role as u8 != 0
    }

    /// The roles in the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_storage_and_refuses_unknown_bits() {
        let roles: Roles = [Role::Admin, Role::User].into_iter().collect();
        assert_eq!(Roles::from_bits(roles.bits()), Some(roles));
        assert_eq!(roles.iter().collect::<Vec<_>>(), [Role::User, Role::Admin]);
        assert_eq!(Roles::from_bits(8), None);
        assert_eq!(Roles::from_bits(-1), None);
    }
}
