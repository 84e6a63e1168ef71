//! Moving in: accounts of another program, with the password hashes it made.
//!
//! The file is read twice. The first pass reports every row that cannot work, and why; only when
//! there is none (or bad rows are to be left out) does the second one write, a hundred rows in
//! each transaction. Both judge rows in the same way, and a row that is in the database already is
//! done, so that an import that was interrupted is simply run again.
//!
//! | Column | |
//! |---|---|
//! | `username`, `email` | at least one of them; by which, and the password, users sign in |
//! | `password_hash` | as the other program stored it: see `passwords::stored` for the formats |
//! | `name` | to display; may be empty |
//! | `roles` or `role` | `user`, `coach`, `admin`, separated by white space, `,`, `;` or `\|`; default `user` |
//! | `disabled` | `true` or `false`, `1` or `0`, `yes` or `no`; default `false` |
//! | `created_at` | RFC 3339 (UTC where it has no offset) or seconds since 1970; default now |
//!
//! CSV (RFC 4180, with a header line) or JSON Lines, in UTF-8. Other columns are reported and
//! ignored. Memory is bounded: a batch of rows, and eight bytes for each name, doubled at most
//! twice by the table they are in: about 300 MB for ten million rows with both names.

mod account;
mod rows;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::Write,
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use service_kit::{
    Clock, Shutdown, StartError,
    db::{Constraint, DatabaseUrl, Db, DbError},
    rejection::Violation,
};

use crate::{
    model::{Email, Username},
    passwords::StoredHash,
    store::{ExistingAccount, IMPORT_ROWS_MAX, MIGRATIONS, Store},
};
use account::Account;
use rows::Rows;

/// Rows of one file.
const ROWS_MAX: u64 = 10_000_000;
/// After how many rows a line of progress is written.
const PROGRESS_ROWS: u64 = 10_000;
/// How often a batch is written while others take the names in it.
const TRIES_MAX: usize = 3;

/// What to import, and how.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct ImportOptions {
    /// A file of accounts: CSV with a header line, or JSON Lines
    pub file: PathBuf,

    /// Report what would be done, and write nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Import the good rows although others are bad.
    #[arg(long)]
    pub skip_invalid: bool,

    /// What the file is. Default: what its name ends in
    #[arg(long)]
    pub format: Option<ImportFormat>,
}

/// What a file of accounts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What became of the rows of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Rows that were read.
    pub rows: u64,
    /// Accounts that were made, or with `--dry-run` would be.
    pub imported: u64,
    /// Accounts that were there already.
    pub already_there: u64,
    /// Rows that cannot be imported.
    pub refused: u64,
}

/// Imports a file of accounts into `database`, while services use it or not. Progress and bad rows
/// go to `report`; no password hash ever does.
///
/// # Errors
/// Where the file cannot be read, the database does not answer, or rows are bad and are not to be
/// left out; then nothing was written. After `shutdown` has begun it stops between two batches.
pub async fn import(
    options: &ImportOptions,
    database: &DatabaseUrl,
    clock: &Clock,
    shutdown: &Shutdown,
    report: &mut (dyn Write + Send),
) -> Result<ImportSummary, StartError> {
    let db = Db::open("AUTH_DATABASE_URL", database, MIGRATIONS).await?;
    let importing = Import {
        options,
        store: Store::new(db.clone()),
        clock,
        shutdown,
        report,
        seen: HashSet::new(),
        summary: ImportSummary::default(),
    };
    let imported = importing.run().await;
    db.close().await;
    imported
}

struct Import<'a> {
    options: &'a ImportOptions,
    store: Store,
    clock: &'a Clock,
    shutdown: &'a Shutdown,
    report: &'a mut (dyn Write + Send),
    /// A hash of each name in the file so far. That two names have the same has, in ten million
    /// rows, a probability of one in a hundred thousand; then a row is reported for nothing.
    seen: HashSet<u64>,
    summary: ImportSummary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Check,
    Write,
}

/// A row, and what is to become of it.
enum Judged {
    New(Account),
    AlreadyThere,
    Refused(BadRow),
}

/// A row that cannot be imported.
struct BadRow {
    /// Where it begins, from 1.
    line: u64,
    /// Every reason.
    violations: Vec<Violation>,
}

impl Import<'_> {
    async fn run(mut self) -> Result<ImportSummary, StartError> {
        self.pass(Pass::Check).await?;
        let checked = self.summary;
        let ImportSummary { rows, imported, already_there, refused } = checked;
        self.say(&format!(
            "checked {rows} rows: {imported} to import, {already_there} already there, \
             {refused} cannot be imported"
        ));
        if refused > 0 && !self.options.skip_invalid {
            return Err(StartError::other(format!(
                "{refused} of {rows} rows cannot be imported, and nothing was written: mend them, \
                 or leave them out with --skip-invalid"
            )));
        }
        if self.options.dry_run {
            return Ok(checked);
        }
        self.seen = HashSet::new();
        self.summary = ImportSummary::default();
        self.pass(Pass::Write).await?;
        let ImportSummary { imported, already_there, .. } = self.summary;
        self.say(&format!("imported {imported} accounts; {already_there} were already there"));
        if self.summary.refused > refused {
            let more = self.summary.refused - refused;
            return Err(StartError::other(format!(
                "{more} rows could be imported when they were checked, and then no longer: \
                 run it again to see which"
            )));
        }
        Ok(self.summary)
    }

    async fn pass(&mut self, pass: Pass) -> Result<(), StartError> {
        let now = self.clock.now();
        let mut rows = Rows::open(&self.options.file, self.options.format)?;
        loop {
            let mut batch = Vec::with_capacity(IMPORT_ROWS_MAX);
            while batch.len() < IMPORT_ROWS_MAX
                && let Some(row) = rows.next()?
            {
                batch.push(self.refuse_repeated(Account::parse(row, now)));
            }
            if batch.is_empty() {
                break;
            }
            if self.shutdown.has_begun() {
                let rows = self.summary.rows;
                let message = format!("stopped after {rows} rows: run it again to go on");
                return Err(StartError::other(message));
            }
            self.take(batch, pass).await?;
            if self.summary.rows > ROWS_MAX {
                let message = format!("more than {ROWS_MAX} rows: split the file");
                return Err(StartError::other(message));
            }
        }
        if pass == Pass::Check {
            for column in rows.unknown_columns() {
                self.say(&format!("column {column:?} is not known and is ignored"));
            }
        }
        Ok(())
    }

    /// A row whose names no row above it has.
    fn refuse_repeated(&mut self, row: Result<Account, BadRow>) -> Judged {
        let account = match row {
            Ok(account) => account,
            Err(bad) => return Judged::Refused(bad),
        };
        let mut violations = Vec::new();
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let names = [
            ("username", account.username.as_ref().map(Username::key)),
            ("email", account.email.as_ref().map(Email::key)),
        ];
        for (field, key) in names {
            if key.is_some_and(|key| !self.seen.insert(hasher.hash_one((field, key)))) {
                let description = format!("a row above has the same {field}");
                violations.push(Violation::new(field, "REPEATED", description));
            }
        }
        if violations.is_empty() {
            Judged::New(account)
        } else {
            Judged::Refused(BadRow { line: account.line, violations })
        }
    }

    /// Compares a batch with the database, and reports or writes it.
    async fn take(&mut self, mut batch: Vec<Judged>, pass: Pass) -> Result<(), StartError> {
        let mut tries = 0;
        loop {
            self.compare(&mut batch).await?;
            if pass == Pass::Check {
                break;
            }
            let new = batch.iter().filter_map(|row| match row {
                Judged::New(account) => Some(account.row()),
                Judged::AlreadyThere | Judged::Refused(_) => None,
            });
            let new: Vec<_> = new.collect();
            tries += 1;
            match self.store.insert_imported(&new, self.clock.now()).await {
                // Someone has just taken a name: look again.
                Err(error) if error.violated() == Some(Constraint::Unique) && tries < TRIES_MAX => {
                }
                Err(error) => return Err(StartError::other(error.to_string())),
                Ok(()) => break,
            }
        }
        for row in &batch {
            match row {
                Judged::New(_) => self.summary.imported += 1,
                Judged::AlreadyThere => self.summary.already_there += 1,
                Judged::Refused(bad) => {
                    self.summary.refused += 1;
                    if pass == Pass::Check {
                        self.report_bad(bad);
                    }
                }
            }
            self.summary.rows += 1;
            if self.summary.rows.is_multiple_of(PROGRESS_ROWS) {
                let done = if pass == Pass::Check { "checked" } else { "imported" };
                self.say(&format!("{done} {} rows ...", self.summary.rows));
            }
        }
        Ok(())
    }

    /// Finds the rows of a batch whose names accounts have already.
    async fn compare(&self, batch: &mut [Judged]) -> Result<(), StartError> {
        let failed = |error: DbError| StartError::other(error.to_string());
        let (mut usernames, mut emails) = (Vec::new(), Vec::new());
        for row in &*batch {
            if let Judged::New(account) = row {
                usernames.extend(account.username.as_ref().map(Username::key));
                emails.extend(account.email.as_ref().map(Email::key));
            }
        }
        let accounts = self.store.accounts_named(&usernames, &emails).await.map_err(failed)?;
        if accounts.is_empty() {
            return Ok(());
        }
        for row in batch {
            let Judged::New(account) = &*row else { continue };
            let mut violations = Vec::new();
            let mut is_there = false;
            for existing in &accounts {
                let shared = account.shares_names(existing);
                if shared.is_empty() {
                    continue;
                }
                if self.is_done(account, existing).await.map_err(failed)? {
                    is_there = true;
                } else {
                    violations.extend(shared);
                }
            }
            if !violations.is_empty() {
                *row = Judged::Refused(BadRow { line: account.line, violations });
            } else if is_there {
                *row = Judged::AlreadyThere;
            }
        }
        Ok(())
    }

    /// Whether `existing` came from this row: it has its hash, or has all its names and was
    /// imported, and the hash has since been replaced by one of ours at a sign-in.
    async fn is_done(
        &self,
        account: &Account,
        existing: &ExistingAccount,
    ) -> Result<bool, DbError> {
        if existing.password_hash == account.password_hash {
            return Ok(true);
        }
        let was_replaced = account.has_names_of(existing)
            && StoredHash::parse(&existing.password_hash).is_ok_and(|hash| hash.is_argon2());
        Ok(was_replaced && self.store.was_imported(existing.id).await?)
    }

    fn report_bad(&mut self, bad: &BadRow) {
        for Violation { field, reason, description } in &bad.violations {
            self.say(&format!("line {}: {field}: {reason}: {description}", bad.line));
        }
    }

    fn say(&mut self, line: &str) {
        // Nobody may be listening; the summary is returned as well.
        let _ = writeln!(self.report, "{line}");
    }
}
