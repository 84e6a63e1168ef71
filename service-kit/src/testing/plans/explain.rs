//! Asking each kind of database for its plan, and reading the answer.

use std::collections::HashMap;

use sqlx::{
    AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row, SqliteConnection, raw_sql,
};

use super::{Fault, Plan};
use crate::{
    db::{Statement, without_returning},
    testing::{DatabaseKind, TestDatabase},
};

/// A connection to ask on.
pub(super) enum Explainer {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Explainer {
    pub(super) async fn connect(database: &TestDatabase) -> Self {
        let url = &database.url;
        match database.kind {
            DatabaseKind::Sqlite => {
                Self::Sqlite(SqliteConnection::connect(url).await.expect("SQLite answers"))
            }
            DatabaseKind::Postgres => {
                let mut connection = PgConnection::connect(url).await.expect("PostgreSQL answers");
                // A plan for values that are not known yet, with what it could not do without.
                let set = "SET plan_cache_mode = force_generic_plan; \
                           SET enable_seqscan = off; SET enable_sort = off";
                raw_sql(set).execute(&mut connection).await.expect("settings");
                Self::Postgres(connection)
            }
            DatabaseKind::MySql => {
                Self::MySql(MySqlConnection::connect(url).await.expect("MariaDB answers"))
            }
        }
    }

    pub(super) async fn explain(&mut self, statement: Statement) -> Plan {
        let text = statement.question;
        let has_limit = text.contains(" LIMIT ");
        let mut plan = match self {
            Self::Sqlite(connection) => sqlite(connection, statement).await,
            Self::Postgres(connection) => postgres(connection, statement).await,
            Self::MySql(connection) => mysql(connection, statement).await,
        };
        plan.faults.dedup();
        if !has_limit {
            plan.faults.retain(|fault| *fault != Fault::Sort);
        } else if !text.contains(" WHERE ") && !plan.faults.contains(&Fault::Sort) {
            // It ends after the first few rows, all of which count.
            plan.faults.clear();
        }
        plan
    }
}

/// The plan is a tree of notes, in the order of their depth.
async fn sqlite(connection: &mut SqliteConnection, statement: Statement) -> Plan {
    if statement.question.ends_with(" FOR UPDATE") {
        // As `Query::lock` has it.
        return Plan { lines: vec!["not run".to_owned()], faults: Vec::new() };
    }
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.question));
    let rows = raw_sql(sql).fetch_all(connection).await.expect("a plan");
    let mut depths = HashMap::from([(0, 0)]);
    let (mut lines, mut faults, mut derived) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let note: String = row.get("detail");
        let depth = depths[&row.get::<i64, _>("parent")];
        depths.insert(row.get("id"), depth + 1);
        lines.push(format!("{}{note}", "  ".repeat(depth)));
        let (verb, rest) = note.split_once(' ').unwrap_or((&note, ""));
        let table = rest.split(' ').next().unwrap_or_default();
        match verb {
            "CO-ROUTINE" | "MATERIALIZE" => derived.push(table.to_owned()),
            "SCAN" if !derived.iter().any(|one| one == table) => {
                faults.push(Fault::Scan(table.to_owned()));
            }
            // An index that is made for this one statement.
            "SEARCH" if note.contains(" AUTOMATIC ") && !derived.iter().any(|one| one == table) => {
                faults.push(Fault::Scan(table.to_owned()));
            }
            "USE" if note.contains("ORDER BY") => faults.push(Fault::Sort),
            _ => {}
        }
    }
    Plan { lines, faults }
}

/// The plan is a tree of nodes, each with lines of its own below it. Of an index, all is read
/// where the node has no condition, and a range where that is not for equality.
async fn postgres(connection: &mut PgConnection, statement: Statement) -> Plan {
    let prepare = AssertSqlSafe(format!("PREPARE asked AS {}", statement.dollar));
    raw_sql(prepare).execute(&mut *connection).await.expect("a statement");
    let count = "SELECT cardinality(parameter_types) FROM pg_prepared_statements";
    let count = raw_sql(count).fetch_one(&mut *connection).await.expect("a number");
    let nulls = vec!["NULL"; usize::try_from(count.get::<i32, _>(0)).expect("a number")].join(", ");
    let values = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE asked{values}"));
    let rows = raw_sql(explain).fetch_all(&mut *connection).await.expect("a plan");
    raw_sql("DEALLOCATE asked").execute(connection).await.expect("forgotten");

    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut faults = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let node = line.trim_start().trim_start_matches("->").trim_start();
        let table = || node.rsplit(" on ").next().unwrap_or(node).to_owned();
        let is_index = node.starts_with("Index ") && node.contains(" Scan")
            || node.starts_with("Bitmap Index Scan");
        let has_condition =
            || lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with("Index Cond:"));
        let is_range = (node.starts_with("Index Cond:") || node.starts_with("Recheck Cond:"))
            && ![" = ", " IS NULL"].iter().any(|exactly| node.contains(exactly));
        let has_filter =
            || lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with("Filter:"));
        if node.starts_with("Seq Scan") || is_index && !has_condition() {
            faults.push(Fault::Scan(table()));
        } else if is_range && has_filter() {
            faults.push(Fault::Walk);
        } else if node == "Sort" || node == "Incremental Sort" {
            faults.push(Fault::Sort);
        }
    }
    Plan { lines, faults }
}

/// The plan is a table.
#[expect(clippy::disallowed_methods, reason = "what is asked for is no statement of a service")]
async fn mysql(connection: &mut MySqlConnection, statement: Statement) -> Plan {
    // As `Query::fetch_updated` has it.
    let text = without_returning(statement.question);
    let sql = AssertSqlSafe(format!("EXPLAIN {text}"));
    let values = text.matches('?');
    // Text, since that is compared with a column of any type by its index.
    let query = values.fold(sqlx::query(sql), |query, _| query.bind("1"));
    let rows = query.fetch_all(connection).await.expect("a plan");
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for row in rows {
        let column = |name: &str| row.get::<Option<String>, _>(name);
        let (select_type, table) = (column("select_type"), column("table"));
        let (access, possible) = (column("type"), column("possible_keys"));
        let shown = ["select_type", "table", "type", "possible_keys", "key", "Extra"];
        let shown = shown.iter().filter_map(|name| {
            let value = column(name).filter(|value| !value.is_empty())?;
            Some(format!("{name}: {value}"))
        });
        lines.push(shown.collect::<Vec<_>>().join(", "));
        let Some(table) = table.filter(|table| !table.starts_with('<')) else { continue };
        let is_whole = matches!(access.as_deref(), Some("ALL" | "index")) && possible.is_none();
        if is_whole && select_type.as_deref() != Some("INSERT") {
            faults.push(Fault::Scan(table));
        }
    }
    Plan { lines, faults }
}
