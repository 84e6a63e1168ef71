//! Passwords in clear, on their way to the hashing pool.

use std::{fmt, sync::Arc};

use service_kit::rejection::Violation;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::blocklist::{Blocklist, fold};

/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A password in clear, in NFC (NIST SP 800-63B rev. 4 section 3.1.1.2). Wiped from memory when
/// dropped, never shown.
#[derive(Clone)]
pub struct Password {
    nfc: Zeroizing<String>,
    /// What was typed, where that is not NFC: other programs hashed it as it came.
    typed: Option<Zeroizing<String>>,
}

impl Password {
    /// Reads a password that someone claims to know: only its size is limited.
    ///
    /// # Errors
    /// The violation of `field`: it is empty or too long.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::required(field));
        }
        let nfc: Zeroizing<String> = Zeroizing::new(text.nfc().collect());
        // The larger of both forms: neither is work for nothing.
        if text.len().max(nfc.len()) > PASSWORD_BYTES_MAX {
            let description = format!("{field} must be at most {PASSWORD_BYTES_MAX} bytes");
            return Err(Violation::new(field, "TOO_LONG", description));
        }
        let typed = (text != nfc.as_str()).then(|| Zeroizing::new(text.to_owned()));
        Ok(Self { nfc, typed })
    }

    /// What is hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.nfc.as_bytes()
    }

    /// What is verified, one after the other: one form, or the two of a password that was not
    /// typed in NFC.
    pub fn forms(&self) -> impl Iterator<Item = &[u8]> {
        let forms = [Some(&self.nfc), self.typed.as_ref()];
        forms.into_iter().flatten().map(|form| form.as_bytes())
    }

    /// In NFC.
    pub(super) fn as_str(&self) -> &str {
        &self.nfc
    }

    fn chars(&self) -> usize {
        self.nfc.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What a new password must be like (NIST SP 800-63B rev. 4 section 3.1.1.2: a minimal length,
/// a list of what is refused, no rules of composition).
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    /// Characters of a new password, after normalisation.
    pub chars_min: usize,
    /// What is refused.
    pub blocklist: Arc<Blocklist>,
}

impl PasswordPolicy {
    /// Reads a password that someone wants to have, who is called one of `names`: a password that
    /// is one of them would be the first guess.
    ///
    /// # Errors
    /// The violation of `field`.
    pub fn parse(
        &self,
        field: &'static str,
        text: &str,
        names: &[&str],
    ) -> Result<Password, Violation> {
        let password = Password::parse(field, text)?;
        if password.chars() < self.chars_min {
            let description = format!("{field} must be at least {} characters", self.chars_min);
            return Err(Violation::new(field, "TOO_SHORT", description));
        }
        let refused = |why| Violation::new(field, "BLOCKLISTED", format!("{field} {why}"));
        if self.blocklist.contains(password.as_str()) {
            return Err(refused("is on a list of passwords that are often used or were leaked"));
        }
        let folded = Zeroizing::new(fold(password.as_str()));
        if names.iter().any(|name| fold(name) == *folded) {
            return Err(refused("must not be the username or the e-mail address"));
        }
        Ok(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(list: &str, text: &str) -> Option<String> {
        let blocklist = Arc::new(Blocklist::read(list.as_bytes()).expect("read"));
        let policy = PasswordPolicy { chars_min: 8, blocklist };
        let parsed = policy.parse("password", text, &["User-Name", "User@Example.com"]);
        parsed.err().map(|violation| violation.reason.into_owned())
    }

    #[test]
    fn counts_characters_of_a_password_after_normalisation() {
        let decomposed = "e\u{301}".repeat(7);
        assert_eq!(reason("", &decomposed).as_deref(), Some("TOO_SHORT"));
        assert_eq!(reason("", "☃☃☃☃☃☃☃☃"), None);
        assert_eq!(reason("", &"x".repeat(PASSWORD_BYTES_MAX)), None);
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(reason("", &long).as_deref(), Some("TOO_LONG"));
    }

    #[test]
    fn has_no_rules_of_composition_and_no_list_of_its_own() {
        for text in ["password123", "aaaaaaaa", "        ", "12345678", "testpassword"] {
            assert_eq!(reason("", text), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_listed_and_the_names_of_the_account() {
        for text in ["password123", "PASSWORD123", "user-name", "USER@EXAMPLE.COM"] {
            assert_eq!(reason("password123", text).as_deref(), Some("BLOCKLISTED"), "{text}");
        }
        assert_eq!(reason("password123", "password1234"), None);
        assert_eq!(reason("password123", "user-name-and-more"), None);
    }
}
