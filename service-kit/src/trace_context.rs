//! W3C Trace Context, level 1: the `traceparent` header that ties the log lines
//! of one request together across processes.
//!
//! Parsed here rather than by OpenTelemetry's crates: there is no exporter to
//! feed, and a span of theirs costs more than a whole `ValidateToken`.

use std::{fmt, str::FromStr};

use http::HeaderMap;

use crate::Entropy;

/// The header's name.
pub const TRACEPARENT: &str = "traceparent";

/// The position of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// Why a `traceparent` was not understood. The standard says to start a new trace then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// The context in `headers`, or a new trace where they hold none that is valid.
    pub fn from_headers(headers: &HeaderMap, entropy: &Entropy) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            // Two headers are as good as none (section 3.2).
            (Some(value), None) => value.to_str().ok().and_then(|value| value.parse().ok()),
            _ => None,
        }
        .unwrap_or_else(|| Self::start(entropy))
    }

    /// A new trace, not sampled.
    pub fn start(entropy: &Entropy) -> Self {
        // Zero is not a valid id; setting one bit keeps it away.
        Self {
            trace_id: u128::from_be_bytes(entropy.bytes()) | 1,
            parent_id: u64::from_be_bytes(entropy.bytes()) | 1,
            flags: 0,
        }
    }

    /// The context to send on: the same trace, with a span of this process as the parent.
    #[must_use]
    pub fn child(self, entropy: &Entropy) -> Self {
        Self { parent_id: u64::from_be_bytes(entropy.bytes()) | 1, ..self }
    }

    /// The trace's id as 32 hexadecimal digits.
    pub fn trace_id(self) -> impl fmt::Display {
        struct TraceId(u128);
        impl fmt::Display for TraceId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        TraceId(self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |part: &str, digits: usize| {
            let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            (part.len() == digits && part.bytes().all(lower))
                .then(|| u128::from_str_radix(part, 16).ok())
                .flatten()
                .ok_or(InvalidTraceparent)
        };
        let mut parts = text.trim().split('-');
        let mut next = |digits| hex(parts.next().unwrap_or_default(), digits);
        let (version, trace_id, parent_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Version ff is forbidden; a later version may add fields, version 00 may not.
        let known_length = version != 0 || parts.next().is_none();
        let parent_id = u64::try_from(parent_id).map_err(|_| InvalidTraceparent)?;
        let flags = u8::try_from(flags).map_err(|_| InvalidTraceparent)?;
        if version == 0xff || !known_length || trace_id == 0 || parent_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, parent_id, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_and_writes_the_example_of_the_standard() {
        let context: TraceContext = EXAMPLE.parse().expect("the example is valid");
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn refuses_what_the_standard_forbids() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceparent), "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace_under_a_new_parent() {
        let parent: TraceContext = EXAMPLE.parse().expect("the example is valid");
        let child = parent.child(&Entropy::system());
        assert_eq!(child.trace_id, parent.trace_id);
        assert_ne!(child.parent_id, parent.parent_id);
        assert_eq!(child.flags, parent.flags);
    }

    #[test]
    fn two_headers_start_a_new_trace() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, EXAMPLE.parse().expect("a header value"));
        headers.append(TRACEPARENT, EXAMPLE.parse().expect("a header value"));
        let context = TraceContext::from_headers(&headers, &Entropy::system());
        assert_ne!(context.to_string(), EXAMPLE);
    }
}
