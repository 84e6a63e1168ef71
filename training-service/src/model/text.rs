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
    if text.chars().all(|char| char.is_whitespace() || is_invisible(char)) {
        return Err(Violation::required(field));
    }
    line(field, chars_max, text)
}

/// A text in one line.
fn line(field: &'static str, chars_max: usize, text: String) -> Result<String, Violation> {
    let is_refused = |char: char| char.is_control() || breaks_lines(char);
    limited(field, chars_max, text, is_refused)
}

/// Characters of which nothing is seen. Beside others they are good: they join letters and emoji.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

/// Separators of lines and of paragraphs, and what changes the direction of all that follows, also
/// of the text in which the line is quoted (the embeddings, overrides and isolates of UAX #9).
fn breaks_lines(char: char) -> bool {
    matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        let description =
            format!("{field} has characters that are not shown, or break or turn a line");
        Err(Violation::new(field, "INVALID_FORMAT", description))
    } else {
        Ok(text)
    }
}
