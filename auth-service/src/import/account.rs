//! One row as an account.

use service_kit::{Timestamp, rejection::Violation};

use super::{BadRow, rows::Row};
use crate::{
    model::{Email, Name, Role, Roles, Username, keep},
    passwords::StoredHash,
    store::{ExistingAccount, ImportedRow},
};

/// An account to be imported.
pub(super) struct Account {
    /// Where its row begins, from 1.
    pub(super) line: u64,
    pub(super) username: Option<Username>,
    pub(super) email: Option<Email>,
    name: Name,
    pub(super) password_hash: String,
    roles: Roles,
    disabled: bool,
    created_at: Timestamp,
}

impl Account {
    /// Reads a row; `now` is when an account was made of which the row does not tell.
    ///
    /// # Errors
    /// Every violation of the row.
    pub(super) fn parse(row: Row, now: Timestamp) -> Result<Self, BadRow> {
        let Row { line, username, email, name, password_hash, roles, disabled, created_at, .. } =
            &row;
        let mut violations = row.violations.clone();
        if violations.iter().any(|one| one.field == "row") {
            return Err(BadRow { line: *line, violations });
        }
        if username.is_empty() && email.is_empty() && violations.is_empty() {
            let description = "username or email is required";
            violations.push(Violation::new("username", "REQUIRED", description));
        }
        let username = (!username.is_empty()).then(|| Username::parse(username)).transpose();
        let email = (!email.is_empty()).then(|| Email::parse(email)).transpose();
        let username = keep(username, &mut violations).flatten();
        let email = keep(email, &mut violations).flatten();
        let name = keep(Name::parse(name), &mut violations);
        let checked = if violations.iter().any(|one| one.field == "password_hash") {
            None
        } else {
            keep(check_hash(password_hash), &mut violations)
        };
        let roles = keep(parse_roles(roles), &mut violations);
        let disabled = keep(parse_flag(disabled), &mut violations);
        let created_at = match created_at.as_str() {
            "" => Some(now),
            text => keep(parse_time(text, now), &mut violations),
        };
        match (name, checked, roles, disabled, created_at) {
            (Some(name), Some(()), Some(roles), Some(disabled), Some(created_at))
                if violations.is_empty() =>
            {
                let (line, password_hash) = (*line, row.password_hash);
                Ok(Self { line, username, email, name, password_hash, roles, disabled, created_at })
            }
            _ => Err(BadRow { line: *line, violations }),
        }
    }

    /// As it is stored.
    pub(super) fn row(&self) -> ImportedRow<'_> {
        ImportedRow {
            username: self.username.as_ref(),
            email: self.email.as_ref(),
            name: &self.name,
            password_hash: &self.password_hash,
            roles: self.roles,
            disabled: self.disabled,
            created_at: self.created_at,
        }
    }

    /// The names that another account has, each as a violation.
    pub(super) fn shares_names(&self, existing: &ExistingAccount) -> Vec<Violation> {
        let mut shared = Vec::new();
        if self.username.is_some() && existing.username_key == self.username_key() {
            let description = "an account with another password has the username";
            shared.push(Violation::new("username", "USERNAME_TAKEN", description));
        }
        if self.email.is_some() && existing.email_key == self.email_key() {
            let description = "an account with another password has the e-mail address";
            shared.push(Violation::new("email", "EMAIL_TAKEN", description));
        }
        shared
    }

    /// Whether the other account has all names of this one, and no others.
    pub(super) fn has_names_of(&self, existing: &ExistingAccount) -> bool {
        existing.username_key == self.username_key() && existing.email_key == self.email_key()
    }

    fn username_key(&self) -> Option<String> {
        self.username.as_ref().map(Username::key)
    }

    fn email_key(&self) -> Option<String> {
        self.email.as_ref().map(Email::key)
    }
}

fn check_hash(text: &str) -> Result<(), Violation> {
    let field = "password_hash";
    if text.is_empty() {
        return Err(Violation::required(field));
    }
    match StoredHash::parse(text) {
        Ok(_) => Ok(()),
        Err(why) => Err(Violation::new(field, why.reason(), format!("{field} {why}"))),
    }
}

fn parse_roles(text: &str) -> Result<Roles, Violation> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|'));
    let words = words.filter(|word| !word.is_empty());
    let roles = words.map(|word| word.to_lowercase().parse::<Role>()).collect::<Result<Roles, _>>();
    match roles {
        Ok(roles) if roles == Roles::default() => Ok(Roles::from_iter([Role::User])),
        Ok(roles) => Ok(roles),
        Err(error) => Err(Violation::new(
            "roles",
            "UNKNOWN_ROLE",
            format!("roles has a word that is {error}"),
        )),
    }
}

fn parse_flag(text: &str) -> Result<bool, Violation> {
    match text.to_lowercase().as_str() {
        "" | "false" | "0" | "no" => Ok(false),
        "true" | "1" | "yes" => Ok(true),
        _ => {
            let description = "disabled must be true or false, 1 or 0, yes or no";
            Err(Violation::new("disabled", "INVALID_FORMAT", description))
        }
    }
}

fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, Violation> {
    let field = "created_at";
    let micros = if let Ok(seconds) = text.parse::<i64>() {
        Some(Timestamp::from_seconds(seconds).micros())
    } else if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        Some(instant.as_microsecond())
    } else {
        let utc = |local: jiff::civil::DateTime| local.to_zoned(jiff::tz::TimeZone::UTC).ok();
        text.parse().ok().and_then(utc).map(|zoned| zoned.timestamp().as_microsecond())
    };
    let Some(micros) = micros else {
        let description = "created_at must be as 2024-12-31T23:59:59Z, or seconds since 1970";
        return Err(Violation::new(field, "INVALID_FORMAT", description));
    };
    let time = Timestamp::from_micros(micros);
    if micros < 0 || time > now {
        let description = "created_at must lie between 1970 and now";
        return Err(Violation::new(field, "OUT_OF_RANGE", description));
    }
    Ok(time)
}
