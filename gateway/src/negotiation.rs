//! What a client accepts, and how much it likes that (RFC 9110 section 12).

use http::{HeaderMap, HeaderName, header::ACCEPT};

/// The members of a header that is a list.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// A member of such a list without its parameters, and its weight: 1 where it has none, 0 where
/// that is no number from 0 to 1 (section 12.4.2).
pub(crate) fn weighed(choice: &str) -> (&str, f32) {
    let mut parts = choice.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("q").then_some(value)
    });
    let weight = weight.map_or(Some(1.0), |value| value.parse().ok());
    (name, weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0))
}

/// Whether the client would rather have the media type `other` than `usual`, which is what it gets
/// where it likes both alike. Of two with the same weight it likes the one better that it names more
/// exactly.
pub(crate) fn prefers(headers: &HeaderMap, other: &str, usual: &str) -> bool {
    liking(headers, other) > liking(headers, usual)
}

/// The weight of a media type, and how exactly that range names it which does so most exactly:
/// `type/subtype`, `type/*` or `*/*` (section 12.5.1). `None` where it is not accepted.
fn liking(headers: &HeaderMap, media_type: &str) -> Option<(f32, usize)> {
    let (kind, _) = media_type.split_once('/')?;
    let ranges = ["*/*", &format!("{kind}/*"), media_type];
    let named = list(headers, &ACCEPT).map(weighed).filter_map(|(name, weight)| {
        let exactness = ranges.iter().position(|range| range.eq_ignore_ascii_case(name))?;
        Some((weight, exactness))
    });
    named.max_by_key(|(_, exactness)| *exactness).filter(|(weight, _)| *weight > 0.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_weight_is_a_number_from_0_to_1_and_1_where_none_is_given() {
        for (choice, expected) in [
            ("br", ("br", 1.0)),
            ("br;q=0.5", ("br", 0.5)),
            ("text/csv; header=present; Q=0", ("text/csv", 0.0)),
            ("br;q=nonsense", ("br", 0.0)),
            ("br;q=NaN", ("br", 0.0)),
            ("br;q=2", ("br", 0.0)),
            ("", ("", 1.0)),
        ] {
            assert_eq!(weighed(choice), expected, "{choice}");
        }
    }

    #[test]
    fn the_media_type_of_the_greater_weight_is_preferred() {
        for (accept, expected) in [
            ("text/csv", true),
            ("text/html, Text/CSV;q=0.9", true),
            ("text/*", true),
            ("application/json;q=0.5, text/csv", true),
            ("application/json;q=0, text/csv;q=0.1", true),
            ("text/csv;q=0", false),
            ("text/*, text/csv;q=0", false),
            ("application/json, text/csv;q=0.1", false),
            ("text/csv;q=0.5, */*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers(&headers, "text/csv", "application/json"), expected, "{accept}");
        }
        assert!(!prefers(&HeaderMap::new(), "text/csv", "application/json"));
    }

    #[test]
    fn of_two_that_weigh_the_same_the_one_is_preferred_that_is_named_more_exactly() {
        for (accept, expected) in [
            ("text/csv, */*", true),
            ("text/csv;q=0.5, application/*;q=0.5", true),
            ("text/*, application/json", false),
            ("*/*", false),
            ("text/csv, application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers(&headers, "text/csv", "application/json"), expected, "{accept}");
        }
    }
}
