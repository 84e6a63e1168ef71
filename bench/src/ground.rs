//! Throwaway databases and keys for one product after another.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result, anyhow, bail};
use service_kit::{Entropy, db::DatabaseUrl};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row, raw_sql};
use tempfile::TempDir;

use crate::{
    loaded::Load,
    options::{DatabaseKind, Options},
};

/// What the product's data is kept in: gone when it is dropped, but for databases on a server,
/// which [`Ground::remove`] removes.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: TempDir,
    server: Server,
    /// Where auth-service keeps its data.
    pub(crate) auth_database: String,
    /// Where training-service does.
    pub(crate) training_database: String,
    /// What the services show each other.
    pub(crate) service_token: String,
    /// What was put into the databases beforehand.
    pub(crate) load: Option<Load>,
    made: Mutex<Vec<String>>,
    names: AtomicU64,
}

#[derive(Clone, Debug)]
enum Server {
    Embedded,
    Postgres(String),
    MySql(String),
}

impl Ground {
    /// Empty databases of the kind that `options` ask for, and a folder below `out`.
    ///
    /// # Errors
    /// Where they cannot be made.
    pub(crate) async fn new(options: &Options, out: &Path) -> Result<Self> {
        let server = match options.database {
            DatabaseKind::Sqlite => Server::Embedded,
            DatabaseKind::Postgres => {
                Server::Postgres(options.postgres_url.clone().context("TEST_POSTGRES_URL")?)
            }
            DatabaseKind::Mariadb => {
                Server::MySql(options.mysql_url.clone().context("TEST_MYSQL_URL")?)
            }
        };
        let folder = tempfile::Builder::new().prefix("data-").tempdir_in(out);
        let mut ground = Self {
            folder: folder.with_context(|| format!("a folder in {}", out.display()))?,
            server,
            auth_database: String::new(),
            training_database: String::new(),
            service_token: format!("service-{}", random_name()),
            load: None,
            made: Mutex::default(),
            names: AtomicU64::new(0),
        };
        ground.auth_database = ground.new_database("auth").await?;
        ground.training_database = ground.new_database("training").await?;
        Ok(ground)
    }

    /// Where logs and keys are, and embedded databases.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The kind of its databases.
    pub(crate) fn kind(&self) -> DatabaseKind {
        match self.server {
            Server::Embedded => DatabaseKind::Sqlite,
            Server::Postgres(_) => DatabaseKind::Postgres,
            Server::MySql(_) => DatabaseKind::Mariadb,
        }
    }

    /// auth-service's and training-service's, as a service has left them.
    ///
    /// # Errors
    /// Where a URL is none.
    pub(crate) fn databases(&self) -> Result<[DatabaseUrl; 2]> {
        Ok([url(&self.auth_database)?, url(&self.training_database)?])
    }

    /// A name that nothing else on this ground has.
    pub(crate) fn new_name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Where a further empty database is, beside the others.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(crate) async fn new_database(&self, name: &str) -> Result<String> {
        let unique = format!("bench_{name}_{}", random_name());
        let url = match &self.server {
            Server::Embedded => {
                let path = self.folder.path().join(unique).with_extension("db");
                format!("sqlite://{}", path.display())
            }
            Server::Postgres(url) => {
                self.server.execute(format!("CREATE SCHEMA {unique}")).await?;
                let separator = if url.contains('?') { '&' } else { '?' };
                let url = format!("{url}{separator}options=-c%20search_path%3D{unique}");
                self.made.lock().unwrap_or_else(PoisonError::into_inner).push(unique);
                url
            }
            Server::MySql(url) => {
                self.server.execute(format!("CREATE DATABASE {unique}")).await?;
                let url = format!("{}/{unique}", url.trim_end_matches('/'));
                self.made.lock().unwrap_or_else(PoisonError::into_inner).push(unique);
                url
            }
        };
        Ok(url)
    }

    /// What a commit waits for, in the words of the database.
    ///
    /// # Errors
    /// Where the server does not tell.
    pub(crate) async fn durability(&self) -> Result<String> {
        Ok(match &self.server {
            // As service-kit sets it.
            Server::Embedded => "synchronous = FULL".to_owned(),
            Server::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await?;
                let row = connection.fetch_one("SHOW fsync").await?;
                format!("fsync = {}", row.try_get::<String, _>(0)?)
            }
            Server::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                let sql = "SELECT CAST(@@innodb_flush_log_at_trx_commit AS SIGNED)";
                let row = connection.fetch_one(sql).await?;
                format!("innodb_flush_log_at_trx_commit = {}", row.try_get::<i64, _>(0)?)
            }
        })
    }

    /// Removes everything. Nothing may be running on it any more.
    ///
    /// # Errors
    /// Where the server or the disk refuses.
    pub(crate) async fn remove(self) -> Result<()> {
        let made = self.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        for name in made {
            let statement = match &self.server {
                Server::Embedded => bail!("embedded databases go with their folder"),
                Server::Postgres(_) => format!("DROP SCHEMA {name} CASCADE"),
                Server::MySql(_) => format!("DROP DATABASE {name}"),
            };
            self.server.execute(statement).await?;
        }
        Ok(self.folder.close()?)
    }
}

impl Server {
    async fn execute(&self, statement: String) -> Result<()> {
        let statement = raw_sql(AssertSqlSafe(statement));
        match self {
            Self::Embedded => bail!("there is no server"),
            Self::Postgres(url) => {
                statement.execute(&mut PgConnection::connect(url).await?).await?;
            }
            Self::MySql(url) => {
                statement.execute(&mut MySqlConnection::connect(url).await?).await?;
            }
        }
        Ok(())
    }
}

fn url(text: &str) -> Result<DatabaseUrl> {
    text.parse().map_err(|error: String| anyhow!(error))
}

/// Sixteen hexadecimal digits.
fn random_name() -> String {
    format!("{:016x}", u64::from_be_bytes(Entropy::system().bytes()))
}
