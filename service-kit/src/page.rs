//! Pagination (AIP-158): page sizes and opaque page tokens.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::rejection::Violation;

/// What `page_size` 0 means.
pub const PAGE_SIZE_DEFAULT: i64 = 50;
/// What a larger `page_size` is reduced to.
pub const PAGE_SIZE_MAX: i64 = 1000;

/// Which page of a list that is ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many rows at most.
    pub size: i64,
    /// Only rows with an id greater than this.
    pub after_id: i64,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request.
    ///
    /// # Errors
    /// The violations: a negative size, a token that [`Page::token`] did not make.
    pub fn parse(size: i32, token: &str) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        if size < 0 {
            violations.push(Violation::new("page_size", "OUT_OF_RANGE", "page_size is negative"));
        }
        let after_id = if token.is_empty() { Some(0) } else { decode(token) };
        if after_id.is_none() {
            let description = "page_token is not one that this method gave";
            violations.push(Violation::new("page_token", "INVALID_FORMAT", description));
        }
        match after_id {
            Some(after_id) if violations.is_empty() => {
                let size = if size == 0 { PAGE_SIZE_DEFAULT } else { i64::from(size) };
                Ok(Self { size: size.min(PAGE_SIZE_MAX), after_id })
            }
            _ => Err(violations),
        }
    }

    /// How many rows to ask the database for: one more than the page, to see whether more follow.
    pub fn limit(self) -> i64 {
        self.size + 1
    }

    /// Cuts `rows`, read with [`Page::limit`], down to the page, and makes the token for the next
    /// one; empty where none follows.
    pub fn cut<T>(self, rows: &mut Vec<T>, id: impl Fn(&T) -> i64) -> String {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last().map_or_else(String::new, |last| encode(id(last)))
    }
}

// The version in front lets a later release change the form without misreading an old token.
const VERSION: u8 = 1;

fn encode(after_id: i64) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&after_id.to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(token: &str) -> Option<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let (&version, id) = bytes.split_first()?;
    let id = i64::from_be_bytes(id.try_into().ok()?);
    (version == VERSION && id >= 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_a_list_to_its_end() {
        let all: Vec<i64> = (1..=7).collect();
        let (mut token, mut seen, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let page = Page::parse(3, &token).expect("own tokens are good");
            let mut rows: Vec<i64> = all
                .iter()
                .copied()
                .filter(|id| *id > page.after_id)
                .take(usize::try_from(page.limit()).expect("small"))
                .collect();
            token = page.cut(&mut rows, |id| *id);
            seen.extend(rows);
            pages += 1;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((seen, pages), (all, 3));
    }

    #[test]
    fn reports_size_and_token_at_once() {
        let violations = Page::parse(-1, "not a token").expect_err("both are bad");
        let fields: Vec<_> = violations.iter().map(|one| one.field.as_ref()).collect();
        assert_eq!(fields, ["page_size", "page_token"]);
    }

    #[test]
    fn reduces_a_large_size() {
        assert_eq!(Page::parse(i32::MAX, "").expect("coerced").size, PAGE_SIZE_MAX);
        assert_eq!(Page::parse(0, "").expect("the default").size, PAGE_SIZE_DEFAULT);
    }
}
