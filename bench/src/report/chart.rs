//! The chart: how far each result is from its goal.

use std::fmt::Write;

use super::{
    Bound, Line, Report, Verdict,
    table::{goal, name, result},
};

const WIDTH: usize = 900;
const NAMES_WIDTH: usize = 330;
const BARS_WIDTH: f64 = 320.0;
const ROW_HEIGHT: usize = 26;
const TOP: usize = 64;
/// Bars end here, however far beyond its goal a result is.
const SHARE_MAX: f64 = 2.0;

/// An SVG with a bar for each result that has a goal. All are scaled alike: at the line the goal
/// is met, and longer is better.
pub(crate) fn chart(report: &Report) -> String {
    let bars: Vec<_> = report
        .lines
        .iter()
        .flat_map(|line| line.verdicts.iter().map(move |verdict| (line, verdict)))
        .filter_map(|(line, verdict)| Some((line, verdict, share(verdict)?)))
        .collect();
    let height = TOP + bars.len() * ROW_HEIGHT + 16;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="26" font-size="16">Each path beside its goal</text>
<text x="16" y="46" fill="#666">{}</text>"##,
        escape(&conditions(report))
    );
    for (number, (line, verdict, share)) in bars.iter().enumerate() {
        bar(&mut svg, TOP + number * ROW_HEIGHT, line, verdict, *share);
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred pixels")]
    let at = NAMES_WIDTH as f64 + BARS_WIDTH / SHARE_MAX;
    let _ = writeln!(
        svg,
        r##"<line x1="{at}" y1="{}" x2="{at}" y2="{}" stroke="#222" stroke-dasharray="4 3"/>
</svg>"##,
        TOP - 8,
        height - 8
    );
    svg
}

fn bar(svg: &mut String, top: usize, line: &Line, verdict: &Verdict, share: f64) {
    let length = share.clamp(0.0, SHARE_MAX) / SHARE_MAX * BARS_WIDTH;
    let colour = if verdict.is_met() == Some(true) { "#2f8f5b" } else { "#c9572c" };
    let (middle, beside) = (top + 15, WIDTH - 16);
    let _ = writeln!(
        svg,
        r#"<text x="16" y="{middle}">{}</text>
<rect x="{NAMES_WIDTH}" y="{}" width="{length:.1}" height="16" fill="{colour}"><title>{}</title></rect>
<text x="{beside}" y="{middle}" text-anchor="end">{} ({})</text>"#,
        escape(&name(line)),
        top + 2,
        escape(&format!("{} beside {}", line.load, line.ceiling)),
        escape(&result(verdict)),
        escape(&goal(verdict)),
    );
}

/// How much of its goal a result is: 1 where it is just met, more where it is better.
fn share(verdict: &Verdict) -> Option<f64> {
    let (of, to) = match verdict.goal? {
        Bound::AtLeast(bound) => (verdict.value, bound),
        Bound::AtMost(bound) => (bound, verdict.value),
    };
    Some(if to > 0.0 { of / to } else { 0.0 })
}

fn conditions(report: &Report) -> String {
    let it = &report.conditions;
    let profile = if it.optimised { "" } else { ", not optimised" };
    format!(
        "{:?} ({}), {} cores, {} rounds of {} s{profile}; dashed: the goal, longer is better",
        it.database, it.durability, it.cores, it.rounds, it.seconds
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};
    use crate::report::Figure;

    #[test]
    fn a_bar_reaches_the_line_where_its_goal_is_met() {
        let chart = |value, goal| chart(&report("path", Figure::Rate, value, goal));
        assert!(
            chart(0.85, Bound::AtLeast(0.85)).contains(r##"width="160.0" height="16" fill="#2f"##)
        );
        assert!(
            chart(0.425, Bound::AtLeast(0.85)).contains(r##"width="80.0" height="16" fill="#c9"##)
        );
        assert!(
            chart(1.5, Bound::AtMost(3.0)).contains(r##"width="320.0" height="16" fill="#2f"##)
        );
        let text = chart(0.5, Bound::AtLeast(0.85));
        assert!(text.contains("a &lt; b &amp; c") && text.contains("&gt;= 0.85"), "{text}");
    }
}
