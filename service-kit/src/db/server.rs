//! The connections to a database server, and who may have how many of them.
//!
//! Transactions that wait for a row's lock wait with a connection each. Hundreds that want one row
//! would have all of them, though the server is idle: so transactions have a share, what only
//! reads finds one of the others, and whether the server answers is asked on a connection apart.

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::{fmt, sync::Arc};

use sqlx::Connection;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    connections::{ACQUIRE_TIME_MAX, Connections, Driver, Options, close_all},
    lease::Lease,
};

/// Connections to a database server, for each process; one more is for pings, and on PostgreSQL
/// one for notifications.
pub(super) const CONNECTIONS_MAX: usize = 16;
/// Connections that transactions have at a time, of [`CONNECTIONS_MAX`].
pub(super) const TRANSACTIONS_MAX: usize = 12;
const _: () = assert!(TRANSACTIONS_MAX < CONNECTIONS_MAX, "some are left to readers");

/// The connections to a server.
pub(super) struct Server<DB: Driver> {
    connections: Connections<DB>,
    /// First come, first served.
    transactions: Arc<Semaphore>,
    /// For [`Server::ping`] alone; `None` until the first, and after one that failed.
    pinged: Mutex<Option<DB::Connection>>,
}

impl<DB: Driver> fmt::Debug for Server<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connections.fmt(f)
    }
}

impl<DB: Driver> Server<DB> {
    pub(super) async fn connect(options: Options<DB>) -> Result<Self, sqlx::Error> {
        let connections = Connections::open(options, CONNECTIONS_MAX).await?;
        let transactions = Arc::new(Semaphore::new(TRANSACTIONS_MAX));
        Ok(Self { connections, transactions, pinged: Mutex::default() })
    }

    pub(super) fn connections(&self) -> &Connections<DB> {
        &self.connections
    }

    /// Begins a transaction, when there is a place for it.
    pub(super) async fn begin(&self) -> Result<Lease<DB>, sqlx::Error> {
        let begun = async {
            let place = self.transactions.clone().acquire_owned().await;
            let place = place.map(Place).map_err(|_closed| sqlx::Error::PoolClosed)?;
            self.connections.lend().await?.begin(place).await
        };
        timeout(ACQUIRE_TIME_MAX, begun).await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?
    }

    /// Asks the server for a sign of life.
    pub(super) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.connections.check()?;
        let mut pinged = self.pinged.lock().await;
        // Taken out, so that a connection that is abandoned is closed.
        if let Some(mut connection) = pinged.take()
            && connection.ping().await.is_ok()
        {
            *pinged = Some(connection);
            return Ok(());
        }
        // It may be the connection alone that was lost.
        let mut connection = self.connections.connect().await?;
        connection.ping().await?;
        *pinged = Some(connection);
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.transactions.close();
        self.connections.close().await;
        close_all(self.pinged.lock().await.take()).await;
    }
}

/// A place among the transactions on a server, until it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "it gives the place back")]
pub(super) struct Place(OwnedSemaphorePermit);
