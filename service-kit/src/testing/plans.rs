//! What the databases plan to do for each statement.
//!
//! [`sql!`](crate::sql) notes each statement where it is written, so that a test program holds all
//! that are linked into it, whether a test runs them or not. A database that is asked to explain
//! them tells which read a whole table or a long range of it to find a few rows, and which sort all
//! they find to return the first few.
//!
//! Tables of tests are empty, so what counts is what a plan could use, not what it would cost:
//! PostgreSQL plans as if reading a table and sorting were out of the question, and of MariaDB only
//! an index that it could not use at all counts. SQLite plans without statistics anyway. All three
//! judge whole tables, SQLite and PostgreSQL sorting, PostgreSQL alone ranges.

mod explain;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs,
    path::PathBuf,
};

#[doc(hidden)]
pub use inventory;

use self::explain::Explainer;
use super::{TestDatabase, setting};
use crate::db::Statement;

/// A statement, and where it is written.
#[derive(Debug)]
pub struct Written {
    statement: Statement,
    module: &'static str,
    file: &'static str,
    line: u32,
}

impl Written {
    #[doc(hidden)]
    pub const fn new(
        statement: Statement,
        module: &'static str,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self { statement, module, file, line }
    }
}

inventory::collect!(Written);

/// Statements that may be planned as others may not.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// A part of their text.
    pub text: &'static str,
    /// What keeps that small.
    pub reason: &'static str,
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// It reads all of a table, or of an index, to find what it looks for.
    Scan(String),
    /// It reads a range of a table, however long, to find what it looks for somewhere in it.
    Walk,
    /// It sorts all that it finds, to return the first few.
    Sort,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scan(table) => write!(f, "reads all of {table}"),
            Self::Walk => f.write_str("walks through a range, of which it wants a part"),
            Self::Sort => f.write_str("sorts all that it finds, for a LIMIT"),
        }
    }
}

/// What a database answers.
#[derive(Debug)]
struct Plan {
    /// As it is to be shown.
    lines: Vec<String>,
    faults: Vec<Fault>,
}

/// Checks the plans of `database`, which was migrated, for the statements of `modules` (beginnings
/// of their paths).
///
/// Where the environment variable `QUERY_PLANS` names a folder, the plans are put there too, as
/// `<service>/<statement>/<database>.txt` (see `scripts/plans`).
///
/// # Panics
/// Tells all statements, but for `exceptions`, that read a whole table, walk through a range of which
/// they want a part, or sort all that they find for a LIMIT; and those of `modules` and `exceptions`
/// that fit no statement.
pub async fn check(
    service: &str,
    database: &TestDatabase,
    modules: &[&str],
    exceptions: &[Exception],
) {
    let written = statements(modules);
    let folder: Option<PathBuf> = setting("QUERY_PLANS");
    let mut explainer = Explainer::connect(database).await;
    let mut complaints = Vec::new();
    for (number, one) in written.values().enumerate() {
        let plan = explainer.explain(one.statement).await;
        let text = one.statement.question;
        let title = format!("{}:{}\n    {text}\n", one.file, one.line);
        let shown =
            plan.lines.iter().fold(String::new(), |shown, line| shown + "    " + line + "\n");
        if let Some(folder) = &folder {
            let folder = folder.join(format!("{service}/{number:03}"));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("statement.txt"), &title).expect("written");
            let name = format!("{:?}.txt", database.kind).to_lowercase();
            fs::write(folder.join(name), &shown).expect("written");
        }
        if exceptions.iter().any(|exception| text.contains(exception.text)) {
            continue;
        }
        for fault in &plan.faults {
            complaints.push(format!("{title}{fault}:\n{shown}"));
        }
    }
    for Exception { text, reason } in exceptions {
        if !written.keys().any(|(_, _, statement)| statement.contains(text)) {
            complaints.push(format!("no statement has {text:?}, an exception as {reason}\n"));
        }
    }
    assert!(complaints.is_empty(), "{:?}:\n{}", database.kind, complaints.join("\n"));
}

/// The statements of `modules`, each once, by where they are written.
fn statements(modules: &[&str]) -> BTreeMap<(&'static str, u32, &'static str), &'static Written> {
    let mut found = BTreeMap::new();
    let mut texts = HashSet::new();
    for module in modules {
        let before = found.len();
        let mut of_module: Vec<_> =
            inventory::iter::<Written>().filter(|one| one.module.starts_with(module)).collect();
        of_module.sort_unstable_by_key(|one| (one.file, one.line));
        for one in of_module {
            if texts.insert(one.statement.question) {
                found.insert((one.file, one.line, one.statement.question), one);
            }
        }
        assert!(found.len() > before, "there are no statements in {module}");
    }
    found
}
