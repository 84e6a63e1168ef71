//! Chance as an argument: random bytes from the system, or from a source that tests can repeat.

use std::sync::Arc;

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Where random bytes come from. Cheap to clone.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

impl Entropy {
    /// The operating system's generator.
    ///
    /// # Panics
    /// A draw panics where the system cannot give random bytes at all: nothing
    /// that follows could be trusted.
    pub fn system() -> Self {
        Self::from_fn(|bytes| {
            #[expect(clippy::disallowed_methods, reason = "the one place that draws bytes")]
            #[expect(clippy::expect_used, reason = "without randomness no secret can be made")]
            getrandom::fill(bytes).expect("the system's random generator fails");
        })
    }

    /// A source that asks `fill`.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}
