//! The parameters of a query. What is wrong with them is collected, so that a client learns of all
//! of it at once.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use http::request::Parts;
use service_kit::rejection::Violation;

use crate::{
    Gateway,
    problem::{Problem, Wording},
};

/// What a request's query holds. A route has one of these, so that all violations are told at
/// once: of several families of parameters, `T` is a tuple.
pub(crate) struct Query<T>(pub(crate) T);

/// Parameters that belong together.
pub(crate) trait FromQuery: Sized {
    /// Takes them out of a query.
    fn read(parameters: &mut Parameters) -> Self;
}

impl<A: FromQuery, B: FromQuery> FromQuery for (A, B) {
    fn read(parameters: &mut Parameters) -> Self {
        (A::read(parameters), B::read(parameters))
    }
}

/// The parameters, each to be taken once; an empty one counts as absent. Of two of one name the
/// last counts; those that no route asks for are ignored.
pub(crate) struct Parameters {
    left: HashMap<String, String>,
    violations: Vec<Violation>,
}

impl Parameters {
    /// The text of a parameter; empty where it is absent.
    pub(crate) fn text(&mut self, name: &'static str) -> String {
        self.left.remove(name).unwrap_or_default()
    }

    /// What `parse` makes of a parameter; `None` where it is absent.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        parse(&text).map_err(|violation| self.violations.push(violation)).ok()
    }

    /// What one of `words` stands for; `None` where it is absent.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.parsed(name, |text| {
            let found = words.iter().find(|(known, _)| text == *known);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
                let description = format!("{name} must be one of {}", known.join(", "));
                Violation::new(name, "INVALID_VALUE", description)
            })
        })
    }

    /// Whether a parameter is `true`, and not `false` or absent.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let flag = self.parsed(name, |text| {
            let description = format!("{name} must be true or false");
            text.parse().map_err(|_| Violation::new(name, "INVALID_TYPE", description))
        });
        flag.unwrap_or_default()
    }
}

/// What a query holds.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn read<T: FromQuery>(query: &str) -> Result<T, Vec<Violation>> {
    let left = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut parameters = Parameters { left, violations: Vec::new() };
    let read = T::read(&mut parameters);
    if parameters.violations.is_empty() { Ok(read) } else { Err(parameters.violations) }
}

impl<T: FromQuery> FromRequestParts<Gateway> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let read = read(parts.uri.query().unwrap_or_default());
        read.map(Self).map_err(|violations| Wording::PLAIN.bad_input(violations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Wish {
        name: String,
        urgent: bool,
        size: Option<u8>,
    }

    impl FromQuery for Wish {
        fn read(parameters: &mut Parameters) -> Self {
            Self {
                name: parameters.text("name"),
                urgent: parameters.flag("urgent"),
                size: parameters.word("size", &[("small", 1), ("large", 9)]),
            }
        }
    }

    #[test]
    fn what_is_empty_is_absent_and_the_last_of_a_name_counts() {
        let wish = |name: &str, urgent, size| Ok(Wish { name: name.to_owned(), urgent, size });
        assert_eq!(
            read("name=ice+hockey&urgent=true&size=large&x=1"),
            wish("ice hockey", true, Some(9))
        );
        assert_eq!(read("name=&urgent=&size="), wish("", false, None));
        assert_eq!(read("urgent=true&urgent=false&name=a&name=b"), wish("b", false, None));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let refused = read::<(Wish, Wish)>("urgent=TRUE&size=medium").expect_err("violations");
        let found: Vec<_> =
            refused.iter().map(|one| (one.field.as_ref(), one.reason.as_ref())).collect();
        assert_eq!(found, [("urgent", "INVALID_TYPE"), ("size", "INVALID_VALUE")]);
    }
}
