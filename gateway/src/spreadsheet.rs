//! Lists as CSV (RFC 4180) that a spreadsheet takes for nothing but text and numbers.

use axum::response::{IntoResponse, Response};
use csv::Writer;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use crate::{negotiation::prefers, problem::Problem, resources::Participant};

/// Whether the client would rather have a list as CSV than as JSON.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    prefers(headers, "text/csv", "application/json")
}

/// A row for each participant, below one with the names of the columns.
///
/// # Errors
/// 500 where it cannot be written.
pub(crate) fn csv(participants: &[Participant]) -> Result<Response, Problem> {
    let table = write(participants).map_err(|error| {
        tracing::error!(%error, "a table cannot be written");
        Problem::internal()
    })?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(CONTENT_TYPE, kind)], table).into_response())
}

fn write(participants: &[Participant]) -> Result<Vec<u8>, csv::Error> {
    let mut table = Writer::from_writer(Vec::new());
    table.write_record(Participant::COLUMNS)?;
    for participant in participants {
        let cells = participant.cells();
        table.write_record(cells.iter().map(|cell| harmless(cell)))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// Marks as text what spreadsheets may take for a formula (OWASP, "CSV Injection"): at the start of
/// the cell, and after all that some of them take for its end, quoted or not.
fn harmless(cell: &str) -> String {
    const STARTS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    const BLANKS: [char; 3] = ['\t', '\r', '\n'];
    const ENDS: [char; 6] = [',', ';', '|', '\t', '\r', '\n'];
    let is_blank = cell.trim_start_matches(' ').starts_with(BLANKS);
    let mut text = String::from(if is_blank { "'" } else { "" });
    for part in cell.split_inclusive(ENDS) {
        if part.trim_start_matches([' ', '"']).starts_with(STARTS) {
            text.push('\'');
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use proto::training::v1::{self as training, Registration};

    use super::*;

    #[test]
    fn no_cell_can_start_a_formula() {
        for formula in
            ["=1+1", "+1", "-1", "@SUM(A1)", "\ta", "\ra", "\na", " =1", "\"=1", "\u{ff1d}1"]
        {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "ann", "a=b", "ann@example.com", "7", "a; b", "Doe, Ann-Lea", "a\r\nb"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn what_some_spreadsheet_takes_for_the_end_of_a_cell_starts_no_formula_either() {
        for (cell, expected) in [
            ("x;=1+1", "x;'=1+1"),
            ("x,-1", "x,'-1"),
            ("x|@SUM(A1)", "x|'@SUM(A1)"),
            ("x\t=1", "x\t'=1"),
            ("x\r\n+1", "x\r\n'+1"),
            ("x; \"=1\"", "x;' \"=1\""),
            ("x\";\u{ff1d}1", "x\";'\u{ff1d}1"),
            ("=1;;=2", "'=1;;'=2"),
            (";\t=1", ";\t'=1"),
            ("\t=1", "'\t'=1"),
        ] {
            assert_eq!(harmless(cell), expected, "{cell:?}");
        }
    }

    #[test]
    fn a_table_names_its_columns_and_quotes_what_needs_it() {
        let participant = Participant::new(training::Participant {
            registration: Some(Registration { id: 3, user_id: 7, ..Registration::default() }),
            username: "ann".to_owned(),
            email: "+ann@example.com".to_owned(),
            name: "=HYPERLINK(\"x\",\"y\")".to_owned(),
            ..training::Participant::default()
        });
        let table = write(&[participant.expect("a participant")]).expect("a table");
        assert_eq!(
            String::from_utf8(table).expect("text"),
            "registration_id,user_id,username,name,email,status,waitlist_position,registered_at,attendance\n\
             3,7,ann,\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\",'+ann@example.com,unknown,,,\n"
        );
    }
}
