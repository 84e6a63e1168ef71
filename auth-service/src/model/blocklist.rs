//! Passwords that nobody may have (NIST SP 800-63B rev. 4 section 3.1.1.2).

use std::{
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::{self, BufRead, Read},
};

use unicode_normalization::UnicodeNormalization;

use super::password::PASSWORD_BYTES_MAX;

/// A list of refused passwords, whatever their case: one 64-bit hash each, in order. A million take
/// 8 MB; that a password which is not listed is refused by chance has, with ten million lines, a
/// probability of 10^7 / 2^64, one in two million million.
#[derive(Clone, Default)]
pub struct Blocklist(Vec<u64>);

impl Blocklist {
    /// Reads a list, one password a line, in one pass. What is no password is passed over: an
    /// empty line, one that is not UTF-8, one that is longer than a password may be.
    ///
    /// # Errors
    /// Those of `reader`.
    pub fn read(mut reader: impl BufRead) -> io::Result<Self> {
        let mut hashes = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            // With its end of line, and one byte more to see that it is too long.
            let bytes_max = PASSWORD_BYTES_MAX as u64 + 3;
            if reader.by_ref().take(bytes_max).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if !line.ends_with(b"\n") && line.len() as u64 == bytes_max {
                reader.skip_until(b'\n')?;
                continue;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            match str::from_utf8(text) {
                Ok(text) if !text.is_empty() => hashes.push(hash(text)),
                _ => {}
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        Ok(Self(hashes))
    }

    /// How many passwords it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `password` is on it.
    pub fn contains(&self, password: &str) -> bool {
        self.0.binary_search(&hash(password)).is_ok()
    }
}

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocklist({} passwords)", self.len())
    }
}

/// The form in which passwords are compared with a list and with names: NFC, without regard to
/// case.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfc().collect::<String>().to_lowercase().nfc().collect()
}

fn hash(text: &str) -> u64 {
    // Always the same within a process, which is as long as a list lives.
    BuildHasherDefault::<DefaultHasher>::default().hash_one(fold(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_listed_whatever_its_case_and_form() {
        let list = "password123\r\nCafe\u{301}Cafe\u{301}\n\n  spaced  \nlast line";
        let list = Blocklist::read(list.as_bytes()).expect("read");
        assert_eq!(list.len(), 4);
        for listed in
            ["password123", "PassWord123", "CAF\u{c9}caf\u{e9}", "  spaced  ", "last line"]
        {
            assert!(list.contains(listed), "{listed}");
        }
        for other in ["password1234", "cafecafe", "spaced", "", "\n", "last"] {
            assert!(!list.contains(other), "{other}");
        }
    }

    #[test]
    fn passes_over_what_is_no_password() {
        let mut list = b"first\n\xff\xfe\n".to_vec();
        list.extend(vec![b'x'; 3_000_000]);
        list.extend(b"\n");
        list.extend(vec![b'y'; PASSWORD_BYTES_MAX]);
        list.extend(b"\r\nlast");
        let list = Blocklist::read(&list[..]).expect("read");
        assert_eq!(list.len(), 3);
        assert!(list.contains("first") && list.contains("last"));
        assert!(list.contains(&"y".repeat(PASSWORD_BYTES_MAX)));
    }
}
