//! A connection on loan, which may be abandoned at any time.
//!
//! Where a future of a driver is dropped before it is done, because its caller has gone or its
//! deadline has passed, the connection is in the middle of a statement. What is to be done then
//! each driver says ([`Driver::ABANDONED`]).

use std::time::Duration;

use sqlx::Connection;
use tokio::{runtime::Handle, time::timeout};

use super::{
    connections::{Abandoned, Driver, Lent},
    error::is_unavailable,
    server::Place,
};

/// How long a statement that was abandoned may take to end.
const RECOVERY_TIME_MAX: Duration = Duration::from_mins(1);

/// A connection on loan: for one statement, or for a transaction.
pub(super) struct Lease<DB: Driver> {
    /// `None` once it is given back.
    connection: Option<Lent<DB>>,
    /// Among the transactions, for one that has begun.
    place: Option<Place>,
}

impl<DB: Driver> std::fmt::Debug for Lease<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({})", DB::NAME)
    }
}

impl<DB: Driver> Lease<DB> {
    pub(super) fn new(connection: Lent<DB>) -> Self {
        Self { connection: Some(connection), place: None }
    }

    /// Begins a transaction, which holds `place` until it has ended.
    pub(super) async fn begin(mut self, place: Place) -> Result<Self, sqlx::Error> {
        // From here on whatever happens ends what may have begun.
        self.place = Some(place);
        DB::run(self.connection()?, "START TRANSACTION").await?;
        Ok(self)
    }

    /// Ends the transaction by `sql`, and gives the connection back.
    pub(super) async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        DB::run(self.connection()?, sql).await?;
        self.give_back();
        Ok(())
    }

    /// The connection.
    ///
    /// # Errors
    /// Never: it is there until it is given back.
    pub(super) fn connection(&mut self) -> Result<&mut DB::Connection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Gives it back: what it was asked has been answered.
    pub(super) fn give_back(mut self) {
        drop(self.connection.take());
    }

    /// Gives it back after a statement of its own, if the answer shows that it lives; else it is
    /// closed.
    pub(super) fn settle<T>(mut self, answered: &Result<T, sqlx::Error>) {
        let lives = match answered {
            Ok(_) | Err(sqlx::Error::RowNotFound) => true,
            Err(error @ sqlx::Error::Database(_)) => !is_unavailable(error),
            Err(_) => false,
        };
        match self.connection.take() {
            Some(connection) if !lives => drop(Lent::take(connection)),
            connection => drop(connection),
        }
    }
}

impl<DB: Driver> Drop for Lease<DB> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match (DB::ABANDONED, Handle::try_current()) {
            (Abandoned::Used, _) => {}
            (Abandoned::Awaited, Ok(runtime)) => {
                // While it waits for a lock, say; it keeps its place as long.
                runtime.spawn(recover(connection, self.place.take()));
            }
            // The server undoes what was not committed.
            (Abandoned::Awaited | Abandoned::Closed, _) => drop(Lent::take(connection)),
        }
    }
}

async fn recover<DB: Driver>(mut connection: Lent<DB>, place: Option<Place>) {
    let recovering = async {
        match &place {
            Some(_) => DB::run(&mut connection, "ROLLBACK").await,
            None => connection.ping().await,
        }
    };
    let recovered = timeout(RECOVERY_TIME_MAX, recovering).await;
    if !matches!(recovered, Ok(Ok(()))) {
        tracing::debug!(?recovered, "a connection that was abandoned is lost");
        drop(Lent::take(connection));
    }
    drop(place);
}
