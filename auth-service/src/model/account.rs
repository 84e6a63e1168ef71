//! Accounts and their names.

use email_address::{EmailAddress, Options};
use service_kit::{Timestamp, rejection::Violation};
use unicode_normalization::UnicodeNormalization;

use super::{Password, PasswordPolicy, Roles, keep};

/// Characters of a username.
pub const USERNAME_CHARS_MAX: usize = 64;
/// Characters of an e-mail address (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_CHARS_MAX: usize = 254;
/// Characters of a display name.
pub const NAME_CHARS_MAX: usize = 100;
/// Characters of the folded form of a username or address, as the databases store it.
const KEY_CHARS_MAX: usize = 255;

/// The id of a user; starts at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub i64);

/// A handle to sign in with: no white space, no `@`, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Reads a handle; it is kept in NFC.
    ///
    /// # Errors
    /// The violation of the field `username`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let field = "username";
        let text: String = text.nfc().collect();
        if text.contains(|c: char| c.is_whitespace() || is_invisible(c) || c == '@') {
            let description = "username must not contain white space, invisible characters or @";
            return Err(Violation::new(field, "INVALID_FORMAT", description));
        }
        let username = Self(text);
        let is_too_long = username.0.chars().count() > USERNAME_CHARS_MAX
            || username.key().chars().count() > KEY_CHARS_MAX;
        if is_too_long {
            return Err(too_long(field, USERNAME_CHARS_MAX));
        }
        Ok(username)
    }

    /// As it was given, in NFC.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is compared: without regard to case or compatibility variants.
    pub fn key(&self) -> String {
        username_key(&self.0)
    }
}

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address; it is kept in NFC.
    ///
    /// # Errors
    /// The violation of the field `email`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let field = "email";
        let text: String = text.nfc().collect();
        let key_chars = email_key(&text).chars().count();
        if text.chars().count() > EMAIL_CHARS_MAX || key_chars > KEY_CHARS_MAX {
            return Err(too_long(field, EMAIL_CHARS_MAX));
        }
        let options =
            Options::default().with_required_tld().without_display_text().without_domain_literal();
        let is_address = EmailAddress::parse_with_options(&text, options).is_ok();
        if !is_address || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let description = "email must be an address such as user@example.com";
            return Err(Violation::new(field, "INVALID_FORMAT", description));
        }
        Ok(Self(text))
    }

    /// As it was given, in NFC.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is compared: without regard to case, in the local part too.
    pub fn key(&self) -> String {
        email_key(&self.0)
    }
}

/// Control characters, and those that only direct how others are shown: two names that differ in
/// these alone look the same.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

// Folding compatibility variants keeps two handles from looking alike; a handle is only ever
// compared. Mail is sent to an address, so that nothing but case is folded there.
/// The form of a username that is compared.
pub fn username_key(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

/// The form of an address that is compared.
pub fn email_key(text: &str) -> String {
    text.nfc().collect::<String>().to_lowercase().nfc().collect()
}

/// What someone types to say who they are: a username or an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// The key of a username.
    Username(String),
    /// The key of an address.
    Email(String),
}

impl Identifier {
    /// Reads an identifier. One that no account can have is as good as any other that no account
    /// has.
    ///
    /// # Errors
    /// The violation of the field `identifier`: it is empty or too long.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let field = "identifier";
        if text.is_empty() {
            return Err(Violation::required(field));
        }
        if text.chars().count() > EMAIL_CHARS_MAX {
            return Err(too_long(field, EMAIL_CHARS_MAX));
        }
        // A NUL is more than PostgreSQL takes, and no account has one.
        let text = text.replace('\0', "\u{fffd}");
        Ok(if text.contains('@') {
            Self::Email(email_key(&text))
        } else {
            Self::Username(username_key(&text))
        })
    }
}

/// A name to display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name; it may be empty.
    ///
    /// # Errors
    /// The violation of the field `name`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let field = "name";
        let text: String = text.nfc().collect();
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(too_long(field, NAME_CHARS_MAX));
        }
        if text.contains(char::is_control) {
            let description = "name must not contain control characters";
            return Err(Violation::new(field, "INVALID_FORMAT", description));
        }
        Ok(Self(text))
    }

    /// As it was given, in NFC.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn too_long(field: &'static str, chars_max: usize) -> Violation {
    Violation::new(field, "TOO_LONG", format!("{field} must be at most {chars_max} characters"))
}

/// The names of an account that is to be made. At least one of username and e-mail is there.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The handle.
    pub username: Option<Username>,
    /// The address.
    pub email: Option<Email>,
    /// The display name.
    pub name: Name,
    /// The password.
    pub password: Password,
}

impl NewAccount {
    /// Reads the fields of a registration; an empty one is not given. A `username` with white
    /// space in it, beside an `email`, is a display name: some clients know no other.
    ///
    /// # Errors
    /// Every violation at once.
    pub fn parse(
        username: &str,
        email: &str,
        name: &str,
        password: &str,
        policy: &PasswordPolicy,
    ) -> Result<Self, Vec<Violation>> {
        let display_name = username.trim();
        let is_display_name = username.contains(char::is_whitespace) && !display_name.is_empty();
        let (username, name) = if is_display_name && !email.is_empty() && name.is_empty() {
            ("", display_name)
        } else {
            (username, name)
        };
        let mut violations = Vec::new();
        if username.is_empty() && email.is_empty() {
            let description = "username or email is required";
            violations.push(Violation::new("username", "REQUIRED", description));
        }
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let username = given(username).map(|text| Username::parse(&text)).transpose();
        let email = given(email).map(|text| Email::parse(&text)).transpose();
        let username = keep(username, &mut violations);
        let email = keep(email, &mut violations);
        let name = keep(Name::parse(name), &mut violations);
        let names = username.iter().flatten().map(Username::as_str);
        let names: Vec<_> = names.chain(email.iter().flatten().map(Email::as_str)).collect();
        let password = keep(policy.parse("password", password, &names), &mut violations);
        match (username, email, name, password) {
            (Some(username), Some(email), Some(name), Some(password)) if violations.is_empty() => {
                Ok(Self { username, email, name, password })
            }
            _ => Err(violations),
        }
    }
}

/// What is to change of an account: what is `None` stays.
#[expect(clippy::option_option, reason = "stays, goes, or becomes another")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChanges {
    /// The handle, or none from now on.
    pub username: Option<Option<Username>>,
    /// The address, or none from now on.
    pub email: Option<Option<Email>>,
    /// The display name.
    pub name: Option<Name>,
    /// All roles.
    pub roles: Option<Roles>,
    /// Whether signing in is barred.
    pub disabled: Option<bool>,
}

/// The beginning of a username or an address, as accounts are searched for.
///
/// # Errors
/// The violation of the field `query`: it is too long.
pub fn parse_query(text: &str) -> Result<String, Violation> {
    if text.chars().count() > EMAIL_CHARS_MAX {
        return Err(too_long("query", EMAIL_CHARS_MAX));
    }
    Ok(username_key(&text.replace('\0', "\u{fffd}")))
}

/// An account. Its password's hash is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Assigned at registration.
    pub id: UserId,
    /// The handle.
    pub username: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The display name; may be empty.
    pub name: String,
    /// What the user may do.
    pub roles: Roles,
    /// Whether signing in is barred.
    pub disabled: bool,
    /// Until when strangers cannot try passwords by one of its names, the latest of them; filled
    /// in where it is shown.
    pub locked_until: Option<Timestamp>,
    /// How often the password was replaced: what was handed out to devices before is void.
    pub password_changes: i64,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// What the account is called by, and its password must not be.
    pub fn names(&self) -> Vec<&str> {
        self.username.iter().chain(&self.email).map(String::as_str).collect()
    }

    /// Whether `email_key` is the key of its address.
    pub fn has_email(&self, key: &str) -> bool {
        self.email.as_deref().is_some_and(|email| email_key(email) == key)
    }

    /// What may be typed to sign in to the account.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier> {
        let username = self.username.as_deref().map(username_key).map(Identifier::Username);
        let email = self.email.as_deref().map(email_key).map(Identifier::Email);
        username.into_iter().chain(email)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn policy() -> PasswordPolicy {
        PasswordPolicy { chars_min: 8, blocklist: Arc::default() }
    }

    fn reasons(parsed: Result<NewAccount, Vec<Violation>>) -> Vec<(String, String)> {
        let violations = parsed.expect_err("violations");
        violations
            .into_iter()
            .map(|one| (one.field.into_owned(), one.reason.into_owned()))
            .collect()
    }

    #[test]
    fn reports_every_violation_of_a_registration_at_once() {
        let parsed = NewAccount::parse("a b", "nobody", &"n".repeat(101), "short", &policy());
        let expected = [
            ("username", "INVALID_FORMAT"),
            ("email", "INVALID_FORMAT"),
            ("name", "TOO_LONG"),
            ("password", "TOO_SHORT"),
        ];
        let expected = expected.map(|(field, reason)| (field.to_owned(), reason.to_owned()));
        assert_eq!(reasons(parsed), expected);
    }

    #[test]
    fn needs_a_username_or_an_address() {
        let parsed = NewAccount::parse("", "", "", "", &policy());
        let expected = [("username", "REQUIRED"), ("password", "REQUIRED")];
        let expected = expected.map(|(field, reason)| (field.to_owned(), reason.to_owned()));
        assert_eq!(reasons(parsed), expected);
    }

    #[test]
    fn refuses_a_username_of_which_nothing_is_seen() {
        for blank in ["  ", "\u{200b}", "a\u{202e}b"] {
            let parsed = NewAccount::parse(blank, "a@b.cd", "", "securepassword", &policy());
            let expected = ("username".to_owned(), "INVALID_FORMAT".to_owned());
            assert_eq!(reasons(parsed), [expected], "{blank:?}");
        }
    }

    #[test]
    fn takes_a_username_with_white_space_beside_an_address_as_the_name() {
        let account =
            NewAccount::parse("John Doe", "john@example.com", "", "securepassword", &policy())
                .expect("as document 003 registers");
        assert_eq!(account.username, None);
        assert_eq!(account.name.as_str(), "John Doe");
    }

    #[test]
    fn compares_names_without_regard_to_case_and_form() {
        let key = |text| Username::parse(text).expect("a username").key();
        assert_eq!(key("Jos\u{e9}"), key("JOSE\u{301}"));
        assert_eq!(key("\u{ff41}bc"), key("abc"));
        let email = Email::parse("User@Example.COM").expect("an address");
        let identifier = Identifier::parse("uSER@eXAMPLE.com").expect("an identifier");
        assert_eq!(Identifier::Email(email.key()), identifier);
    }

    #[test]
    fn refuses_names_that_fold_to_more_than_is_stored() {
        // One character that NFKC turns into eighteen.
        assert!(Username::parse(&"\u{fdfa}".repeat(20)).is_err());
    }

    #[test]
    fn refuses_what_is_no_address() {
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in ["a", "a@", "@b.c", "a b@c.de", "A <a@b.cd>", "a@[127.0.0.1]", "a@b", &long] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        for good in ["a@b.cd", "o'neil+tag@example.co.uk", "用户@例子.公司"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
    }
}
