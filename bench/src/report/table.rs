//! The table.

use super::{Bound, Figure, Figures, Line, Report, Verdict};
use crate::options::Deployment;

const HEAD: [&str; 13] = [
    "path",
    "rate/s",
    "ceiling/s",
    "result",
    "goal",
    "",
    "before",
    "p50",
    "p99",
    "CPU us",
    "ceiling",
    "generator",
    "errors",
];

/// The lines of `report`, with the results of the run `before` beside them.
pub(crate) fn table(report: &Report, before: Option<&Report>) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for line in &report.lines {
        let earlier = before.and_then(|report| report.like(line));
        for number in 0..line.verdicts.len().max(1) {
            rows.push(row(line, number, earlier));
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The first row of a line has its figures, each further one a further verdict.
fn row(line: &Line, number: usize, earlier: Option<&Line>) -> [String; HEAD.len()] {
    let is_first = number == 0;
    let verdict = line.verdicts.get(number);
    let before = verdict.and_then(|verdict| {
        let same = |it: &&Verdict| it.figure == verdict.figure;
        earlier?.verdicts.iter().find(same).map(result)
    });
    let figure = |figures: &Option<Figures>, show: fn(&Figures) -> String| {
        figures.as_ref().filter(|_| is_first).map(show).unwrap_or_default()
    };
    let measured = |show| figure(&line.measured, show);
    [
        if is_first { name(line) } else { String::new() },
        measured(|it| rate(it.rate)),
        figure(&line.held_against, |it| rate(it.rate)),
        verdict.map(result).unwrap_or_default(),
        verdict.map(goal).unwrap_or_default(),
        verdict.map(mark).unwrap_or_default().to_owned(),
        before.unwrap_or_default(),
        measured(|it| it.p50_micros.map(time).unwrap_or_default()),
        measured(|it| it.p99_micros.map(time).unwrap_or_default()),
        measured(|it| cpu(it.cpu_micros)),
        figure(&line.held_against, |it| cpu(it.cpu_micros)),
        measured(|it| cpu(it.generator_cpu_micros)),
        measured(|it| it.errors.to_string()),
    ]
}

/// What a line is called.
pub(super) fn name(line: &Line) -> String {
    let deployment = match line.deployment {
        Deployment::Standalone => "",
        Deployment::Processes => ", three processes",
    };
    let loaded = if line.loaded { ", loaded" } else { "" };
    format!("{}{deployment}{loaded}", line.path)
}

/// What a verdict says.
pub(super) fn result(verdict: &Verdict) -> String {
    with_unit(verdict.figure, verdict.value)
}

/// What it should say.
pub(super) fn goal(verdict: &Verdict) -> String {
    match verdict.goal {
        Some(Bound::AtLeast(bound)) => format!(">= {}", with_unit(verdict.figure, bound)),
        Some(Bound::AtMost(bound)) => format!("<= {}", with_unit(verdict.figure, bound)),
        None => String::new(),
    }
}

fn mark(verdict: &Verdict) -> &'static str {
    match verdict.is_met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    }
}

fn with_unit(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Rate => format!("{value:.2}"),
        Figure::Time => format!("{value:.2}x time"),
        Figure::P99 => format!("{value:.2}x p99"),
        Figure::Milliseconds => format!("{value:.0} ms"),
        Figure::Megabytes => format!("{value:.0} MB"),
        Figure::OfEmpty => format!("{value:.2} of empty"),
    }
}

fn rate(rate: f64) -> String {
    if rate < 1000.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
fn time(micros: u64) -> String {
    if micros < 1000 { format!("{micros} us") } else { format!("{:.1} ms", micros as f64 / 1000.0) }
}

/// Nothing where the system does not tell.
fn cpu(micros: Option<f64>) -> String {
    micros.map(|micros| format!("{micros:.1}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn a_result_stands_beside_its_goal_and_what_it_was_before() {
        let now = report("path", Figure::Rate, 0.834, Bound::AtLeast(0.85));
        let before = report("path", Figure::Rate, 0.7, Bound::AtLeast(0.85));
        let table = table(&now, Some(&before));
        let row = table.lines().nth(1).expect("a row");
        let cells: Vec<_> = row.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
        assert_eq!(
            cells,
            [
                "path", "40123", "40123", "0.83", ">= 0.85", "missed", "0.70", "1.2 ms", "5.7 ms",
                "21.5", "21.5", "4.0", "3"
            ]
        );
    }
}
