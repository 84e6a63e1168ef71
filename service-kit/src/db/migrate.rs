//! Bringing a database to the schema that this version of a service expects.

use std::time::Duration;

use sqlx::{
    Connection, MySql, Postgres, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tokio::time::sleep;

use super::connections::Connections;

/// One migration in the DDL of each database.
#[derive(Clone, Copy, Debug)]
pub struct MigrationFile {
    /// Ascending, never changed once released.
    pub version: i64,
    /// What it brings.
    pub name: &'static str,
    /// The DDL for SQLite.
    pub sqlite: &'static str,
    /// The DDL for PostgreSQL.
    pub postgres: &'static str,
    /// The DDL for MySQL and MariaDB.
    pub mysql: &'static str,
}

/// The migrations of one service, oldest first.
pub type Migrations = &'static [MigrationFile];

/// The migrations of a service, from `migrations/<service>/<database>/<file>.sql`.
#[macro_export]
macro_rules! migrations {
    ($service:literal: $($version:literal $name:literal),+ $(,)?) => {
        &[$($crate::db::MigrationFile {
            version: $version,
            name: $name,
            sqlite: $crate::migrations!(@file $service "/sqlite/" $name),
            postgres: $crate::migrations!(@file $service "/postgres/" $name),
            mysql: $crate::migrations!(@file $service "/mysql/" $name),
        }),+]
    };
    (@file $service:literal $database:literal $name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../migrations/", $service, $database, $name, ".sql"
        ))
    };
}

/// How long a replica waits for another one that migrates the same database, in seconds.
const LOCK_SECONDS_MAX: i64 = 60;
/// How often an embedded database is tried, and the pause between.
const SQLITE_TRIES_MAX: u32 = 5;
const SQLITE_PAUSE: Duration = Duration::from_millis(100);

/// A SQLite file has no lock that outlasts a transaction, but each migration is one: where another
/// process was quicker, the next look finds its work done.
pub(super) async fn sqlite(
    connection: &mut SqliteConnection,
    migrations: Migrations,
) -> Result<(), MigrateError> {
    let migrator = migrator(migrations, |file| file.sqlite);
    for _ in 1..SQLITE_TRIES_MAX {
        match migrator.run_direct(None, connection, false).await {
            Err(MigrateError::ExecuteMigration(..) | MigrateError::Execute(_)) => {
                sleep(SQLITE_PAUSE).await;
            }
            migrated => return migrated,
        }
    }
    migrator.run_direct(None, connection, false).await
}

pub(super) async fn postgres(
    connections: &Connections<Postgres>,
    migrations: Migrations,
) -> Result<(), MigrateError> {
    let mut connection = connections.connect().await?;
    let migrator = migrator(migrations, |file| file.postgres);
    let migrated = migrator.run_direct(None, &mut connection, false).await;
    let closed = connection.close().await;
    migrated.and(closed.map_err(MigrateError::from))
}

/// sqlx asks for the lock with a time-out of -1, which MariaDB does not take for "for ever" but
/// gives up at once: so the lock is taken here.
pub(super) async fn mysql(
    connections: &Connections<MySql>,
    migrations: Migrations,
) -> Result<(), MigrateError> {
    let mut lock = connections.connect().await?;
    let sql = "SELECT GET_LOCK(CONCAT('pavilion:', DATABASE()), ?)";
    let locked: Option<i64> =
        sqlx::query_scalar(sql).bind(LOCK_SECONDS_MAX).fetch_one(&mut lock).await?;
    if locked != Some(1) {
        let message = "another process has been migrating it for too long";
        return Err(sqlx::Error::Protocol(message.to_owned()).into());
    }
    let mut connection = connections.connect().await?;
    let mut migrator = migrator(migrations, |file| file.mysql);
    migrator.set_locking(false);
    let migrated = migrator.run_direct(None, &mut connection, false).await;
    // Ends the connections, and with them the lock, whatever became of the migration.
    let closed = connection.close().await.and(lock.close().await);
    migrated.and(closed.map_err(MigrateError::from))
}

fn migrator(migrations: Migrations, text: impl Fn(&MigrationFile) -> &'static str) -> Migrator {
    let migrations = migrations.iter().map(|file| {
        let sql = text(file).into_sql_str();
        Migration::new(file.version, file.name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// What an operator should know of a migration that failed.
pub(super) fn explain(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => format!(
            "holds migration {version}, which this version does not know: \
             it belongs to a newer version or to another service"
        ),
        MigrateError::VersionMismatch(version) => {
            format!("migration {version} was applied with another text")
        }
        error => format!("migrating failed: {error}"),
    }
}
