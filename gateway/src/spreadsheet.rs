//! Lists as CSV (RFC 4180) that a spreadsheet takes for nothing but text and numbers.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use csv::Writer;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};

use crate::{problem::Problem, resources::Participant};

/// Whether `text/csv` is among what the client accepts by name.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|choice| {
        let essence = choice.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/csv")
    })
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
        table.write_record(cells.iter().map(|cell| harmless(cell).into_owned()))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// Marks as text what spreadsheets may take for a formula (OWASP, "CSV Injection").
fn harmless(cell: &str) -> Cow<'_, str> {
    const STARTS: [char; 11] =
        ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    if cell.trim_start_matches(' ').starts_with(STARTS) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use proto::training::v1::{self as training, Registration};

    use super::*;

    #[test]
    fn no_cell_can_start_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u{ff1d}1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "ann", "a=b", "ann@example.com", "7"] {
            assert_eq!(harmless(text), text);
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

    #[test]
    fn csv_is_for_those_who_ask_for_it() {
        for (accept, wanted) in
            [("text/csv", true), ("text/html, Text/CSV;q=0.9", true), ("*/*", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(is_wanted(&headers), wanted, "{accept}");
        }
    }
}
