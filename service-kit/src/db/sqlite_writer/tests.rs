//! Through `Db`, as the stores use it.

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::poll;
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use super::*;
use crate::{
    db::{Constraint, DatabaseUrl, Db, MigrationFile, Tx},
    sql, transaction,
};

const MIGRATIONS: Migrations = &[MigrationFile {
    version: 1,
    name: "names",
    sqlite: "CREATE TABLE owners (id INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE names (
                 name TEXT PRIMARY KEY,
                 owner_id INTEGER REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED
             ) STRICT;",
    postgres: "",
    mysql: "",
}];

struct Names {
    db: Db,
    writer: Writer,
    _folder: TempDir,
}

impl Names {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = DatabaseUrl::embedded(&folder.path().join("test.db"));
        let db = Db::open("TEST_DATABASE", &url, MIGRATIONS).await.expect("a database");
        let writer = db.sqlite_writer().expect("SQLite").clone();
        Self { db, writer, _folder: folder }
    }

    /// Those that are committed.
    async fn committed(&self) -> Vec<String> {
        let rows = self.db.read(sql!("SELECT name FROM names ORDER BY name")).fetch_all();
        let rows = rows.await.expect("rows");
        rows.iter().map(|row| row.get(0).expect("a name")).collect()
    }

    /// Starts `tasks` while a transaction is under way, and ends that when all wait.
    async fn at_once<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let first = self.db.begin().await.expect("begun");
        let tasks: JoinSet<_> = tasks.into_iter().collect();
        while self.writer.0.waiting.load(Ordering::Relaxed) < tasks.len() {
            tokio::task::yield_now().await;
        }
        drop(first);
        timeout(Duration::from_secs(30), tasks.join_all()).await.expect("all are answered")
    }
}

async fn insert(tx: &mut Tx, name: &str) -> Result<(), DbError> {
    let insert = tx.query(sql!("INSERT INTO names (name) VALUES (?)"));
    insert.bind(name.to_owned()).execute().await.map(drop)
}

async fn add(db: Db, name: String) -> Result<(), DbError> {
    transaction!(db, |tx| { insert(tx, &name).await })
}

fn violation(result: Result<(), DbError>) -> Result<(), Option<Constraint>> {
    result.map_err(|error| error.violated())
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}")).collect()
}

#[tokio::test]
async fn each_that_succeeds_takes_effect_and_none_that_fails() {
    let store = Names::open().await;
    add(store.db.clone(), "taken".to_owned()).await.expect("added");
    let tasks = names(100).into_iter().enumerate().map(|(number, name)| {
        let db = store.db.clone();
        async move {
            transaction!(db, |tx| {
                insert(tx, &name).await?;
                if number % 3 == 0 { insert(tx, "taken").await } else { Ok(()) }
            })
        }
    });
    let results = store.at_once(tasks).await.into_iter().map(violation);
    let results: Vec<_> = results.collect();
    assert_eq!(results.iter().filter(|one| **one == Err(Some(Constraint::Unique))).count(), 34);
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 66);
    let kept = names(100).into_iter().enumerate();
    let mut kept: Vec<_> = kept.filter(|(at, _)| at % 3 != 0).map(|(_, name)| name).collect();
    kept.push("taken".to_owned());
    assert_eq!(store.committed().await, kept);
}

#[tokio::test]
async fn those_that_wait_together_share_a_commit() {
    let store = Names::open().await;
    let count = SHARING_MAX - 1;
    let tasks = names(count).into_iter().map(|name| add(store.db.clone(), name));
    let frames = async || {
        // Pages in the log: a commit writes each page that it changes once.
        let state = store.db.read(sql!("PRAGMA wal_checkpoint(PASSIVE)")).fetch_one().await;
        state.expect("a row").get::<i64, _>(1).expect("a number")
    };
    // All that was written so far is in the file: the log begins anew.
    frames().await;
    assert!(store.at_once(tasks).await.iter().all(Result::is_ok));
    assert_eq!(store.committed().await.len(), count);
    let written = frames().await;
    assert!((1..10).contains(&written), "{written} pages for {count} rows");
}

#[tokio::test]
async fn a_commit_fails_for_the_one_that_is_to_blame() {
    let store = Names::open().await;
    let tasks = names(10).into_iter().enumerate().map(|(number, name)| {
        let db = store.db.clone();
        async move {
            transaction!(db, |tx| {
                insert(tx, &name).await?;
                if number == 4 {
                    // Found out by the commit alone.
                    let orphan = sql!("UPDATE names SET owner_id = 7 WHERE name = ?");
                    tx.query(orphan).bind(name.clone()).execute().await?;
                }
                Ok(())
            })
        }
    });
    let results = store.at_once(tasks).await.into_iter().map(violation);
    let results: Vec<_> = results.collect();
    let failed: Vec<_> = results.iter().filter(|one| one.is_err()).collect();
    assert_eq!(failed, [&Err(Some(Constraint::ForeignKey))]);
    assert_eq!(store.committed().await.len(), 9);
}

#[tokio::test]
async fn what_undoes_the_work_of_others_makes_them_run_again() {
    let store = Names::open().await;
    add(store.db.clone(), "taken".to_owned()).await.expect("added");
    let tasks = names(10).into_iter().enumerate().map(|(number, name)| {
        let db = store.db.clone();
        async move {
            transaction!(db, |tx| {
                insert(tx, &name).await?;
                if number == 6 {
                    // As a full disk does.
                    let all = sql!("INSERT OR ROLLBACK INTO names (name) VALUES ('taken')");
                    tx.query(all).execute().await?;
                }
                Ok(())
            })
        }
    });
    let results = store.at_once(tasks).await.into_iter().map(violation);
    let results: Vec<_> = results.collect();
    let failed: Vec<_> = results.iter().filter(|one| one.is_err()).collect();
    assert_eq!(failed, [&Err(Some(Constraint::Unique))]);
    assert_eq!(store.committed().await.len(), 1 + 9);
}

#[tokio::test]
async fn one_that_is_abandoned_is_undone() {
    let store = Names::open().await;
    let inserted = Arc::new(Notify::new());
    let stuck = tokio::spawn({
        let (db, inserted) = (store.db.clone(), inserted.clone());
        async move {
            let mut tx = db.begin().await.expect("begun");
            insert(&mut tx, "abandoned").await.expect("inserted");
            inserted.notify_one();
            pending::<()>().await;
        }
    });
    inserted.notified().await;
    let next = tokio::spawn(add(store.db.clone(), "next".to_owned()));
    stuck.abort();
    next.await.expect("no panic").expect("added");
    assert_eq!(store.committed().await, ["next"]);
}

#[tokio::test]
async fn one_that_is_abandoned_between_others_is_undone_alone() {
    let store = Names::open().await;
    let tasks = names(20).into_iter().enumerate().map(|(number, name)| {
        let db = store.db.clone();
        async move {
            let mut tx = db.begin().await.expect("begun");
            insert(&mut tx, &name).await.expect("inserted");
            if number % 2 == 0 {
                drop(tx);
            } else {
                tx.commit().await.expect("committed");
            }
        }
    });
    store.at_once(tasks).await;
    let kept: Vec<_> = names(20).into_iter().skip(1).step_by(2).collect();
    assert_eq!(store.committed().await, kept);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_happens_all_the_same() {
    let store = Names::open().await;
    let mut tx = store.db.begin().await.expect("begun");
    insert(&mut tx, "unattended").await.expect("inserted");
    {
        let mut commit = Box::pin(tx.commit());
        assert!(poll!(commit.as_mut()).is_pending());
    }
    add(store.db.clone(), "next".to_owned()).await.expect("added");
    assert_eq!(store.committed().await, ["next", "unattended"]);
}

#[tokio::test]
async fn a_statement_of_its_own_is_committed_or_undone() {
    let store = Names::open().await;
    let insert = || store.db.write(sql!("INSERT INTO names (name) VALUES ('alone')")).execute();
    assert_eq!(insert().await.expect("inserted"), 1);
    assert_eq!(insert().await.unwrap_err().violated(), Some(Constraint::Unique));
    add(store.db.clone(), "next".to_owned()).await.expect("added");
    assert_eq!(store.committed().await, ["alone", "next"]);
}

#[tokio::test]
async fn closing_commits_what_is_done_and_refuses_what_comes_later() {
    let store = Names::open().await;
    let tasks = names(10).into_iter().map(|name| add(store.db.clone(), name));
    assert!(store.at_once(tasks).await.iter().all(Result::is_ok));
    store.db.close().await;
    let late = add(store.db.clone(), "late".to_owned()).await;
    assert!(late.unwrap_err().is_unavailable());
}

/// See `.cargo/config.toml`: SQLite has no statement that would say so.
#[tokio::test]
async fn plans_depend_on_no_bound_value() {
    let names = Names::open().await;
    let select = sql!(
        "SELECT compile_options FROM pragma_compile_options WHERE compile_options = 'ENABLE_QPSG'"
    );
    names.db.read(select).fetch_one().await.expect("SQLite is built so");
}
