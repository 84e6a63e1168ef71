//! What was found, for people and for programs.

mod chart;
mod table;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::options::{DatabaseKind, Deployment};

pub(crate) use chart::chart;
pub(crate) use table::table;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) lines: Vec<Line>,
    /// What could not be measured at all, and why.
    pub(crate) failures: Vec<String>,
}

/// Under which it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conditions {
    /// Seconds since 1970 UTC.
    pub(crate) began_at: i64,
    pub(crate) cores: usize,
    /// Whether the programs are optimised.
    pub(crate) optimised: bool,
    pub(crate) database: DatabaseKind,
    /// What a commit waits for.
    pub(crate) durability: String,
    pub(crate) rounds: u16,
    pub(crate) seconds: f64,
}

/// A path beside its ceiling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) path: String,
    /// What is asked, and by how many.
    pub(crate) load: String,
    /// What it is held against; empty where it is against nothing but a goal.
    pub(crate) ceiling: String,
    pub(crate) deployment: Deployment,
    /// Whether there was much in the databases beforehand.
    pub(crate) loaded: bool,
    /// The result. The first one is what the path is about.
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) measured: Option<Figures>,
    pub(crate) held_against: Option<Figures>,
    pub(crate) rounds: Vec<Round>,
    /// Wrong answers (the first of each kind), and what did not hold afterwards.
    pub(crate) failures: Vec<String>,
}

/// What the comparison shows, over all rounds the median.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) figure: Figure,
    pub(crate) value: f64,
    /// What it should be, where anything is hoped for.
    pub(crate) goal: Option<Bound>,
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// The rate, of the ceiling's.
    Rate,
    /// The time for one, in times of the ceiling's.
    Time,
    /// The time that 99 of 100 stay below, in times of the ceiling's.
    P99,
    /// Milliseconds.
    Milliseconds,
    /// Millions of bytes.
    Megabytes,
    /// The first verdict, of what it is on empty databases.
    OfEmpty,
}

/// A goal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The medians of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Good answers a second.
    pub(crate) rate: f64,
    pub(crate) p50_micros: Option<u64>,
    pub(crate) p99_micros: Option<u64>,
    /// What is measured takes so much CPU for one; `None` where the system does not tell, or
    /// where others are answered at the same time.
    pub(crate) cpu_micros: Option<f64>,
    /// And the generator, where that is another process.
    pub(crate) generator_cpu_micros: Option<f64>,
    /// Good answers in all rounds.
    pub(crate) answers: u64,
    /// All other answers.
    pub(crate) errors: u64,
}

/// What one round has shown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Round {
    /// The rates of both sides.
    Rates { rate: f64, ceiling: f64 },
    /// Of what has no ceiling, in the unit of the first verdict.
    Alone { value: f64 },
}

/// Of what it is on empty databases, a path keeps at least so much when they are full.
const OF_EMPTY_MIN: f64 = 0.8;

impl Verdict {
    /// `None` where nothing is hoped for.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(match self.goal? {
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::AtMost(bound) => self.value <= bound,
        })
    }
}

impl Line {
    /// Whether both are about the same, whatever is in the databases.
    fn is_alike(&self, other: &Self) -> bool {
        self.path == other.path && self.deployment == other.deployment
    }

    /// Adds what is left of the path on `empty` databases, in the same run.
    fn compare_with_empty(&mut self, empty: &Self) {
        let (Some(loaded), Some(empty)) = (self.verdicts.first(), empty.verdicts.first()) else {
            return;
        };
        let (of, to) = match loaded.figure {
            Figure::Rate => (loaded.value, empty.value),
            // Less is better.
            Figure::Milliseconds | Figure::Megabytes => (empty.value, loaded.value),
            // Against itself, or without a database.
            Figure::Time | Figure::P99 | Figure::OfEmpty => return,
        };
        if to > 0.0 {
            let goal = Some(Bound::AtLeast(OF_EMPTY_MIN));
            self.verdicts.push(Verdict { figure: Figure::OfEmpty, value: of / to, goal });
        }
    }
}

impl Report {
    /// Adds a line; one of loaded databases is compared with its like.
    pub(crate) fn add(&mut self, mut line: Line) {
        if line.loaded {
            let empty = self.lines.iter().find(|it| !it.loaded && it.is_alike(&line));
            if let Some(empty) = empty {
                line.compare_with_empty(empty);
            }
        }
        self.lines.push(line);
    }

    /// The line of this report that is about the same as `line`.
    fn like(&self, line: &Line) -> Option<&Line> {
        self.lines.iter().find(|it| it.loaded == line.loaded && it.is_alike(line))
    }

    /// Wrong answers, broken invariants and paths that could not be measured.
    pub(crate) fn all_failures(&self) -> Vec<String> {
        let of_lines = self.lines.iter().flat_map(|line| {
            line.failures.iter().map(|failure| format!("{}: {failure}", line.path))
        });
        of_lines.chain(self.failures.iter().cloned()).collect()
    }

    /// Writes it to `path` as JSON.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(path, json + "\n").with_context(|| path.display().to_string())
    }

    /// Reads what [`Report::write`] wrote.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let json = fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&json).with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report of one line with one verdict.
    pub(super) fn report(path: &str, figure: Figure, value: f64, goal: Bound) -> Report {
        let figures = Figures {
            rate: 40_123.4,
            p50_micros: Some(1_234),
            p99_micros: Some(5_678),
            cpu_micros: Some(21.5),
            generator_cpu_micros: Some(4.0),
            answers: 1_000_000,
            errors: 3,
        };
        let line = Line {
            path: path.to_owned(),
            load: "a < b & c".to_owned(),
            ceiling: "nothing".to_owned(),
            deployment: Deployment::Standalone,
            loaded: false,
            verdicts: vec![Verdict { figure, value, goal: Some(goal) }],
            measured: Some(figures.clone()),
            held_against: Some(figures),
            rounds: Vec::new(),
            failures: Vec::new(),
        };
        let conditions = Conditions {
            began_at: 0,
            cores: 2,
            optimised: true,
            database: DatabaseKind::Sqlite,
            durability: "synchronous = FULL".to_owned(),
            rounds: 5,
            seconds: 5.0,
        };
        Report { conditions, lines: vec![line], failures: Vec::new() }
    }

    #[test]
    fn a_loaded_line_is_compared_with_its_like_where_less_may_be_better() {
        for (figure, empty, loaded, expected) in [
            (Figure::Rate, 0.9, 0.45, Some(0.5)),
            (Figure::Milliseconds, 100.0, 125.0, Some(0.8)),
            (Figure::P99, 1.0, 1.0, None),
        ] {
            let mut report = report("path", figure, empty, Bound::AtLeast(0.0));
            let mut line = report.lines[0].clone();
            (line.loaded, line.verdicts[0].value) = (true, loaded);
            report.add(line);
            let verdict = report.lines[1].verdicts.get(1);
            assert_eq!(
                verdict.map(|it| (it.figure, it.value)),
                expected.map(|it| (Figure::OfEmpty, it))
            );
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.json");
        let report = report("path", Figure::Time, 1.5, Bound::AtMost(3.0));
        report.write(&path).expect("written");
        let read = Report::read(&path).expect("read");
        assert_eq!(format!("{read:?}"), format!("{report:?}"));
    }
}
