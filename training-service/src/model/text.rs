//! Texts that people read.

use service_kit::rejection::Violation;

/// Characters of a [`Sport`] and of a [`TrainingLevel`].
const LABEL_CHARS_MAX: usize = 100;
/// Characters of a [`Title`] and of a [`Location`].
const LINE_CHARS_MAX: usize = 200;
/// Characters of a [`Description`].
const DESCRIPTION_CHARS_MAX: usize = 5000;

/// Declares texts, each valid by `$check($field, $chars_max, text)`.
macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident = $check:ident($field:literal, $chars_max:ident);)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(String);

        impl $name {
            /// The text, if it is a valid one.
            pub(crate) fn parse(text: String) -> Result<Self, Violation> {
                $check($field, $chars_max, text).map(Self)
            }

            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

texts! {
    /// What is trained: 1 to 100 characters, as given.
    Sport = required_line("sport", LABEL_CHARS_MAX);
    /// How well it is already known: 1 to 100 characters, as given.
    TrainingLevel = required_line("training_level", LABEL_CHARS_MAX);
    /// What a program is called: 1 to 200 characters, as given.
    Title = required_line("title", LINE_CHARS_MAX);
    /// Where a program takes place: up to 200 characters, as given.
    Location = line("location", LINE_CHARS_MAX);
    /// More about a program: up to 5000 characters, as given, line breaks among them.
    Description = prose("description", DESCRIPTION_CHARS_MAX);
}

/// A text in one line that shows something.
fn required_line(field: &'static str, chars_max: usize, text: String) -> Result<String, Violation> {
    if text.trim().is_empty() {
        return Err(Violation::required(field));
    }
    line(field, chars_max, text)
}

/// A text in one line.
fn line(field: &'static str, chars_max: usize, text: String) -> Result<String, Violation> {
    limited(field, chars_max, text, char::is_control)
}

/// A text in any number of lines.
fn prose(field: &'static str, chars_max: usize, text: String) -> Result<String, Violation> {
    let is_refused = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    limited(field, chars_max, text, is_refused)
}

fn limited(
    field: &'static str,
    chars_max: usize,
    text: String,
    is_refused: impl Fn(char) -> bool,
) -> Result<String, Violation> {
    if text.chars().count() > chars_max {
        let description = format!("{field} is longer than {chars_max} characters");
        Err(Violation::new(field, "TOO_LONG", description))
    } else if text.chars().any(is_refused) {
        let description = format!("{field} has control characters");
        Err(Violation::new(field, "INVALID_FORMAT", description))
    } else {
        Ok(text)
    }
}
