//! Rounds of a path and its ceiling in turn, and what follows from them.

use std::time::Duration;

use anyhow::Result;

use crate::{
    load::{Latencies, Tally},
    process::{Process, Usage, own_usage},
    report::{Bound, Figure, Figures, Line, Round, Verdict},
    stand::Scene,
};

/// What is measured, and what is hoped for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// For the command line and the JSON.
    pub(crate) name: &'static str,
    /// What a request is, and how many are made by whom.
    pub(crate) load: &'static str,
    /// What it is held against.
    pub(crate) ceiling: &'static str,
    pub(crate) goals: &'static [Goal],
}

/// A bound on what the comparison shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) figure: Figure,
    pub(crate) bound: Bound,
}

impl Goal {
    /// At least so much of the ceiling's rate.
    pub(crate) const fn rate(at_least: f64) -> Self {
        Self { figure: Figure::Rate, bound: Bound::AtLeast(at_least) }
    }

    /// At most so many times the ceiling's time for one.
    pub(crate) const fn time(at_most: f64) -> Self {
        Self { figure: Figure::Time, bound: Bound::AtMost(at_most) }
    }

    /// At most so many times the ceiling's time for 99 of 100.
    pub(crate) const fn p99(at_most: f64) -> Self {
        Self { figure: Figure::P99, bound: Bound::AtMost(at_most) }
    }
}

/// One of the hot paths, ready to be measured.
pub(crate) trait Path: Sized {
    const ABOUT: About;

    /// Starts what is needed.
    async fn set_up(scene: &Scene<'_>) -> Result<Self>;

    /// The ceiling, for so long.
    async fn ceiling(&mut self, duration: Duration) -> Result<Sample>;

    /// The path, for so long.
    async fn run(&mut self, duration: Duration) -> Result<Sample>;

    /// What must hold after each round; the error says what does not.
    async fn check(&mut self) -> Result<()> {
        Ok(())
    }

    /// Ends what was started.
    async fn tear_down(self) -> Result<()>;
}

/// What one load of one round has shown.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    tally: Tally,
    /// Of what was measured, where it was for nothing else.
    cpu: Option<Duration>,
    /// Of the generator, where it is not what was measured.
    generator_cpu: Option<Duration>,
}

impl Sample {
    /// What `load` shows of `processes`.
    ///
    /// # Errors
    /// Those of the load.
    pub(crate) async fn of(
        processes: &[Process],
        load: impl Future<Output = Result<Tally>>,
    ) -> Result<Self> {
        let used = || processes.iter().map(|process| process.usage().cpu).sum::<Duration>();
        let (before, own_before) = (used(), own_usage().cpu);
        let tally = load.await?;
        let cpu = Some(used().saturating_sub(before));
        let generator_cpu = Some(own_usage().cpu.saturating_sub(own_before));
        Ok(Self { tally, cpu, generator_cpu })
    }

    /// What was done in this process since it had used `before`.
    pub(crate) fn of_our_own(tally: Tally, before: Usage) -> Self {
        let cpu = Some(own_usage().cpu.saturating_sub(before.cpu));
        Self { tally, cpu, generator_cpu: None }
    }

    /// Without what one answer has cost: others were answered at the same time.
    pub(crate) fn without_cpu(self) -> Self {
        Self { cpu: None, generator_cpu: None, ..self }
    }

    fn per_request(&self, cpu: Duration) -> Option<f64> {
        // Nothing at all: the system does not tell, or it was too short.
        let is_known = self.tally.answered > 0 && !cpu.is_zero();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let answered = self.tally.answered as f64;
        is_known.then(|| cpu.as_secs_f64() * 1e6 / answered)
    }
}

/// Measures a path.
///
/// # Errors
/// Where it cannot be set up or its load not be made. Wrong answers are in the line.
pub(crate) async fn measure<P: Path>(scene: Scene<'_>) -> Result<Line> {
    let mut path = P::set_up(&scene).await?;
    let options = scene.options;
    let mut failures = Vec::new();
    let warm_up = [path.ceiling(options.warm_up).await?, path.run(options.warm_up).await?];
    failures.extend(path.check().await.err().map(|error| format!("{error:#}")));
    let (mut ceilings, mut samples) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        ceilings.push(path.ceiling(options.seconds).await?);
        samples.push(path.run(options.seconds).await?);
        failures.extend(path.check().await.err().map(|error| format!("{error:#}")));
    }
    path.tear_down().await?;
    let all = warm_up.iter().chain(&ceilings).chain(&samples);
    failures.extend(all.filter_map(|it| it.tally.first_error.clone()));
    failures.dedup();
    Ok(line_of(P::ABOUT, &scene, (&samples, &ceilings), failures))
}

fn line_of(
    about: About,
    scene: &Scene<'_>,
    (samples, ceilings): (&[Sample], &[Sample]),
    failures: Vec<String>,
) -> Line {
    let verdicts = about.goals.iter().map(|goal| {
        let values = samples
            .iter()
            .zip(ceilings)
            .filter_map(|(sample, ceiling)| compare(goal.figure, sample, ceiling));
        Verdict { figure: goal.figure, value: median(values), goal: Some(goal.bound) }
    });
    let rounds = samples.iter().zip(ceilings);
    Line {
        path: about.name.to_owned(),
        load: about.load.to_owned(),
        ceiling: about.ceiling.to_owned(),
        deployment: scene.deployment,
        loaded: scene.ground.load.is_some(),
        verdicts: verdicts.collect(),
        measured: Some(figures(samples)),
        held_against: Some(figures(ceilings)),
        rounds: rounds
            .map(|(it, ceiling)| Round::Rates {
                rate: it.tally.rate(),
                ceiling: ceiling.tally.rate(),
            })
            .collect(),
        failures,
    }
}

/// `None` where there is nothing to compare.
fn compare(figure: Figure, sample: &Sample, ceiling: &Sample) -> Option<f64> {
    let ratio = |of: f64, to: f64| (to > 0.0).then_some(of / to);
    let (rate, ceiling_rate) = (sample.tally.rate(), ceiling.tally.rate());
    match figure {
        Figure::Rate => ratio(rate, ceiling_rate),
        Figure::Time => ratio(ceiling_rate, rate),
        Figure::P99 => {
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
            let p99 = |it: &Sample| it.tally.latencies().map(|it| it.p99_micros as f64);
            ratio(p99(sample)?, p99(ceiling)?)
        }
        Figure::Milliseconds | Figure::Megabytes | Figure::OfEmpty => None,
    }
}

fn figures(samples: &[Sample]) -> Figures {
    let latency = |pick: fn(Latencies) -> u64| {
        let mut of_rounds: Vec<_> =
            samples.iter().filter_map(|it| it.tally.latencies().map(pick)).collect();
        of_rounds.sort_unstable();
        of_rounds.get(of_rounds.len() / 2).copied()
    };
    let cpu = |pick: fn(&Sample) -> Option<f64>| {
        let of_rounds: Vec<_> = samples.iter().filter_map(pick).collect();
        (!of_rounds.is_empty()).then(|| median(of_rounds))
    };
    Figures {
        rate: median(samples.iter().map(|it| it.tally.rate())),
        p50_micros: latency(|it| it.p50_micros),
        p99_micros: latency(|it| it.p99_micros),
        cpu_micros: cpu(|it| it.per_request(it.cpu?)),
        generator_cpu_micros: cpu(|it| it.per_request(it.generator_cpu?)),
        answers: samples.iter().map(|it| it.tally.answered).sum(),
        errors: samples.iter().map(|it| it.tally.errors).sum(),
    }
}

/// Zero of none, which meets no goal that asks for something.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_care_for_outliers() {
        assert!((median([0.9, 100.0, 0.8]) - 0.9).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).abs() < 1e-9);
    }
}
