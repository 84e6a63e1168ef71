//! The life of a signing key.

/// Where in its life a signing key is. After that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that every verifier knows it before the first token comes.
    Next,
    /// Signs.
    Active,
    /// Signs no more, but is trusted until the last token that it signed has expired.
    Retired,
}

impl KeyState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}
