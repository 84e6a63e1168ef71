//! What `auth-client` costs each request of a service that verifies tokens by itself: signature,
//! claims and revocation, of a token that it knows and of one that it sees for the first time.

mod issuer;

use std::{hint::black_box, time::Duration};

use anyhow::{Result, ensure};
use auth_client::{TokenRules, Verifier};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use service_kit::{Clock, channel::RpcChannel};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    load::Tally,
    measure::{About, Goal, Path, Sample},
    process::{LOOK_PAUSE, START_TIME_MAX, own_usage},
    stand::Scene,
};
use issuer::{Issuer, SignedToken};

/// Tokens that are remembered, fewer than there is room for.
const KNOWN_TOKENS: usize = 200;
/// New tokens for one round at most, and for each second of it: signing them takes time too.
const NEW_TOKENS_MAX: usize = 20_000;
const NEW_TOKENS_PER_SECOND: f64 = 50_000.0;
/// What is done between two looks at the clock, whose cost would show otherwise.
const BLOCK: usize = 64;

/// A verifier that knows all it needs.
struct House {
    issuer: Issuer,
    verifier: Verifier,
    // Ended with the path.
    _tasks: JoinSet<()>,
}

impl House {
    async fn new() -> Result<Self> {
        let issuer = Issuer::new()?;
        let mut tasks = JoinSet::new();
        let url = issuer.serve(&mut tasks).await?;
        let rules = TokenRules { issuer: "pavilion".into(), audience: "pavilion".into() };
        let channel = RpcChannel::balanced(&[url]);
        let verifier = Verifier::new(channel, rules, &issuer.service_tokens, Clock::system());
        let following = verifier.clone();
        tasks.spawn(async move { following.run().await });
        let house = Self { issuer, verifier, _tasks: tasks };
        house.become_ready().await?;
        Ok(house)
    }

    /// The verifier has the key and trusts its copy of the revocations: a token is good without
    /// asking, which the issuer would refuse.
    async fn become_ready(&self) -> Result<()> {
        let token = self.issuer.token();
        let deadline = Instant::now() + START_TIME_MAX;
        while let Err(refusal) = self.verifier.verify(&token.text).await {
            ensure!(Instant::now() < deadline, "the verifier does not get ready: {refusal:?}");
            sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    /// Judges `tokens` on one thread: all of them once, or again and again until `duration` has
    /// passed.
    async fn judge(
        &self,
        tokens: Vec<SignedToken>,
        once: bool,
        duration: Duration,
    ) -> Result<Sample> {
        let (verifier, runtime) = (self.verifier.clone(), Handle::current());
        let before = own_usage();
        // Beside the runtime, whose threads go on following the revocations.
        let judging = tokio::task::spawn_blocking(move || {
            runtime.block_on(judge(&verifier, &tokens, once, duration))
        });
        Ok(Sample::of_our_own(judging.await?, before))
    }
}

async fn judge(
    verifier: &Verifier,
    tokens: &[SignedToken],
    once: bool,
    duration: Duration,
) -> Tally {
    let began = Instant::now();
    let mut tally = Tally::begin();
    'judging: loop {
        for block in tokens.chunks(BLOCK) {
            for token in block {
                match verifier.verify(&token.text).await {
                    Ok(caller) if caller.user_id == token.user_id => tally.answered += 1,
                    judged => tally.failed(format!("a good token: {judged:?}")),
                }
            }
            if began.elapsed() >= duration {
                break 'judging;
            }
        }
        if once {
            break;
        }
    }
    tally.end();
    tally
}

/// Does `work` on one thread, again and again until `duration` has passed.
async fn repeat(duration: Duration, mut work: impl FnMut() + Send + 'static) -> Result<Sample> {
    let before = own_usage();
    let repeating = tokio::task::spawn_blocking(move || {
        let (began, mut tally) = (Instant::now(), Tally::begin());
        while began.elapsed() < duration {
            for _ in 0..BLOCK {
                work();
            }
            tally.answered += BLOCK as u64;
        }
        tally.end();
        tally
    });
    Ok(Sample::of_our_own(repeating.await?, before))
}

/// A token that was seen before.
pub(super) struct Repeated {
    house: House,
    tokens: Vec<SignedToken>,
}

impl Path for Repeated {
    const ABOUT: About = About {
        name: "verify-repeated",
        load: "Verifier::verify, one thread, 200 tokens again and again",
        ceiling: "SHA-256 of the token",
        goals: &[Goal::time(3.0)],
    };

    async fn set_up(_: &Scene<'_>) -> Result<Self> {
        let house = House::new().await?;
        let tokens = house.issuer.tokens().take(KNOWN_TOKENS).collect();
        Ok(Self { house, tokens })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        let tokens = self.tokens.clone();
        let mut at = 0;
        repeat(duration, move || {
            at = (at + 1) % tokens.len();
            black_box(digest(&SHA256, tokens[at].text.as_bytes()));
        })
        .await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        self.house.judge(self.tokens.clone(), false, duration).await
    }

    async fn tear_down(self) -> Result<()> {
        Ok(())
    }
}

/// A token that nobody has seen before.
pub(super) struct FirstSight(House);

impl FirstSight {
    async fn new_tokens(&self, duration: Duration) -> Result<Vec<SignedToken>> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some thousands"
        )]
        let count = (duration.as_secs_f64() * NEW_TOKENS_PER_SECOND) as usize;
        let issuer = self.0.issuer.clone();
        let signing = move || issuer.tokens().take(count.clamp(1, NEW_TOKENS_MAX)).collect();
        Ok(tokio::task::spawn_blocking(signing).await?)
    }
}

impl Path for FirstSight {
    const ABOUT: About = About {
        name: "verify-first-sight",
        load: "Verifier::verify, one thread, each token new, at most 20,000",
        ceiling: "the Ed25519 signature alone",
        goals: &[Goal::time(1.1)],
    };

    async fn set_up(_: &Scene<'_>) -> Result<Self> {
        Ok(Self(House::new().await?))
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        let tokens: Vec<_> = self.0.issuer.tokens().take(KNOWN_TOKENS).collect();
        let public_key = UnparsedPublicKey::new(&ED25519, self.0.issuer.public_key());
        let checked =
            tokens.iter().all(|it| public_key.verify(it.message(), &it.signature).is_ok());
        ensure!(checked, "a signature of our own is not good");
        let mut at = 0;
        repeat(duration, move || {
            at = (at + 1) % tokens.len();
            let token = &tokens[at];
            let _good = black_box(public_key.verify(token.message(), &token.signature));
        })
        .await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let tokens = self.new_tokens(duration).await?;
        self.0.judge(tokens, true, duration).await
    }

    async fn tear_down(self) -> Result<()> {
        Ok(())
    }
}
