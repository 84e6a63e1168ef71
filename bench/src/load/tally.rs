//! What came of a load.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

/// The longest time that is told apart, in microseconds: longer than any answer is waited for.
const MICROS_MAX: u64 = 120_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Answers and errors, and how long the good answers took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Good answers.
    pub(crate) answered: u64,
    /// Everything else.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    latencies: Option<Histogram<u32>>,
    span: Option<(Instant, Instant)>,
}

/// What half of the answers took at most, and what 99 of 100 did, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latencies {
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
}

impl Tally {
    /// An empty one whose time begins now.
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { span: Some((now, now)), ..Self::default() }
    }

    /// Its time ends now.
    pub(crate) fn end(&mut self) {
        if let Some((_, end)) = &mut self.span {
            *end = Instant::now();
        }
    }

    /// A good answer that took so long.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.answered += 1;
        let histogram = self.latencies.get_or_insert_with(histogram);
        histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX));
    }

    pub(crate) fn failed(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    /// Adds what was going on at the same time.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (span, other) => span.or(other),
        };
        if let Some(other) = &other.latencies {
            let histogram = self.latencies.get_or_insert_with(histogram);
            #[expect(clippy::expect_used, reason = "all have the same bounds")]
            histogram.add(other).expect("the same bounds");
        }
    }

    /// Good answers a second.
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.span.map_or(0.0, |(from, to)| (to - from).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let answered = self.answered as f64;
        if seconds > 0.0 { answered / seconds } else { 0.0 }
    }

    /// `None` where nothing was timed.
    pub(crate) fn latencies(&self) -> Option<Latencies> {
        let histogram = self.latencies.as_ref()?;
        Some(Latencies {
            p50_micros: histogram.value_at_quantile(0.5),
            p99_micros: histogram.value_at_quantile(0.99),
        })
    }
}

#[expect(clippy::expect_used, reason = "constant bounds that are good")]
fn histogram() -> Histogram<u32> {
    Histogram::new_with_max(MICROS_MAX, SIGNIFICANT_DIGITS).expect("good bounds")
}
