//! The hashing pool: a fixed number of threads with memory of their own, behind a bounded queue.
//!
//! Hashing is the one thing here that costs milliseconds and megabytes, so it gets a room of its
//! own: threads of a lower priority than the ones that serve RPCs, memory that each thread keeps
//! for as long as there is work, and a queue that is refused when it is full. A request whose caller has gone
//! is dropped from the queue unhashed. An unknown user's password takes the same way, against a
//! hash that nothing matches.
//!
//! | Module | Holds |
//! |---|---|
//! | `stored` | what a stored hash is, and what it may cost |
//! | `argon2id` | the hashes that are made here |
//! | `foreign` | the hashes that other programs made: verified, then replaced |
//! | `even_time` | when a refusal is answered, so that its time tells nothing |

mod argon2id;
mod even_time;
mod foreign;
mod stored;

#[cfg(test)]
mod fixtures;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use argon2::Params;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use service_kit::{Entropy, StartError};
use tokio::sync::oneshot;

use crate::{error::Error, model::Password};
use argon2id::{Argon2id, HashError};
use even_time::EvenTime;

pub use even_time::HashCost;
pub use stored::{StoredHash, UnusableHash};

/// Requests that may wait for each thread: about two seconds of work.
const QUEUE_PER_THREAD_MAX: usize = 64;
/// How far the hashing threads stand back behind the others (`nice`).
const NICENESS: i32 = 10;
/// How long a thread without work keeps its memory: allocating it anew costs a few milliseconds.
const MEMORY_KEPT: Duration = Duration::from_secs(10);
/// Of a password that nobody has.
const NOBODYS_BYTES: usize = 24;

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
    params: Params,
    entropy: Entropy,
    even_time: Arc<EvenTime>,
}

/// What comparing a password with a stored hash has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether it is the right password.
    pub matches: bool,
    /// Whether the hash is not as one that is made now: of another format, of other parameters,
    /// or of a password that is not in NFC.
    pub needs_rehash: bool,
    /// When a thread began with it.
    started: Instant,
    /// How long it took.
    took: Duration,
    /// How many forms of the password there were to try.
    forms: u32,
    /// What is wrong with the stored hash, where no password can match it.
    pub unusable: Option<UnusableHash>,
}

#[derive(Debug)]
enum Job {
    Hash { password: Password, salt: [u8; argon2id::SALT_BYTES], reply: oneshot::Sender<Hashed> },
    Verify { password: Password, stored: Option<String>, reply: oneshot::Sender<Compared> },
}

type Hashed = Result<String, HashError>;
type Compared = Result<Verified, HashError>;

impl Passwords {
    /// Starts one thread for each core.
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
        let params = settings.params()?;
        Ok(Self { queue, params, entropy: entropy.clone(), even_time: Arc::default() })
    }

    /// Hashes a new password to a PHC string.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let salt = self.entropy.bytes();
        self.submit(|reply| Job::Hash { password, salt, reply }).await
    }

    /// Hashes a password anew that was right just now; `None` where others wait for the threads:
    /// their sign-ins come first, and this hash can be replaced at the next one.
    ///
    /// # Errors
    /// Where hashing fails.
    pub async fn rehash(&self, password: Password) -> Result<Option<String>, Error> {
        if self.queue.len() > self.queue.capacity().unwrap_or(0) / 2 {
            return Ok(None);
        }
        match self.hash(password).await {
            Ok(hash) => Ok(Some(hash)),
            Err(Error::Overloaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Compares `password` with the one in `stored`. `None` is the hash of a user who does not
    /// exist: the answer is no, at the same cost, and so it is where `stored` is damaged or asks
    /// for too much.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where the queue is full.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verified, Error> {
        self.submit(|reply| Job::Verify { password, stored, reply }).await
    }

    /// Waits until a refusal after `verified` may be answered: every account's at the same time,
    /// whatever its hash is. Whoever knows the right password is not made to wait.
    pub async fn hold_refusal(&self, verified: Verified) {
        self.even_time.hold(verified).await;
    }

    /// Whether `stored` is as a hash that is made now, so that verifying it costs the same.
    pub fn is_current(&self, stored: &str) -> bool {
        let parsed = StoredHash::parse(stored);
        matches!(parsed, Ok(StoredHash::Argon2(hash)) if hash.is_of(&self.params))
    }

    /// Measures what verifying `stored` costs on this machine, while nobody else waits; `None`
    /// where somebody does.
    ///
    /// # Errors
    /// Those of [`Passwords::verify`].
    pub async fn measure(&self, stored: Option<String>) -> Result<Option<HashCost>, Error> {
        if !self.queue.is_empty() {
            return Ok(None);
        }
        let nobodys = BASE64_URL_SAFE_NO_PAD.encode(self.entropy.bytes::<NOBODYS_BYTES>());
        let nobodys = Password::parse("password", &nobodys)
            .map_err(|_| Error::Internal("a password of our own is not valid".into()))?;
        let verified = self.verify(nobodys, stored).await?;
        Ok(Some(HashCost { time: verified.took, is_current: !verified.needs_rehash }))
    }

    /// From now on refusals take as long as the costliest of `present`, the hashes that accounts
    /// have.
    pub fn even_out(&self, present: &[HashCost]) {
        self.even_time.set(present);
    }

    async fn submit<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, HashError>>) -> Job,
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
    while let Some(job) = next(&mut hasher, jobs) {
        // A panic costs one request, not the thread.
        if catch_unwind(AssertUnwindSafe(|| hasher.run(job))).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

/// The next job; `None` when there will be none.
fn next(hasher: &mut Argon2id, jobs: &Receiver<Job>) -> Option<Job> {
    match jobs.recv_timeout(MEMORY_KEPT) {
        Err(RecvTimeoutError::Timeout) => {
            hasher.rest();
            jobs.recv().ok()
        }
        received => received.ok(),
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
                let _ = reply.send(self.compare(&password, stored.as_deref()));
            }
            Job::Hash { .. } | Job::Verify { .. } => {}
        }
    }

    fn compare(&mut self, password: &Password, stored: Option<&str>) -> Compared {
        let started = Instant::now();
        // Nothing matches the decoy, which stands in for a hash that cannot be used, too: an error
        // would tell that there is an account.
        let parsed = stored.map(StoredHash::parse).transpose();
        let unusable = parsed.as_ref().err().copied();
        let (hash, can_match) = match parsed {
            Ok(Some(hash)) => (hash, true),
            Ok(None) | Err(_) => (StoredHash::Argon2(self.decoy.clone()), false),
        };
        // NFC first: that is what is hashed here, and what most people type. Other programs hashed
        // what was typed, whichever form that was. Both are tried for every account, there or not.
        let (mut forms, mut matched) = (0, None);
        for form in password.forms() {
            forms += 1;
            let matches = match &hash {
                StoredHash::Argon2(hash) => self.verify(form, hash)?,
                StoredHash::Pbkdf2(hash) => hash.verify(form),
                StoredHash::Scrypt(hash) => hash.verify(form),
                StoredHash::Bcrypt(hash) => hash.verify(form),
                StoredHash::Hmac(hash) => hash.verify(form),
            };
            if matches && can_match {
                matched = Some(forms);
                break;
            }
        }
        let is_current = matches!(&hash, StoredHash::Argon2(hash) if self.is_current(hash));
        Ok(Verified {
            matches: matched.is_some(),
            needs_rehash: !is_current || matched.is_some_and(|form| form > 1),
            started,
            took: started.elapsed(),
            forms,
            unusable,
        })
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
            let stored = stored.map(str::to_owned);
            passwords.verify(password(text), stored).await.expect("verified").matches
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
        let verified = passwords.verify(password("right"), Some(hash)).await.expect("verified");
        assert!(verified.matches && verified.needs_rehash);
        let own = passwords.hash(password("right")).await.expect("hashed");
        let verified = passwords.verify(password("right"), Some(own)).await.expect("verified");
        assert!(verified.matches && !verified.needs_rehash);
    }

    #[test]
    fn a_hasher_works_on_after_a_rest() {
        let mut hasher = Argon2id::new(&CHEAP, &Entropy::system()).expect("a hasher");
        let hash = hasher.hash(b"right", &[1; argon2id::SALT_BYTES]).expect("hashed");
        hasher.rest();
        let compared = hasher.compare(&password("right"), Some(&hash)).expect("compared");
        assert!(compared.matches);
        hasher.rest();
        let again = hasher.hash(b"right", &[1; argon2id::SALT_BYTES]).expect("hashed");
        assert_eq!(again, hash);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_forgets_who_left() {
        // No thread takes from this queue.
        let (queue, jobs) = crossbeam_channel::bounded(1);
        let (params, entropy) = (CHEAP.params().expect("in bounds"), Entropy::system());
        let passwords = Passwords { queue, params, entropy, even_time: Arc::default() };
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
            let skipped = passwords.rehash(password("skipped")).await.expect("no error");
            assert_eq!(skipped, None);
        }
        let Ok(Job::Hash { reply, .. }) = jobs.try_recv() else { panic!("one job waits") };
        assert!(reply.is_closed(), "its caller has gone");
    }

    #[tokio::test]
    async fn a_damaged_hash_matches_nothing_and_says_so() {
        let passwords = Passwords::start(&CHEAP, &Entropy::system()).expect("started");
        let damaged = Some("$argon2id$nonsense".to_owned());
        let verified = passwords.verify(password("x"), damaged).await.expect("no error");
        assert_eq!((verified.matches, verified.forms), (false, 1), "hashed all the same");
        assert_eq!(verified.unusable, Some(UnusableHash::Malformed));
        let unknown = passwords.verify(password("x"), None).await.expect("no error");
        assert_eq!((unknown.matches, unknown.unusable), (false, None));
    }

    #[test]
    fn names_the_setting_that_is_out_of_bounds() {
        let settings = Settings { argon2_memory_kib: 1, ..CHEAP };
        let error = Passwords::start(&settings, &Entropy::system()).expect_err("too little");
        assert!(error.to_string().starts_with("ARGON2_MEMORY_KIB"), "{error}");
    }
}
