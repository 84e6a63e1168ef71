//! The hashing pool: a fixed number of threads with memory of their own, behind a bounded queue.
//!
//! Hashing is the one thing here that costs milliseconds and megabytes, so it gets a room of its
//! own: threads of a lower priority than the ones that serve RPCs, memory that is allocated once
//! for each thread, and a queue that is refused when it is full. A request whose caller has gone
//! is dropped from the queue unhashed. An unknown user's password takes the same way, against a
//! hash that nothing matches.

mod argon2id;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use clap::Args;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use service_kit::{Entropy, StartError};
use tokio::sync::oneshot;

use crate::{error::Error, model::Password};
use argon2id::Argon2id;

/// Requests that may wait for each thread: about two seconds of work.
const QUEUE_PER_THREAD_MAX: usize = 64;
/// How far the hashing threads stand back behind the others (`nice`).
const NICENESS: i32 = 10;

/// The cost of a new hash.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Memory of a password hash, in KiB.
    #[arg(
        long,
        env = "ARGON2_MEMORY_KIB",
        value_name = "ARGON2_MEMORY_KIB",
        default_value_t = 19_456
    )]
    pub argon2_memory_kib: u32,

    /// Passes of a password hash over its memory.
    #[arg(long, env = "ARGON2_ITERATIONS", value_name = "ARGON2_ITERATIONS", default_value_t = 2)]
    pub argon2_iterations: u32,

    /// Lanes of a password hash.
    #[arg(
        long,
        env = "ARGON2_PARALLELISM",
        value_name = "ARGON2_PARALLELISM",
        default_value_t = 1
    )]
    pub argon2_parallelism: u32,
}

/// The pool. Cheap to clone; its threads end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Passwords {
    queue: Sender<Job>,
    entropy: Entropy,
}

#[derive(Debug)]
enum Job {
    Hash { password: Password, salt: [u8; argon2id::SALT_BYTES], reply: oneshot::Sender<Hashed> },
    Verify { password: Password, stored: Option<String>, reply: oneshot::Sender<Verified> },
}

type Hashed = Result<String, argon2id::HashError>;
type Verified = Result<bool, argon2id::HashError>;

impl Passwords {
    /// Starts one thread for each core, with the memory for its hashes.
    ///
    /// # Errors
    /// Names the setting that is out of bounds.
    pub fn start(settings: &Settings, entropy: &Entropy) -> Result<Self, StartError> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (queue, jobs) = crossbeam_channel::bounded(threads * QUEUE_PER_THREAD_MAX);
        for number in 0..threads {
            let hasher = Argon2id::new(settings, entropy)?;
            let jobs = jobs.clone();
            thread::Builder::new()
                .name(format!("passwords-{number}"))
                .spawn(move || work(hasher, &jobs))
                .map_err(|error| StartError::other(format!("a hashing thread: {error}")))?;
        }
        Ok(Self { queue, entropy: entropy.clone() })
    }

    /// Hashes a new password to a PHC string.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let salt = self.entropy.bytes();
        self.submit(|reply| Job::Hash { password, salt, reply }).await
    }

    /// Whether `password` is the one in `stored`, a PHC string. `None` is the hash of a user who
    /// does not exist: the answer is no, at the same cost.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where the queue is full.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<bool, Error> {
        self.submit(|reply| Job::Verify { password, stored, reply }).await
    }

    async fn submit<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, argon2id::HashError>>) -> Job,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Internal("the hashing pool is gone".into()),
        })?;
        let lost = |_| Error::Internal("a hashing thread lost a request".into());
        answer.await.map_err(lost)?.map_err(|error| Error::Internal(error.to_string()))
    }
}

fn work(mut hasher: Argon2id, jobs: &Receiver<Job>) {
    // On Linux a thread of its own, not the process. Without the right to it, hashing competes.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a hashing thread keeps its priority");
    }
    for job in jobs {
        // A panic costs one request, not the thread.
        if catch_unwind(AssertUnwindSafe(|| hasher.run(job))).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

impl Argon2id {
    fn run(&mut self, job: Job) {
        // Sending fails where the caller went away meanwhile, which is nobody's loss.
        match job {
            Job::Hash { password, salt, reply } if !reply.is_closed() => {
                let _ = reply.send(self.hash(password.as_bytes(), &salt));
            }
            Job::Verify { password, stored, reply } if !reply.is_closed() => {
                let _ = reply.send(self.verify(password.as_bytes(), stored.as_deref()));
            }
            Job::Hash { .. } | Job::Verify { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that argon2 takes: what is tested is not the cost.
    const CHEAP: Settings =
        Settings { argon2_memory_kib: 8, argon2_iterations: 1, argon2_parallelism: 1 };

    fn password(text: &str) -> Password {
        Password::parse("password", text).expect("a password")
    }

    #[tokio::test]
    async fn knows_its_own_hashes_and_nothing_else() {
        let passwords = Passwords::start(&CHEAP, &Entropy::system()).expect("started");
        let hash = passwords.hash(password("right")).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        let verify = async |text, stored: Option<&str>| {
            passwords.verify(password(text), stored.map(str::to_owned)).await.expect("verified")
        };
        assert!(verify("right", Some(&hash)).await);
        assert!(!verify("wrong", Some(&hash)).await);
        assert!(!verify("right", None).await);
    }

    #[tokio::test]
    async fn verifies_hashes_of_other_parameters_and_then_its_own() {
        let strong = Settings { argon2_memory_kib: 64, argon2_iterations: 2, ..CHEAP };
        let other = Passwords::start(&strong, &Entropy::system()).expect("started");
        let hash = other.hash(password("right")).await.expect("hashed");
        let passwords = Passwords::start(&CHEAP, &Entropy::system()).expect("started");
        assert!(passwords.verify(password("right"), Some(hash)).await.expect("verified"));
        let own = passwords.hash(password("right")).await.expect("hashed");
        assert!(passwords.verify(password("right"), Some(own)).await.expect("verified"));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_forgets_who_left() {
        // No thread takes from this queue.
        let (queue, jobs) = crossbeam_channel::bounded(1);
        let passwords = Passwords { queue, entropy: Entropy::system() };
        {
            let waiting = passwords.hash(password("waiting"));
            tokio::pin!(waiting);
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("nobody answers"),
                () = std::future::ready(()) => {}
            }
            let refused = passwords.hash(password("refused")).await;
            assert!(matches!(refused, Err(Error::Overloaded)), "{refused:?}");
        }
        let Ok(Job::Hash { reply, .. }) = jobs.try_recv() else { panic!("one job waits") };
        assert!(reply.is_closed(), "its caller has gone");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_match() {
        let passwords = Passwords::start(&CHEAP, &Entropy::system()).expect("started");
        let verified = passwords.verify(password("x"), Some("$argon2id$nonsense".to_owned())).await;
        assert!(matches!(verified, Err(Error::Internal(_))), "{verified:?}");
    }

    #[test]
    fn names_the_setting_that_is_out_of_bounds() {
        let settings = Settings { argon2_memory_kib: 1, ..CHEAP };
        let error = Passwords::start(&settings, &Entropy::system()).expect_err("too little");
        assert!(error.to_string().starts_with("ARGON2_MEMORY_KIB"), "{error}");
    }
}
