//! The members of a JSON body. What is wrong with them is collected, so that a client learns of
//! all of it at once.

use axum::extract::{FromRequest, Request};
use prost_types::Timestamp;
use serde_json::{Map, Value};
use service_kit::rejection::Violation;

use crate::{
    Gateway, body,
    problem::{Problem, Wording},
    times,
};

/// A body that is a JSON object, or none, which counts as `{}`. Of two members of one name the last
/// counts; those that no route asks for are ignored.
pub(crate) struct Fields(Members);

impl Fields {
    /// What `build` makes of the members. Asking for them this way leaves no route that forgets to
    /// look whether they were right.
    ///
    /// # Errors
    /// 400 with all that is wrong, where a member is of a wrong type or one that is
    /// [`Members::required`] is missing.
    pub(crate) fn read<T>(
        self,
        wording: &Wording,
        build: impl FnOnce(&mut Members) -> T,
    ) -> Result<T, Problem> {
        let Self(mut members) = self;
        let built = build(&mut members);
        if members.refused { Err(wording.bad_input(members.violations)) } else { Ok(built) }
    }
}

/// No members are expected: none is looked at. For routes that need nothing but their path; a body
/// that any other route would refuse is refused here, too.
pub(crate) struct NoMembers;

/// The members, each to be taken once.
pub(crate) struct Members {
    left: Map<String, Value>,
    /// In the order in which the route asked.
    violations: Vec<Violation>,
    /// Whether the violations are the gateway's to refuse.
    refused: bool,
}

impl Members {
    /// A string; empty where it is absent or null.
    pub(crate) fn text(&mut self, name: &'static str) -> String {
        match self.take(name) {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) => String::new(),
            Some(_) => {
                self.wrong_type(name, "a string");
                String::new()
            }
        }
    }

    /// A string that the service wants. Whether it is missing is left to the service, which looks
    /// at the caller's token first; only beside a wrong type is it told of here.
    pub(crate) fn expected(&mut self, name: &'static str) -> String {
        let told_before = self.violations.len();
        let text = self.text(name);
        if text.is_empty() && self.violations.len() == told_before {
            self.violations.push(Violation::required(name));
        }
        text
    }

    /// A string that the document wants, though the service may not.
    pub(crate) fn required(&mut self, name: &'static str) -> String {
        let text = self.expected(name);
        self.refused |= text.is_empty();
        text
    }

    /// An integer; 0 where it is absent or null. `1.0` and `"1"` are none.
    pub(crate) fn integer(&mut self, name: &'static str) -> i64 {
        match self.take(name) {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().unwrap_or_else(|| {
                self.wrong_type(name, "an integer of 64 bits");
                0
            }),
        }
    }

    /// A point in time as RFC 3339 has it; `None` where it is absent or null.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = match self.take(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => text,
            Some(_) => {
                self.wrong_type(name, "a string");
                return None;
            }
        };
        let time = times::parse(&text);
        if time.is_none() {
            let description = format!("{name} must be a time such as 2026-01-31T12:00:00Z");
            self.refuse(Violation::new(name, "INVALID_FORMAT", description));
        }
        time
    }

    /// A point in time that the service wants, as [`Members::expected`].
    pub(crate) fn expected_time(&mut self, name: &'static str) -> Option<Timestamp> {
        let told_before = self.violations.len();
        let time = self.time(name);
        if time.is_none() && self.violations.len() == told_before {
            self.violations.push(Violation::required(name));
        }
        time
    }

    /// A string that is to replace another: `None` where it is absent, empty where it is null.
    pub(crate) fn change(&mut self, name: &'static str) -> Option<String> {
        self.has(name).then(|| self.text(name))
    }

    /// `true` or `false`; `None` where it is absent or null.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(flag),
            Some(_) => {
                self.wrong_type(name, "true or false");
                None
            }
        }
    }

    /// What one of `words` stands for; `None` where it is absent or null.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let word = match self.take(name) {
            None | Some(Value::Null) => return None,
            Some(word) => word,
        };
        let found = words.iter().find(|(known, _)| word == *known);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
            let description = format!("{name} must be one of {}", known.join(", "));
            self.refuse(Violation::new(name, "INVALID_VALUE", description));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// What one of `words` stands for, of a member that must be there: `None` where it is null.
    pub(crate) fn word_or_null<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        if !self.has(name) {
            self.refuse(Violation::required(name));
        }
        self.word(name, words)
    }

    /// Digits that the service wants, as [`Members::expected`]; a string or a number.
    pub(crate) fn digits(&mut self, name: &'static str) -> String {
        match self.left.get(name) {
            Some(Value::Number(number)) if number.is_u64() => {
                let digits = number.to_string();
                self.take(name);
                digits
            }
            _ => self.expected(name),
        }
    }

    /// Whether it is there, if only as null.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        #[cfg(test)]
        asked::note(name);
        self.left.contains_key(name)
    }

    /// Whether something is wrong with what was read of it.
    pub(crate) fn is_wrong(&self, name: &str) -> bool {
        self.violations.iter().any(|violation| violation.field == name)
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        #[cfg(test)]
        asked::note(name);
        self.left.remove(name)
    }

    fn wrong_type(&mut self, name: &'static str, wanted: &str) {
        let description = format!("{name} must be {wanted}");
        self.refuse(Violation::new(name, "INVALID_TYPE", description));
    }

    fn refuse(&mut self, violation: Violation) {
        self.violations.push(violation);
        self.refused = true;
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(members: Map<String, Value>) -> Self {
        Self(Members { left: members, violations: Vec::new(), refused: false })
    }
}

impl FromRequest<Gateway> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, Problem> {
        Ok(body::read_object(request, &gateway.0.limits).await?.into())
    }
}

impl FromRequest<Gateway> for NoMembers {
    type Rejection = Problem;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, Problem> {
        body::read_object(request, &gateway.0.limits).await?;
        Ok(Self)
    }
}

/// Which members the handlers of this thread asked for, to be held against the description.
#[cfg(test)]
pub(crate) mod asked {
    use std::{cell::RefCell, collections::BTreeSet};

    thread_local! {
        static NAMES: RefCell<BTreeSet<&'static str>> = RefCell::default();
    }

    pub(super) fn note(name: &'static str) {
        NAMES.with_borrow_mut(|names| names.insert(name));
    }

    /// Those since the last time.
    pub(crate) fn since() -> BTreeSet<&'static str> {
        NAMES.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDING: Wording = Wording { missing: Some("Missing name or age"), ..Wording::PLAIN };

    fn fields(body: &str) -> Fields {
        let members: Map<_, _> = serde_json::from_str(body).expect("an object");
        members.into()
    }

    #[test]
    fn reads_members_of_the_right_type_and_ignores_the_rest() {
        let read = fields(r#"{"name": "Ann", "age": -3, "more": {"a": [1, 2.5]}}"#)
            .read(&WORDING, |body| (body.required("name"), body.integer("age"), body.text("nick")));
        assert_eq!(read, Ok(("Ann".to_owned(), -3, String::new())));
    }

    #[test]
    fn of_two_members_of_one_name_the_last_counts() {
        let read = fields(r#"{"name": "Ann", "name": "Bob"}"#);
        assert_eq!(read.read(&WORDING, |body| body.text("name")), Ok("Bob".to_owned()));
    }

    #[test]
    fn tells_all_that_is_wrong_at_once() {
        let read = fields(r#"{"age": "7", "nick": ["x"], "name": null}"#).read(&WORDING, |body| {
            (body.expected("name"), body.required("nick"), body.text("mail"), body.integer("age"))
        });
        let expected = WORDING.bad_input(vec![
            Violation::required("name"),
            Violation::new("nick", "INVALID_TYPE", "nick must be a string"),
            Violation::new("age", "INVALID_TYPE", "age must be an integer of 64 bits"),
        ]);
        assert_eq!(read, Err(expected));
    }

    #[test]
    fn leaves_it_to_the_service_to_miss_members_unless_the_document_wants_them() {
        assert_eq!(fields("{}").read(&WORDING, |body| body.expected("name")), Ok(String::new()));
        for body in ["{}", r#"{"name": null}"#, r#"{"name": ""}"#] {
            let missing = WORDING.bad_input(vec![Violation::required("name")]);
            assert_eq!(fields(body).read(&WORDING, |body| body.required("name")), Err(missing));
        }
    }

    #[test]
    fn an_integer_is_one_in_json_within_64_bits() {
        let integer_of = |value: &str| {
            let body = fields(&format!(r#"{{"age": {value}}}"#));
            body.read(&WORDING, |body| body.integer("age")).ok()
        };
        assert_eq!(integer_of("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer_of("null"), Some(0));
        for bad in ["1.0", "1e2", "\"1\"", "true", "[]", "9223372036854775808"] {
            assert_eq!(integer_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn tells_a_change_to_nothing_from_no_change() {
        let changes = |body: &str| fields(body).read(&WORDING, |body| body.change("name")).ok();
        assert_eq!(changes(r#"{"name": "Ann"}"#), Some(Some("Ann".to_owned())));
        assert_eq!(changes(r#"{"name": null}"#), Some(Some(String::new())));
        assert_eq!(changes("{}"), Some(None));
        assert_eq!(changes(r#"{"name": 1}"#), None);
    }

    #[test]
    fn reads_flags_and_words() {
        let words = [("one", 1), ("two", 2)];
        let read = |body: &str| {
            let read = |body: &mut Members| (body.flag("flag"), body.word("word", &words));
            fields(body).read(&WORDING, read)
        };
        assert_eq!(read(r#"{"flag": false, "word": "two"}"#), Ok((Some(false), Some(2))));
        assert_eq!(read(r#"{"flag": null}"#), Ok((None, None)));
        let refused = WORDING.bad_input(vec![
            Violation::new("flag", "INVALID_TYPE", "flag must be true or false"),
            Violation::new("word", "INVALID_VALUE", "word must be one of one, two"),
        ]);
        assert_eq!(read(r#"{"flag": "true", "word": "Two"}"#), Err(refused));
    }

    #[test]
    fn reads_digits_as_a_string_or_as_a_number() {
        let digits = |value: &str| {
            let body = fields(&format!(r#"{{"otp": {value}}}"#));
            body.read(&WORDING, |body| body.digits("otp")).ok()
        };
        assert_eq!(digits("123456").as_deref(), Some("123456"));
        assert_eq!(digits("\"012345\"").as_deref(), Some("012345"));
        assert_eq!(digits("null").as_deref(), Some(""));
        for bad in ["123456.0", "-1", "1e5", "[1]", "true"] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }
}
