//! What is found in plans.

use super::{
    Fault::{self, Scan, Sort, Walk},
    explain::Explainer,
};
use crate::{
    db::{MigrationFile, Migrations, Statement},
    on_each_database, sql,
};

const MIGRATIONS: Migrations = &[MigrationFile {
    version: 1,
    name: "things",
    sqlite: "CREATE TABLE things (id INTEGER PRIMARY KEY, place INTEGER, name TEXT) STRICT;
             CREATE INDEX things_by_place ON things (place);",
    postgres: "CREATE TABLE things (id BIGINT PRIMARY KEY, place BIGINT, name TEXT);
               CREATE INDEX things_by_place ON things (place);",
    mysql: "CREATE TABLE things (id BIGINT PRIMARY KEY, place BIGINT, name VARCHAR(20));
            CREATE INDEX things_by_place ON things (place);",
}];

const HARMLESS: [Statement; 6] = [
    sql!("SELECT name FROM things WHERE place = ? AND name = ?"),
    sql!("SELECT name FROM things WHERE place > ? ORDER BY place LIMIT ?"),
    sql!("SELECT name FROM things ORDER BY id LIMIT ?"),
    // A few, and all of them are wanted.
    sql!("SELECT name FROM things WHERE place = ? ORDER BY name"),
    sql!("INSERT INTO things (id, place, name) VALUES (?, ?, ?)"),
    sql!("UPDATE things SET name = ? WHERE id = ?"),
];

const SCANS: [Statement; 5] = [
    sql!("SELECT id FROM things WHERE name = ?"),
    // In the order of an index, for as long as it takes to find some.
    sql!("SELECT name FROM things WHERE name > ? ORDER BY place LIMIT ?"),
    sql!("SELECT COUNT(*) FROM things"),
    sql!("UPDATE things SET place = ? WHERE name = ?"),
    sql!(
        "SELECT a.name FROM things a WHERE a.place = ? \
         AND EXISTS (SELECT b.id FROM things b WHERE b.name = a.name)"
    ),
];

const WALKS: [Statement; 2] = [
    sql!("SELECT id FROM things WHERE place > ? AND name = ? ORDER BY place LIMIT 1"),
    sql!("DELETE FROM things WHERE id < ? AND name = ?"),
];

const SORTS: [Statement; 2] = [
    sql!("SELECT id FROM things WHERE place = ? ORDER BY name LIMIT ?"),
    sql!("SELECT id FROM things WHERE place > ? ORDER BY name LIMIT 1"),
];

on_each_database! {
    async fn what_grows_with_a_table_is_found_in_a_plan(database) {
        database.open(MIGRATIONS).await;
        let mut explainer = Explainer::connect(&database).await;
        for statement in HARMLESS {
            let plan = explainer.explain(statement).await;
            assert_eq!(plan.faults, [], "{statement:?}: {:#?}", plan.lines);
        }
        for statement in SCANS {
            let plan = explainer.explain(statement).await;
            let is_scan = |fault: &Fault| matches!(fault, Scan(_));
            assert!(plan.faults.iter().any(is_scan), "{statement:?}: {:#?}", plan.lines);
        }
        for statement in WALKS {
            let plan = explainer.explain(statement).await;
            let expected: &[Fault] =
                if database.kind == DatabaseKind::Postgres { &[Walk] } else { &[] };
            assert_eq!(plan.faults, expected, "{statement:?}: {:#?}", plan.lines);
        }
        for statement in SORTS {
            let plan = explainer.explain(statement).await;
            let expected: &[Fault] =
                if database.kind == DatabaseKind::MySql { &[] } else { &[Sort] };
            assert_eq!(plan.faults, expected, "{statement:?}: {:#?}", plan.lines);
        }
    }
}

#[test]
fn statements_are_found_where_they_are_written() {
    let written = super::statements(&[module_path!()]);
    let (file, line, text) = written.keys().next().expect("statements");
    assert!(file.ends_with("plans/tests.rs") && *line > 20, "{file}:{line}");
    assert_eq!(*text, "SELECT name FROM things WHERE place = ? AND name = ?");
    assert_eq!(written.len(), HARMLESS.len() + SCANS.len() + WALKS.len() + SORTS.len());
}
