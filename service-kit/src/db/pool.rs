//! The connections, and the transactions on them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    MySql, Postgres, Sqlite,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{
    DatabaseUrl, DbError, Migrations, Query, Statement,
    connections::Connections,
    lease::Lease,
    migrate,
    server::Server,
    sqlite_writer::{Turn, Writer},
    url::Options,
};
use crate::StartError;

/// Connections that read a SQLite file; a single one writes.
const SQLITE_READERS_MAX: usize = 4;
/// How long a database that does not answer is tried at start.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// The pause between two tries.
const CONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a ping may take.
const PING_TIME_MAX: Duration = Duration::from_secs(2);
/// How long closing waits for what still runs.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// How often a transaction is run before its error is given up to the caller.
const TRANSACTION_TRIES_MAX: u32 = 5;
/// The pause before a transaction is run again, times the number of tries so far.
const TRANSACTION_PAUSE: Duration = Duration::from_millis(5);

/// The channel on which PostgreSQL tells other processes that a transaction has notified.
const NOTIFICATION_CHANNEL: &str = "pavilion";
/// The pause before listening is tried again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// A database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pools: Pools,
    notified: Arc<Notified>,
}

/// Told when a transaction that notifies is committed.
#[derive(Debug, Default)]
struct Notified {
    wake: Notify,
    /// How many of this process were.
    commits: AtomicU64,
}

#[derive(Clone, Debug)]
enum Pools {
    /// SQLite has one writer at a time: waiting for it in a queue of ours is fair and quick,
    /// waiting for its lock is neither.
    Sqlite {
        readers: Arc<Connections<Sqlite>>,
        writer: Writer,
    },
    Postgres(Arc<Server<Postgres>>),
    MySql(Arc<Server<MySql>>),
}

impl Db {
    /// Connects and migrates. A database that does not answer is tried for 30 s.
    ///
    /// # Errors
    /// Names `variable` where the database does not answer in time or cannot be migrated.
    pub async fn open(
        variable: &'static str,
        url: &DatabaseUrl,
        migrations: Migrations,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + CONNECT_TIME_MAX;
        let db = loop {
            match Self::connect(url).await {
                Ok(db) => break db,
                Err(error) if Instant::now() + CONNECT_PAUSE >= deadline => {
                    let message = format!("{url:?} does not answer: {error}");
                    return Err(StartError::setting(variable, message));
                }
                Err(error) => {
                    tracing::warn!(db.url = ?url, %error, "database does not answer, trying again");
                    sleep(CONNECT_PAUSE).await;
                }
            }
        };
        let migrated = match &db.pools {
            Pools::Sqlite { writer, .. } => writer.migrate(migrations).await,
            Pools::Postgres(server) => migrate::postgres(server.connections(), migrations).await,
            Pools::MySql(server) => migrate::mysql(server.connections(), migrations).await,
        };
        migrated.map_err(|error| {
            StartError::setting(variable, format!("{url:?}: {}", migrate::explain(&error)))
        })?;
        Ok(db)
    }

    pub(crate) async fn connect(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        let pools = match &url.0 {
            Options::Sqlite(options) => {
                // The writer first: it makes the file, and readers could not.
                let writer = Writer::connect(options.clone()).await?;
                let readers = Connections::open(options.clone(), SQLITE_READERS_MAX).await?;
                Pools::Sqlite { readers: readers.into(), writer }
            }
            Options::Postgres(options) => {
                Pools::Postgres(Server::connect(options.clone()).await?.into())
            }
            Options::MySql(options) => Pools::MySql(Server::connect(options.clone()).await?.into()),
        };
        Ok(Self { pools, notified: Arc::default() })
    }

    #[cfg(test)]
    pub(super) fn sqlite_writer(&self) -> Option<&Writer> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Some(writer),
            Pools::Postgres(_) | Pools::MySql(_) => None,
        }
    }

    /// A statement that only reads.
    pub fn read(&self, statement: Statement) -> Query<'_> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => Query::sqlite(statement, readers.as_ref().into()),
            Pools::Postgres(server) => Query::postgres(statement, server.connections().into()),
            Pools::MySql(server) => Query::mysql(statement, server.connections().into()),
        }
    }

    /// A single statement that writes, in a transaction of its own.
    pub fn write(&self, statement: Statement) -> Query<'_> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Query::sqlite(statement, writer.into()),
            Pools::Postgres(server) => Query::postgres(statement, server.connections().into()),
            Pools::MySql(server) => Query::mysql(statement, server.connections().into()),
        }
    }

    /// Begins a transaction that writes; it is rolled back unless committed. On a server, at most
    /// twelve are open at a time, so that what reads always finds a connection.
    ///
    /// # Errors
    /// Where no place or connection is free in time or the database is gone.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let kind = match &self.pools {
            Pools::Sqlite { writer, .. } => TxKind::Sqlite(writer.begin().await?),
            Pools::Postgres(server) => TxKind::Postgres(server.begin().await?),
            Pools::MySql(server) => TxKind::MySql(server.begin().await?),
        };
        Ok(Tx { kind, notified: self.notified.clone(), notifies: false })
    }

    /// Waits for the commit of a transaction that notifies: at once for one of this process, and
    /// on PostgreSQL, while [`Db::listen`] runs, of any process. Commits between two waits are
    /// not lost, several may count as one. Look now and then all the same: other databases have
    /// no way to tell.
    pub async fn notified(&self) {
        self.notified.wake.notified().await;
    }

    /// How many transactions of this process that notify have been committed. Whoever was answered
    /// after one finds it counted.
    pub fn notifying_commits(&self) -> u64 {
        self.notified.commits.load(Ordering::Acquire)
    }

    /// Passes on what other processes notify of. Run it for as long as anyone waits; it ends at
    /// once where the database has no way to tell.
    pub async fn listen(&self) {
        let Pools::Postgres(server) = &self.pools else { return };
        loop {
            if let Err(error) = self.listen_to(server).await {
                tracing::warn!(%error, "listening to the database failed, trying again");
            }
            sleep(LISTEN_PAUSE).await;
        }
    }

    async fn listen_to(&self, server: &Server<Postgres>) -> Result<(), sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect_lazy_with(server.connections().options().clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(NOTIFICATION_CHANNEL).await?;
        loop {
            // None after a lost connection: what was notified meanwhile is not known.
            listener.try_recv().await?;
            self.notified.wake.notify_one();
        }
    }

    /// Whether the database answers, within two seconds, however busy its connections are.
    pub async fn answers(&self) -> bool {
        let ping = async {
            match &self.pools {
                Pools::Sqlite { .. } => self.read(crate::sql!("SELECT 1")).execute().await.is_ok(),
                Pools::Postgres(server) => server.ping().await.is_ok(),
                Pools::MySql(server) => server.ping().await.is_ok(),
            }
        };
        timeout(PING_TIME_MAX, ping).await.unwrap_or(false)
    }

    /// Closes all connections. What still runs on them has a second to end.
    pub async fn close(&self) {
        let closing = async {
            match &self.pools {
                Pools::Sqlite { readers, writer } => {
                    readers.close().await;
                    writer.close().await;
                }
                Pools::Postgres(server) => server.close().await,
                Pools::MySql(server) => server.close().await,
            }
        };
        if timeout(CLOSE_TIME_MAX, closing).await.is_err() {
            tracing::debug!("statements were cut off by closing the database");
        }
    }
}

/// Runs a body in a transaction and commits it; after a deadlock or a serialization failure it
/// runs again, five times at most. The body is a `Result<_, DbError>`, may use `?`, and must have
/// no effect but on the database.
///
/// A macro because a closure that lends the transaction to its future cannot be proved `Send`.
#[macro_export]
macro_rules! transaction {
    ($db:expr, |$tx:ident| $body:block) => {{
        let mut tries = $crate::db::Tries::default();
        loop {
            let mut tx = $db.begin().await?;
            let result: Result<_, $crate::db::DbError> = {
                let $tx = &mut tx;
                async { $body }.await
            };
            if let Some(result) = tries.end(tx, result).await {
                break result;
            }
        }
    }};
}

/// How often a transaction was run.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Tries(u32);

impl Tries {
    /// Commits or rolls back; `None` where it should be run again.
    pub async fn end<T>(
        &mut self,
        tx: Tx,
        result: Result<T, DbError>,
    ) -> Option<Result<T, DbError>> {
        self.0 += 1;
        let result = match result {
            Ok(value) => tx.commit().await.map(|()| value),
            Err(error) => {
                tx.rollback().await;
                Err(error)
            }
        };
        match result {
            Err(error) if error.is_retryable() && self.0 < TRANSACTION_TRIES_MAX => {
                tracing::debug!(db.tries = self.0, "a transaction runs again");
                sleep(TRANSACTION_PAUSE * self.0).await;
                None
            }
            result => Some(result),
        }
    }
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx {
    kind: TxKind,
    notified: Arc<Notified>,
    notifies: bool,
}

#[derive(Debug)]
enum TxKind {
    Sqlite(Turn),
    Postgres(Lease<Postgres>),
    MySql(Lease<MySql>),
}

impl Tx {
    /// A statement in this transaction.
    pub fn query(&mut self, statement: Statement) -> Query<'_> {
        match &mut self.kind {
            TxKind::Sqlite(turn) => Query::sqlite(statement, turn.into()),
            TxKind::Postgres(lease) => Query::postgres(statement, lease.into()),
            TxKind::MySql(lease) => Query::mysql(statement, lease.into()),
        }
    }

    /// Wakes who waits in [`Db::notified`] when this transaction is committed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn notify(&mut self) -> Result<(), DbError> {
        if !self.notifies && matches!(self.kind, TxKind::Postgres(_)) {
            let notify = crate::sql!("SELECT pg_notify(?, '')");
            self.query(notify).bind(NOTIFICATION_CHANNEL).execute().await?;
        }
        self.notifies = true;
        Ok(())
    }

    /// Makes its changes durable.
    ///
    /// # Errors
    /// Where the database is gone, or finds only now that the transaction cannot be.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.kind {
            TxKind::Sqlite(turn) => turn.commit().await?,
            TxKind::Postgres(lease) => lease.end("COMMIT").await?,
            TxKind::MySql(lease) => lease.end("COMMIT").await?,
        }
        if self.notifies {
            self.notified.commits.fetch_add(1, Ordering::Release);
            self.notified.wake.notify_one();
        }
        Ok(())
    }

    async fn rollback(self) {
        let rolled_back = match self.kind {
            TxKind::Sqlite(turn) => {
                turn.rollback().await;
                Ok(())
            }
            TxKind::Postgres(lease) => lease.end("ROLLBACK").await,
            TxKind::MySql(lease) => lease.end("ROLLBACK").await,
        };
        if let Err(error) = rolled_back {
            // The database rolls back what it never saw committed; the first error says more.
            tracing::debug!(%error, "rolling back failed");
        }
    }
}
