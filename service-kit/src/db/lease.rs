//! A connection to MySQL or MariaDB that is safe to abandon.
//!
//! Where a future of sqlx's MySQL driver is dropped before it is done, because its caller has gone
//! or its deadline has passed, the connection is out of step with the server: it may wait for an
//! answer for ever, take the answer to one statement for that of another, or be inside a
//! transaction that it does not know of. The drivers of SQLite and PostgreSQL recover; this one
//! does not. So a lease that is dropped before it is given back closes its connection.

use sqlx::{MySql, MySqlConnection, MySqlPool, pool::PoolConnection};

use super::server::{Place, Server};

/// A connection on loan from the pool.
#[derive(Debug)]
pub(super) struct Lease(Option<PoolConnection<MySql>>);

impl Lease {
    /// Borrows a connection.
    pub(super) async fn take(pool: &MySqlPool) -> Result<Self, sqlx::Error> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    /// Begins a transaction, as one of the server's share.
    pub(super) async fn begin(server: &Server<MySql>) -> Result<(Self, Place), sqlx::Error> {
        let place = server.place().await?;
        let mut lease = Self::take(server.pool()).await?;
        lease.run("START TRANSACTION").await?;
        Ok((lease, place))
    }

    /// The connection.
    ///
    /// # Errors
    /// Never: it is there until it is given back.
    pub(super) fn connection(&mut self) -> Result<&mut MySqlConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::Executor::execute(self.connection()?, sql).await.map(drop)
    }

    /// Ends the transaction by `sql` and gives the connection back.
    pub(super) async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.run(sql).await?;
        self.give_back();
        Ok(())
    }

    /// Returns the connection to the pool: what it was asked has been answered.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Closes the socket; the server rolls back what was not committed.
            drop(connection.detach());
        }
    }
}
