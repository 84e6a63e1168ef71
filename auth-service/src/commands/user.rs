//! `auth-service user create|list|set-role|set-password|unlock`.

use std::io::Read;

use clap::{Args, Subcommand};
use service_kit::{
    StartError,
    db::Db,
    page::{PAGE_SIZE_MAX, Page},
    rejection::{Rejection, Violation},
};
use zeroize::Zeroizing;

use super::table::{row, time};
use crate::{
    Config,
    accounts::Accounts,
    error::Error,
    model::{
        ClientInfo, Identifier, NewAccount, PASSWORD_BYTES_MAX, Role, User, UserChanges,
        parse_query,
    },
    passwords::Passwords,
    store::{MIGRATIONS, Maker, Store},
};

const WIDTHS: [usize; 7] = [6, 24, 32, 18, 9, 20, 0];

/// What to do with accounts.
#[derive(Subcommand, Clone, Debug)]
pub enum UserCommand {
    /// Makes an account; the first administrator is made this way.
    Create {
        /// The handle to sign in with.
        #[arg(long, default_value = "")]
        username: String,
        /// The e-mail address.
        #[arg(long, default_value = "")]
        email: String,
        /// The name to display.
        #[arg(long, default_value = "")]
        name: String,
        /// What the user may do: user, coach, admin; may be given more than once.
        #[arg(long = "role", default_value = "user")]
        roles: Vec<Role>,
        #[command(flatten)]
        password: PasswordInput,
    },
    /// Lists accounts by id.
    List {
        /// Only those whose username or e-mail address begins with this.
        #[arg(default_value = "")]
        query: String,
        /// Only those with a greater id.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// Gives a user these roles and no others. Access tokens with the old ones end.
    SetRole {
        /// Username or e-mail address.
        user: String,
        /// user, coach, admin: one or more.
        #[arg(required = true)]
        roles: Vec<Role>,
    },
    /// Lifts a lock that too many wrong passwords have caused.
    Unlock {
        /// Username or e-mail address.
        user: String,
    },
    /// Replaces a password, ends all sessions of the user and lifts a lock.
    SetPassword {
        /// Username or e-mail address.
        user: String,
        #[command(flatten)]
        password: PasswordInput,
    },
}

/// Where a password comes from: never from an argument, which others can see.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct PasswordInput {
    /// Reads the password from standard input; a line break at the end is not part of it.
    #[arg(long, required = true)]
    password_stdin: bool,
}

fn read_password(input: impl Read) -> Result<Zeroizing<String>, StartError> {
    // Room for the longest, a line break and one more character, so that too long a password is
    // seen as such.
    const LIMIT: usize = PASSWORD_BYTES_MAX + 2 + char::MAX.len_utf8();
    let failed = |error: String| StartError::other(format!("standard input: {error}"));
    // As large as it gets: a buffer that moves leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT));
    let read = input.take(LIMIT as u64).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    let text = match str::from_utf8(&bytes) {
        // The limit has cut a character in two.
        Err(error) if bytes.len() == LIMIT && error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()])
        }
        read => read,
    };
    let text = text.map_err(|error| failed(error.to_string()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

impl UserCommand {
    /// Does it and returns what is to be printed.
    ///
    /// # Errors
    /// In a line for a person.
    pub async fn execute(self, config: &Config) -> Result<String, StartError> {
        let db = Db::open("AUTH_DATABASE_URL", &config.database, MIGRATIONS).await?;
        let store = Store::new(db.clone());
        let done = match self {
            Self::Create { username, email, name, roles, password: _ } => {
                let password = read_password(std::io::stdin())?;
                let parsed = NewAccount::parse(
                    &username,
                    &email,
                    &name,
                    &password,
                    &config.password_policy().await?,
                );
                create(config, store, parsed, &roles).await
            }
            Self::List { query, after } => list(&store, &query, after).await,
            Self::SetRole { user, roles } => set_roles(config, store, &user, &roles).await,
            Self::Unlock { user } => unlock(config, store, &user).await,
            Self::SetPassword { user, password: _ } => {
                set_password(config, store, &user, &read_password(std::io::stdin())?).await
            }
        };
        db.close().await;
        done
    }
}

async fn create(
    config: &Config,
    store: Store,
    parsed: Result<NewAccount, Vec<Violation>>,
    roles: &[Role],
) -> Result<String, StartError> {
    let new = parsed.map_err(|violations| line(Error::Invalid(violations)))?;
    let passwords = Passwords::start(&config.passwords, &config.entropy)?;
    let (lockout, clock) = (config.lockout(store.clone()), config.clock.clone());
    let accounts = Accounts::new(store, passwords, lockout, &config.secret_key, clock);
    let roles = roles.iter().copied().collect();
    let user =
        accounts.create(new, roles, Maker::Operator, &ClientInfo::default()).await.map_err(line)?;
    Ok(format!("made user {}: {}\n", user.id.0, words(&user)))
}

async fn list(store: &Store, query: &str, after: i64) -> Result<String, StartError> {
    let prefix = parse_query(query).map_err(|one| line(Error::Invalid(vec![one])))?;
    let page = Page { size: PAGE_SIZE_MAX, after_id: after.max(0) };
    let mut users = store.users(&prefix, page).await.map_err(|error| line(error.into()))?;
    let more = !page.cut(&mut users, |user| user.id.0).is_empty();
    let head = ["ID", "USERNAME", "EMAIL", "ROLES", "DISABLED", "CREATED", "NAME"];
    let mut table = row(head, WIDTHS);
    for user in &users {
        table += &row(
            [
                &user.id.0.to_string(),
                user.username.as_deref().unwrap_or("-"),
                user.email.as_deref().unwrap_or("-"),
                &words(user),
                if user.disabled { "yes" } else { "no" },
                &time(Some(user.created_at))?,
                &user.name,
            ],
            WIDTHS,
        );
    }
    if let (true, Some(last)) = (more, users.last()) {
        table.push_str("more: auth-service user list --after ");
        table.push_str(&last.id.0.to_string());
        table.push('\n');
    }
    Ok(table)
}

async fn set_roles(
    config: &Config,
    store: Store,
    user: &str,
    roles: &[Role],
) -> Result<String, StartError> {
    let (user, _) = find(&store, user).await?;
    let changes =
        UserChanges { roles: Some(roles.iter().copied().collect()), ..UserChanges::default() };
    let users = config.users(store);
    let changed = users.change(user.id, &changes).await;
    let changed = changed.map_err(line)?;
    Ok(format!("user {} is now: {}\n", changed.id.0, words(&changed)))
}

async fn unlock(config: &Config, store: Store, user: &str) -> Result<String, StartError> {
    let (user, _) = find(&store, user).await?;
    let lifted = config.lockout(store).unlock(&user, None, &ClientInfo::default()).await;
    let was = if lifted.map_err(line)? { "is no longer locked" } else { "was not locked" };
    Ok(format!("user {} {was}\n", user.id.0))
}

async fn set_password(
    config: &Config,
    store: Store,
    user: &str,
    password: &str,
) -> Result<String, StartError> {
    let (user, old_hash) = find(&store, user).await?;
    let policy = config.password_policy().await?;
    let parsed = policy.parse("password", password, &user.names());
    let password = parsed.map_err(|one| line(Error::Invalid(vec![one])))?;
    let passwords = Passwords::start(&config.passwords, &config.entropy)?;
    let hash = passwords.hash(password).await.map_err(line)?;
    let ended = config.users(store).set_password(&user, &old_hash, &hash).await;
    ended.map_err(line)?;
    Ok(format!("user {} has a new password and is signed out everywhere\n", user.id.0))
}

async fn find(store: &Store, user: &str) -> Result<(User, String), StartError> {
    let identifier = Identifier::parse(user).map_err(|one| line(Error::Invalid(vec![one])))?;
    let found = store.credentials(&identifier).await.map_err(|error| line(error.into()))?;
    found.ok_or_else(|| line(Error::UserNotFound))
}

fn words(user: &User) -> String {
    user.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")
}

/// An error in a line for a person, as a client of the service would see it.
fn line(error: Error) -> StartError {
    StartError::other(Rejection::from(error).message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::PasswordPolicy;

    #[test]
    fn too_long_a_password_is_told_from_one_that_is_no_text() {
        let policy = PasswordPolicy { chars_min: 8, blocklist: Arc::default() };
        let reason = |input: &[u8]| {
            let text = read_password(input).map_err(|error| error.to_string())?;
            let parsed = policy.parse("password", &text, &[]);
            parsed.map(drop).map_err(|violation| violation.reason.into_owned())
        };
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(reason(longest.as_bytes()), Ok(()));
        assert_eq!(reason(format!("{longest}\r\n").as_bytes()), Ok(()));
        for character in ["x", "é", "☃", "😀"] {
            for shift in ["", "x", "xx", "xxx"] {
                let long = format!("{shift}{}", character.repeat(PASSWORD_BYTES_MAX + 1));
                let cut = &long[..long.floor_char_boundary(PASSWORD_BYTES_MAX + 7)];
                for long in [&long, cut] {
                    assert_eq!(reason(long.as_bytes()), Err("TOO_LONG".to_owned()), "{character}");
                }
            }
        }
        for odd in [&b"password \xff"[..], b"password \xe2\x98"] {
            let told = reason(odd).expect_err("refused");
            assert!(told.starts_with("standard input: "), "{told}");
        }
    }
}
