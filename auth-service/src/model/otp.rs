//! One-time codes, as someone types them.

use std::fmt;

use service_kit::rejection::Violation;
use zeroize::Zeroizing;

/// Bytes of what is typed for a code, blanks around it included.
const OTP_BYTES_MAX: usize = 64;

/// A code that someone claims to have been sent; whatever it looks like, it is right or wrong.
/// Wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Otp(Zeroizing<String>);

impl Otp {
    /// Reads a code, without the blanks around it.
    ///
    /// # Errors
    /// The violation of `otp`: it is empty or too long.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let field = "otp";
        if text.len() > OTP_BYTES_MAX {
            let description = format!("{field} must be at most {OTP_BYTES_MAX} bytes");
            return Err(Violation::new(field, "TOO_LONG", description));
        }
        match text.trim() {
            "" => Err(Violation::required(field)),
            code => Ok(Self(Zeroizing::new(code.to_owned()))),
        }
    }

    /// What is compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u32> for Otp {
    fn from(code: u32) -> Self {
        Self(Zeroizing::new(code.to_string()))
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otp")
    }
}
