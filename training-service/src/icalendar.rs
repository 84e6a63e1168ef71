//! Calendars as text: the content lines of RFC 5545, escaped and folded.

use jiff::{SignedDuration, civil};
use service_kit::Timestamp;

/// Octets of a line without its break (RFC 5545 section 3.1).
const LINE_OCTETS_MAX: usize = 75;

/// Content lines, each of which ends with CRLF.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// A property whose value has a form of its own: a word, a number, a duration. It is ASCII
    /// without control characters.
    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        self.fold(&format!("{name}:{value}"));
    }

    /// A property of type TEXT (section 3.3.11).
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.texts(name, &[value]);
    }

    /// A property that is a list of TEXT.
    pub(crate) fn texts(&mut self, name: &str, values: &[&str]) {
        let values: Vec<_> = values.iter().map(|value| escaped(value)).collect();
        self.fold(&format!("{name}:{}", values.join(",")));
    }

    /// A property of type DATE-TIME in UTC (section 3.3.5), rounded down to the second.
    pub(crate) fn time(&mut self, name: &str, time: Timestamp) {
        self.plain(name, &utc(time.seconds()));
    }

    /// The same, rounded up: of two times that differ, the later stays the later.
    pub(crate) fn time_rounded_up(&mut self, name: &str, time: Timestamp) {
        self.plain(name, &utc(time.seconds() + i64::from(time.subsecond_nanos() > 0)));
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    pub(crate) fn octets(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Breaks a line that is too long, and never within a character.
    fn fold(&mut self, mut line: &str) {
        let mut octets_max = LINE_OCTETS_MAX;
        while line.len() > octets_max {
            let (first, rest) = line.split_at(line.floor_char_boundary(octets_max));
            self.0.push_str(first);
            self.0.push_str("\r\n ");
            line = rest;
            // The space counts.
            octets_max = LINE_OCTETS_MAX - 1;
        }
        self.0.push_str(line);
        self.0.push_str("\r\n");
    }
}

/// Every way to break a line becomes `\n`: no value can end its line and begin another property.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => escaped.push_str("\\n"),
            '\\' | ';' | ',' => escaped.extend(['\\', char]),
            char => escaped.push(char),
        }
    }
    escaped
}

fn utc(seconds: i64) -> String {
    // Without a zone, since an instant of jiff does not reach to the end of the year 9999.
    let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let time = epoch.saturating_add(SignedDuration::from_secs(seconds));
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use icalendar::{Component, parser};

    use super::*;

    /// What another implementation reads out of the only property.
    fn read_back(lines: &str) -> String {
        let event = format!("BEGIN:VEVENT\r\n{lines}END:VEVENT\r\n");
        let event: icalendar::CalendarComponent = event.parse().expect("a component");
        let event = event.as_event().expect("an event").clone();
        event.property_value("SUMMARY").expect("a summary").to_owned()
    }

    fn summary(text: &str) -> String {
        let mut lines = Lines::default();
        lines.text("SUMMARY", text);
        lines.into_string()
    }

    #[test]
    fn no_text_is_more_than_the_value_of_its_property() {
        for (text, escaped) in [
            ("Nets, net; more: nets\\", r"Nets\, net\; more: nets\\"),
            ("one\ntwo\r\nthree\rfour", r"one\ntwo\nthree\nfour"),
            ("\r\r\n\n\\n", r"\n\n\n\\n"),
            ("x\r\nEND:VEVENT\r\nBEGIN:VALARM", r"x\nEND:VEVENT\nBEGIN:VALARM"),
            ("\tTab \"quoted\" ", "\tTab \"quoted\" "),
        ] {
            assert_eq!(summary(text), format!("SUMMARY:{escaped}\r\n"), "{text:?}");
        }
        let mut lines = Lines::default();
        lines.texts("CATEGORIES", &["a,b", "c"]);
        assert_eq!(lines.into_string(), "CATEGORIES:a\\,b,c\r\n");
    }

    #[test]
    fn lines_are_folded_at_75_octets_and_read_back_as_they_were() {
        // Of one to four octets, one that is escaped, and the one that a fold adds.
        for unit in ["a", "é", "網", "🏏", "\\", ";", " ", "a ", "\n", "é;\n網 "] {
            for length in 0..=160 {
                let text = format!("{}{}", "x".repeat(length % 5), unit.repeat(length));
                let folded = summary(&text);
                let lines: Vec<_> = folded.split("\r\n").collect();
                let (last, lines) = lines.split_last().expect("a line");
                assert_eq!(*last, "", "{text:?}");
                assert!(lines.iter().all(|line| line.len() <= 75), "{folded:?}");
                assert!(lines[1..].iter().all(|line| line.starts_with(' ')), "{folded:?}");
                // No line has room for what begins the next one.
                for pair in lines.windows(2) {
                    let next = pair[1].chars().nth(1).expect("a character");
                    assert!(pair[0].len() + next.len_utf8() > 75, "{folded:?}");
                }
                assert_eq!(parser::unfold(&folded).lines().count(), 1, "{folded:?}");
                assert_eq!(read_back(&folded), text, "{folded:?}");
            }
        }
    }

    #[test]
    fn times_are_in_utc_and_whole_seconds() {
        let time = |micros| {
            let mut lines = Lines::default();
            lines.time("A", Timestamp::from_micros(micros));
            lines.time_rounded_up("B", Timestamp::from_micros(micros));
            lines.into_string()
        };
        assert_eq!(time(0), "A:19700101T000000Z\r\nB:19700101T000000Z\r\n");
        assert_eq!(time(1), "A:19700101T000000Z\r\nB:19700101T000001Z\r\n");
        assert_eq!(time(-1), "A:19691231T235959Z\r\nB:19700101T000000Z\r\n");
        let first = -62_135_596_800_000_000;
        assert_eq!(time(first), "A:00010101T000000Z\r\nB:00010101T000000Z\r\n");
        let last = 253_402_300_799_999_999;
        assert_eq!(time(last), "A:99991231T235959Z\r\nB:99991231T235959Z\r\n");
    }
}
