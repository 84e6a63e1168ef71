//! One SQL text, two spellings of its placeholders.

/// A statement in both spellings; made by [`sql!`](crate::sql).
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// With `?`, for SQLite and MySQL.
    pub(crate) question: &'static str,
    /// With `$1..$n`, for PostgreSQL.
    pub(crate) dollar: &'static str,
}

impl Statement {
    #[doc(hidden)]
    #[expect(clippy::panic, reason = "evaluated at compile time: a panic is a compile error")]
    pub const fn new(question: &'static [u8], dollar: &'static [u8]) -> Self {
        match (str::from_utf8(question), str::from_utf8(dollar)) {
            (Ok(question), Ok(dollar)) => Self { question, dollar },
            _ => panic!("the pieces are UTF-8, and so is what they are put together to"),
        }
    }
}

/// The part of a statement before its `RETURNING`, if it has one.
pub(crate) fn without_returning(sql: &'static str) -> &'static str {
    sql.split_once(" RETURNING ").map_or(sql, |(before, _)| before)
}

/// A [`Statement`](crate::db::Statement) from one or more constant pieces of SQL, with `?` for
/// each bound value, in order.
#[macro_export]
macro_rules! sql {
    ($($piece:expr),+ $(,)?) => {{
        const PIECES: &[&str] = &[$($piece),+];
        const QUESTION: [u8; $crate::db::question_len(PIECES)] = $crate::db::question(PIECES);
        const DOLLAR: [u8; $crate::db::dollar_len(PIECES)] = $crate::db::dollar(PIECES);
        const STATEMENT: $crate::db::Statement = $crate::db::Statement::new(&QUESTION, &DOLLAR);
        $crate::note_statement!(STATEMENT);
        STATEMENT
    }};
}

/// Tests find each statement that is linked into them (`testing::plans`).
#[cfg(feature = "testing")]
#[macro_export]
#[doc(hidden)]
macro_rules! note_statement {
    ($statement:expr) => {
        $crate::testing::plans::inventory::submit! {
            $crate::testing::plans::Written::new($statement, module_path!(), file!(), line!())
        }
    };
}

/// Nobody asks for them.
#[cfg(not(feature = "testing"))]
#[macro_export]
#[doc(hidden)]
macro_rules! note_statement {
    ($statement:expr) => {};
}

#[doc(hidden)]
pub const fn question_len(pieces: &[&str]) -> usize {
    let (mut length, mut piece) = (0, 0);
    while piece < pieces.len() {
        length += pieces[piece].len();
        piece += 1;
    }
    length
}

#[doc(hidden)]
pub const fn question<const LENGTH: usize>(pieces: &[&str]) -> [u8; LENGTH] {
    let (mut text, mut length, mut piece) = ([0; LENGTH], 0, 0);
    while piece < pieces.len() {
        let bytes = pieces[piece].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            text[length] = bytes[at];
            length += 1;
            at += 1;
        }
        piece += 1;
    }
    text
}

const fn digits(number: usize) -> usize {
    if number < 10 { 1 } else { 1 + digits(number / 10) }
}

#[doc(hidden)]
pub const fn dollar_len(pieces: &[&str]) -> usize {
    let (mut length, mut piece, mut placeholders, mut quoted) = (0, 0, 0, false);
    while piece < pieces.len() {
        let bytes = pieces[piece].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            quoted = quoted != (bytes[at] == b'\'');
            if bytes[at] == b'?' && !quoted {
                placeholders += 1;
                length += digits(placeholders);
            }
            length += 1;
            at += 1;
        }
        piece += 1;
    }
    length
}

#[doc(hidden)]
#[expect(clippy::cast_possible_truncation, reason = "a decimal digit fits a byte")]
pub const fn dollar<const LENGTH: usize>(pieces: &[&str]) -> [u8; LENGTH] {
    let (mut text, mut length) = ([0; LENGTH], 0);
    let (mut piece, mut placeholders, mut quoted) = (0, 0, false);
    while piece < pieces.len() {
        let bytes = pieces[piece].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            quoted = quoted != (bytes[at] == b'\'');
            if bytes[at] == b'?' && !quoted {
                placeholders += 1;
                text[length] = b'$';
                let width = digits(placeholders);
                let (mut rest, mut place) = (placeholders, width);
                while place > 0 {
                    text[length + place] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                    place -= 1;
                }
                length += 1 + width;
            } else {
                text[length] = bytes[at];
                length += 1;
            }
            at += 1;
        }
        piece += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn rewrites_placeholders_but_not_literals() {
        const COLUMNS: &str = "id, name";
        let statement =
            sql!("SELECT ", COLUMNS, " FROM users WHERE a = ? AND b = 'why?' AND c IN (?, ?)");
        assert_eq!(
            statement.question,
            "SELECT id, name FROM users WHERE a = ? AND b = 'why?' AND c IN (?, ?)"
        );
        assert_eq!(
            statement.dollar,
            "SELECT id, name FROM users WHERE a = $1 AND b = 'why?' AND c IN ($2, $3)"
        );
    }

    #[test]
    fn counts_past_nine() {
        let statement = sql!("VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        assert!(statement.dollar.ends_with("$9, $10, $11)"), "{}", statement.dollar);
    }
}
