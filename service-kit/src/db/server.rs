//! The connections to a database server, and who may have how many of them.
//!
//! Transactions that wait for a row's lock wait with a connection each. Hundreds that want one row
//! would have all of them, though the server is idle: so transactions have a share, what only
//! reads finds one of the others, and whether the server answers is asked on a connection apart.

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::sync::Arc;

use sqlx::{ConnectOptions, Connection, Database, PgConnection, Pool, Postgres, Transaction};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::pool::{ACQUIRE_TIME_MAX, CONNECTIONS_MAX};

/// Connections that transactions have at a time, of [`CONNECTIONS_MAX`].
pub(super) const TRANSACTIONS_MAX: usize = 12;
const _: () = assert!(TRANSACTIONS_MAX < CONNECTIONS_MAX as usize, "some are left to readers");

/// The connections to a server.
#[derive(Debug)]
pub(super) struct Server<DB: Database> {
    pool: Pool<DB>,
    /// First come, first served.
    transactions: Arc<Semaphore>,
    /// For [`Server::ping`] alone; `None` until the first, and after one that failed.
    pinged: Mutex<Option<DB::Connection>>,
}

impl<DB: Database> Server<DB> {
    pub(super) fn new(pool: Pool<DB>) -> Self {
        let transactions = Arc::new(Semaphore::new(TRANSACTIONS_MAX));
        Self { pool, transactions, pinged: Mutex::default() }
    }

    pub(super) fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// Waits for a place among the transactions, as long as for a connection.
    pub(super) async fn place(&self) -> Result<Place, sqlx::Error> {
        let place = timeout(ACQUIRE_TIME_MAX, self.transactions.clone().acquire_owned()).await;
        let place = place.map_err(|_| sqlx::Error::PoolTimedOut)?;
        place.map(Place).map_err(|_closed| sqlx::Error::PoolClosed)
    }

    /// Asks the server for a sign of life.
    pub(super) async fn ping(&self) -> Result<(), sqlx::Error> {
        let mut pinged = self.pinged.lock().await;
        // Taken out, so that a connection that is abandoned is closed.
        if let Some(mut connection) = pinged.take()
            && connection.ping().await.is_ok()
        {
            *pinged = Some(connection);
            return Ok(());
        }
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        // It may be the connection alone that was lost.
        let mut connection = self.pool.connect_options().connect().await?;
        connection.ping().await?;
        *pinged = Some(connection);
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.transactions.close();
        self.pool.close().await;
        if let Some(connection) = self.pinged.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing a connection failed");
        }
    }
}

/// A place among the transactions on a server, until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "it gives the place back")]
pub(super) struct Place(OwnedSemaphorePermit);

/// A transaction on PostgreSQL. Where it is abandoned while it waits for a lock, its connection is
/// taken until that wait is over; it keeps its place as long.
#[derive(Debug)]
pub(super) struct PgTurn(Option<(Transaction<'static, Postgres>, Place)>);

impl PgTurn {
    pub(super) async fn begin(server: &Server<Postgres>) -> Result<Self, sqlx::Error> {
        let place = server.place().await?;
        Ok(Self(Some((server.pool.begin().await?, place))))
    }

    /// The connection.
    ///
    /// # Errors
    /// Never: it is there until the transaction ends.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let turn = self.0.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        Ok(&mut turn.0)
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        let (tx, _place) = self.0.take().ok_or(sqlx::Error::PoolClosed)?;
        tx.commit().await
    }

    pub(super) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        let (tx, _place) = self.0.take().ok_or(sqlx::Error::PoolClosed)?;
        tx.rollback().await
    }
}

impl Drop for PgTurn {
    fn drop(&mut self) {
        if let Some((tx, place)) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                if let Err(error) = tx.rollback().await {
                    // The server rolls back what it never saw committed.
                    tracing::debug!(%error, "rolling back failed");
                }
                drop(place);
            });
        }
    }
}
