//! Tables for a terminal.

use std::fmt::Write;

use service_kit::{StartError, Timestamp};

/// One line: each cell as wide as its column, the last as long as it is.
pub(super) fn row<const COLUMNS: usize>(
    cells: [&str; COLUMNS],
    widths: [usize; COLUMNS],
) -> String {
    let mut line = String::new();
    for (cell, width) in cells.into_iter().zip(widths) {
        // Into a String: it cannot fail.
        let _ = write!(line, "{cell:<width$}  ");
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// A time to the second (RFC 3339); `-` for none.
///
/// # Errors
/// Where it is out of the range of the calendar.
pub(super) fn time(time: Option<Timestamp>) -> Result<String, StartError> {
    let Some(time) = time else { return Ok("-".to_owned()) };
    let time = jiff::Timestamp::from_second(time.seconds());
    time.map(|time| time.to_string()).map_err(|error| StartError::other(error.to_string()))
}
