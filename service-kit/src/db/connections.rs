//! Connections to one database, each lent to one statement or one transaction at a time.
//!
//! Not sqlx's own pool: that one asks a connection for a sign of life each time it comes back,
//! which doubles what a short read costs.

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, WeakPool,
};
use sqlx::{ConnectOptions, Connection, Database, Executor, MySql, Postgres, Sqlite};
use tokio::time::{sleep, timeout};

use super::lease::Lease;

/// How long a request waits until it has a connection.
pub(super) const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(5);
/// A connection that was lent longer ago is asked for a sign of life before it is lent again.
const UNCHECKED_TIME_MAX: Duration = Duration::from_secs(1);
/// A connection that was lent longer ago, and is free, is closed.
const IDLE_TIME_MAX: Duration = Duration::from_mins(10);
/// A connection is made anew after so long: its name may mean another server by then.
const AGE_MAX: Duration = Duration::from_mins(30);
/// How often idle connections are looked for.
const IDLE_PAUSE: Duration = Duration::from_mins(1);
/// How often it is looked whether the last connection has come back.
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

/// Whether a statement came to its end.
pub(super) type Ran<'c> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'c>>;

/// What the drivers do not have in common.
pub(super) trait Driver: Database {
    /// Run on each new connection.
    const SET_UP: Option<&'static str> = None;
    /// What becomes of a connection whose statement was abandoned.
    const ABANDONED: Abandoned;

    /// Runs a statement that has no values.
    fn run<'c>(connection: &'c mut Self::Connection, sql: &'static str) -> Ran<'c>;
}

/// What becomes of a connection whose statement was abandoned before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// It can be used at once.
    Used,
    /// It can be used when the statement has ended.
    Awaited,
    /// It is out of step, and can only be closed.
    Closed,
}

impl Driver for Sqlite {
    // A thread of the driver works off one statement after the other.
    const ABANDONED: Abandoned = Abandoned::Used;

    fn run<'c>(connection: &'c mut Self::Connection, sql: &'static str) -> Ran<'c> {
        execute(connection, sql)
    }
}

impl Driver for Postgres {
    const ABANDONED: Abandoned = Abandoned::Awaited;

    fn run<'c>(connection: &'c mut Self::Connection, sql: &'static str) -> Ran<'c> {
        execute(connection, sql)
    }
}

impl Driver for MySql {
    // As on PostgreSQL: each statement sees what is committed, and a guarded UPDATE locks the rows
    // it changes, not the gaps between them. And a transaction whose connection is gone does not
    // wait for a row for fifty seconds more.
    const SET_UP: Option<&'static str> = Some(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION innodb_lock_wait_timeout = 5",
    );
    // It may wait for an answer for ever, take the answer to one statement for that of another, or
    // be inside a transaction that it does not know of.
    const ABANDONED: Abandoned = Abandoned::Closed;

    fn run<'c>(connection: &'c mut Self::Connection, sql: &'static str) -> Ran<'c> {
        execute(connection, sql)
    }
}

/// [`Driver::run`] where it is known which connections run statements.
fn execute<'c>(connection: impl Executor<'c> + 'c, sql: &'static str) -> Ran<'c> {
    Box::pin(async move { connection.execute(sql).await.map(drop) })
}

/// How connections to a database are made.
pub(super) type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// Makes connections, and looks at those that come back.
pub(super) struct Maker<DB: Driver>(Options<DB>);

impl<DB: Driver> fmt::Debug for Maker<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold a password.
        f.write_str(DB::NAME)
    }
}

impl<DB: Driver> Manager for Maker<DB> {
    type Type = DB::Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<DB::Connection, sqlx::Error> {
        let mut connection = self.0.connect().await?;
        if let Some(sql) = DB::SET_UP {
            DB::run(&mut connection, sql).await?;
        }
        Ok(connection)
    }

    async fn recycle(
        &self,
        connection: &mut DB::Connection,
        metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        if metrics.age() >= AGE_MAX {
            return Err(RecycleError::message("too old"));
        }
        // A busy connection tells by itself that it lives.
        if metrics.last_used() >= UNCHECKED_TIME_MAX {
            connection.ping().await?;
        }
        Ok(())
    }
}

/// The connections.
pub(super) struct Connections<DB: Driver> {
    pool: Pool<Maker<DB>>,
    is_closed: AtomicBool,
}

impl<DB: Driver> Connections<DB> {
    /// At most `max`, the first of which is made now.
    pub(super) async fn open(options: Options<DB>, max: usize) -> Result<Self, sqlx::Error> {
        let pool = Pool::builder(Maker(options))
            .max_size(max)
            // The fewer are in use, the sooner the others are idle.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let connections = Self { pool, is_closed: AtomicBool::new(false) };
        connections.lend().await?.give_back();
        tokio::spawn(close_idle(connections.pool.weak()));
        Ok(connections)
    }

    /// One, as soon as it is free.
    pub(super) async fn lend(&self) -> Result<Lease<DB>, sqlx::Error> {
        self.check()?;
        // Boxed, as each statement holds it, and what makes a connection is large.
        let lent = timeout(ACQUIRE_TIME_MAX, Box::pin(self.pool.get())).await;
        let lent = lent.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?;
        let lent = lent.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => sqlx::Error::Configuration(other.to_string().into()),
        })?;
        Ok(Lease::new(lent))
    }

    /// That it has not been closed.
    pub(super) fn check(&self) -> Result<(), sqlx::Error> {
        if self.is_closed.load(Ordering::Acquire) { Err(sqlx::Error::PoolClosed) } else { Ok(()) }
    }

    /// How they are made.
    pub(super) fn options(&self) -> &Options<DB> {
        &self.pool.manager().0
    }

    /// One more, beside those that are lent.
    pub(super) async fn connect(&self) -> Result<DB::Connection, sqlx::Error> {
        self.check()?;
        self.pool.manager().create().await
    }

    /// Lends no more, and closes each as soon as it has come back.
    pub(super) async fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        loop {
            close_all(self.pool.retain(|_, _| false).removed).await;
            if self.pool.status().size == 0 {
                return;
            }
            sleep(CLOSE_PAUSE).await;
        }
    }
}

impl<DB: Driver> fmt::Debug for Connections<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({:?})", self.pool.status())
    }
}

/// A connection that goes back by itself.
pub(super) type Lent<DB> = Object<Maker<DB>>;

/// Ends with the pool.
async fn close_idle<DB: Driver>(pool: WeakPool<Maker<DB>>) {
    loop {
        sleep(IDLE_PAUSE).await;
        let Some(pool) = pool.upgrade() else { return };
        let idle = pool.retain(|_, metrics| metrics.last_used() < IDLE_TIME_MAX).removed;
        drop(pool);
        close_all(idle).await;
    }
}

/// Tells the database that they end.
pub(super) async fn close_all<C: Connection>(connections: impl IntoIterator<Item = C>) {
    for connection in connections {
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing a connection failed");
        }
    }
}
