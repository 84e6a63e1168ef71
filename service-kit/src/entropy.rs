//! Chance as an argument: random bytes from the system, or from a source that tests can repeat.

use std::{cell::RefCell, sync::Arc};

/// What [`Entropy::of_ids`] draws at a time.
const DRAWN_BYTES: usize = 512;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; DRAWN_BYTES], left: 0 }) };
}

/// Bytes of which the first `left` have not been used.
struct Drawn {
    bytes: [u8; DRAWN_BYTES],
    left: usize,
}

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

    /// The operating system's generator, asked for many bytes at a time: for ids that must differ
    /// but are no secret, as those of requests and traces. Each thread keeps what it has not used.
    pub fn of_ids() -> Self {
        let system = Self::system();
        Self::from_fn(move |bytes| {
            DRAWN.with_borrow_mut(|drawn| {
                if drawn.left < bytes.len() {
                    *drawn = Drawn { bytes: system.bytes(), left: DRAWN_BYTES };
                }
                match drawn.left.checked_sub(bytes.len()) {
                    Some(left) => {
                        bytes.copy_from_slice(&drawn.bytes[left..drawn.left]);
                        drawn.left = left;
                    }
                    None => (system.0)(bytes),
                }
            });
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_however_many_are_drawn() {
        let entropy = Entropy::of_ids();
        let ids: HashSet<[u8; 16]> = (0..1000).map(|_| entropy.bytes()).collect();
        assert_eq!(ids.len(), 1000);
        assert_ne!(entropy.bytes::<{ 2 * DRAWN_BYTES }>(), [0; 2 * DRAWN_BYTES]);
    }
}
