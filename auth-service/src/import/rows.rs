//! The rows of a file, one after the other, whatever the file is.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use csv::ByteRecord;
use service_kit::{StartError, rejection::Violation};

use super::ImportFormat;

/// Bytes of a row: every column at its longest, and much that is not known.
const ROW_BYTES_MAX: u64 = 64 * 1024;
/// Columns that are not known and are named in the report.
const UNKNOWN_COLUMNS_MAX: usize = 100;

/// The values of a row, as text; empty where there is none.
#[derive(Default)]
pub(super) struct Row {
    /// Where it begins, from 1.
    pub(super) line: u64,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) roles: String,
    pub(super) disabled: String,
    pub(super) created_at: String,
    /// What cannot even be read as text.
    pub(super) violations: Vec<Violation>,
}

impl Row {
    /// The name of a column and its value; `None` where it is not known.
    fn column(&mut self, name: &str) -> Option<(&'static str, &mut String)> {
        Some(match name {
            "username" => ("username", &mut self.username),
            "email" => ("email", &mut self.email),
            "name" => ("name", &mut self.name),
            "password_hash" => ("password_hash", &mut self.password_hash),
            "role" | "roles" => ("roles", &mut self.roles),
            "disabled" => ("disabled", &mut self.disabled),
            "created_at" => ("created_at", &mut self.created_at),
            _ => return None,
        })
    }

    fn malformed(line: u64, why: impl Into<String>) -> Self {
        let violations = vec![Violation::new("row", "MALFORMED", why)];
        Self { line, violations, ..Self::default() }
    }
}

/// A file that is being read.
pub(super) struct Rows {
    path: PathBuf,
    source: Source,
    unknown_columns: BTreeSet<String>,
}

enum Source {
    Csv { reader: csv::Reader<Bounded<File>>, header: Vec<String>, record: ByteRecord },
    Jsonl { reader: BufReader<File>, line: u64, text: Vec<u8> },
}

impl Rows {
    pub(super) fn open(path: &Path, format: Option<ImportFormat>) -> Result<Self, StartError> {
        let failed = |error: String| StartError::other(format!("{}: {error}", path.display()));
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = format.or(match extension {
            Some("csv") => Some(ImportFormat::Csv),
            Some("jsonl" | "ndjson") => Some(ImportFormat::Jsonl),
            _ => None,
        });
        let format = format.ok_or_else(|| {
            failed("ends in neither .csv nor .jsonl: say what it is with --format".to_owned())
        })?;
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut unknown_columns = BTreeSet::new();
        let source = match format {
            ImportFormat::Jsonl => {
                Source::Jsonl { reader: BufReader::new(file), line: 0, text: Vec::new() }
            }
            ImportFormat::Csv => {
                let file = Bounded { inner: file, left: ROW_BYTES_MAX };
                // Lines are counted by their LF; a CR before it is white space, and trimmed.
                let mut reader = csv::ReaderBuilder::new()
                    .terminator(csv::Terminator::Any(b'\n'))
                    .flexible(true)
                    .from_reader(file);
                let header = reader.byte_headers().map_err(|error| failed(error.to_string()))?;
                let header: Vec<_> = header
                    .iter()
                    .map(|name| String::from_utf8_lossy(name).trim().to_lowercase())
                    .collect();
                check_header(&header).map_err(failed)?;
                let unknown = header.iter().filter(|name| Row::default().column(name).is_none());
                unknown_columns.extend(unknown.take(UNKNOWN_COLUMNS_MAX).cloned());
                Source::Csv { reader, header, record: ByteRecord::new() }
            }
        };
        Ok(Self { path: path.to_owned(), source, unknown_columns })
    }

    /// Columns that were passed over so far.
    pub(super) fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        self.unknown_columns.iter().map(String::as_str)
    }

    /// The next row.
    ///
    /// # Errors
    /// Where the file cannot be read any further.
    pub(super) fn next(&mut self) -> Result<Option<Row>, StartError> {
        let row = match &mut self.source {
            Source::Csv { reader, header, record } => next_csv(reader, header, record),
            Source::Jsonl { reader, line, text } => {
                next_json(reader, line, text, &mut self.unknown_columns)
            }
        };
        row.map_err(|error| StartError::other(format!("{}: {error}", self.path.display())))
    }
}

fn check_header(header: &[String]) -> Result<(), String> {
    let count = |names: &[&str]| header.iter().filter(|one| names.contains(&one.as_str())).count();
    if count(&["password_hash"]) == 0 || count(&["username", "email"]) == 0 {
        return Err("the first line must name the columns: password_hash, and username or email \
                    or both"
            .to_owned());
    }
    let known: [&[&str]; 7] = [
        &["username"],
        &["email"],
        &["name"],
        &["password_hash"],
        &["role", "roles"],
        &["disabled"],
        &["created_at"],
    ];
    match known.iter().find(|names| count(names) > 1) {
        Some(names) => Err(format!("the first line names the column {} twice", names.join(" or "))),
        None => Ok(()),
    }
}

fn next_csv(
    reader: &mut csv::Reader<Bounded<File>>,
    header: &[String],
    record: &mut ByteRecord,
) -> Result<Option<Row>, String> {
    reader.get_mut().left = ROW_BYTES_MAX;
    loop {
        let line = reader.position().line();
        let read = reader.read_byte_record(record);
        if !read.map_err(|error| format!("line {line}: {error}"))? {
            return Ok(None);
        }
        // A line that is empty but for its CR.
        if record.as_slice() != b"\r" {
            break;
        }
    }
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != header.len() {
        let why = format!("the row has {} values for {} columns", record.len(), header.len());
        return Ok(Some(Row::malformed(line, why)));
    }
    let mut row = Row { line, ..Row::default() };
    let mut violations = Vec::new();
    for (name, bytes) in header.iter().zip(&*record) {
        let Some((field, value)) = row.column(name) else { continue };
        match str::from_utf8(bytes) {
            Ok(text) => text.trim().clone_into(value),
            Err(_) => violations.push(not_text(field)),
        }
    }
    row.violations = violations;
    Ok(Some(row))
}

fn next_json(
    reader: &mut BufReader<File>,
    line: &mut u64,
    text: &mut Vec<u8>,
    unknown_columns: &mut BTreeSet<String>,
) -> Result<Option<Row>, String> {
    loop {
        text.clear();
        let read = reader.by_ref().take(ROW_BYTES_MAX).read_until(b'\n', text);
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
        *line += 1;
        if !text.ends_with(b"\n") && text.len() as u64 == ROW_BYTES_MAX {
            reader.skip_until(b'\n').map_err(|error| error.to_string())?;
            let why = format!("the row is longer than {ROW_BYTES_MAX} bytes");
            return Ok(Some(Row::malformed(*line, why)));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| *line == 1).unwrap_or(text);
        if text.trim_ascii().is_empty() {
            continue;
        }
        let Ok(object) = serde_json::from_slice::<serde_json::Map<_, _>>(text) else {
            return Ok(Some(Row::malformed(*line, "the row is not a JSON object")));
        };
        let mut row = Row { line: *line, ..Row::default() };
        let mut violations = Vec::new();
        for (name, json) in object {
            let Some((field, value)) = row.column(&name) else {
                if unknown_columns.len() < UNKNOWN_COLUMNS_MAX {
                    unknown_columns.insert(name);
                }
                continue;
            };
            match text_of(&json) {
                Some(text) => text.trim().clone_into(value),
                None => violations.push(not_text(field)),
            }
        }
        row.violations = violations;
        return Ok(Some(row));
    }
}

/// A JSON value as CSV would have it.
fn text_of(json: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match json {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(words) => {
            let words: Option<Vec<_>> = words.iter().map(Value::as_str).collect();
            Some(words?.join(","))
        }
        Value::Object(_) => None,
    }
}

fn not_text(field: &'static str) -> Violation {
    Violation::new(field, "INVALID_FORMAT", format!("{field} is not text in UTF-8"))
}

/// A file of which a reader may take so many bytes at a time: a quote that is never closed must
/// not become a row of gigabytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let why = format!("a row is longer than {ROW_BYTES_MAX} bytes: is a quote not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let read = (&mut self.inner).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}
