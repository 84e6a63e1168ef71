//! The one writer of a SQLite file.
//!
//! Transactions take turns on its connection, in the order in which they came. Those that wait at
//! the same time share a commit, which costs as much for many as for one: each runs above a
//! savepoint of its own, so that it can be undone alone, and is answered when the commit of all is
//! on the disk.

#[cfg(test)]
mod tests;

use std::{
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::{
    Connection, Executor, SqliteConnection, migrate::MigrateError, sqlite::SqliteConnectOptions,
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard, oneshot, oneshot::error::TryRecvError},
    task::JoinHandle,
    time::timeout,
};

use super::{
    DbError, Migrations,
    connections::{ACQUIRE_TIME_MAX, close_all},
    migrate,
};

/// Transactions that share a commit: the first one waits for the work of all.
const SHARING_MAX: usize = 32;

/// Where transactions queue up. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// First come, first served.
    state: Arc<Mutex<State>>,
    /// How many wait to begin.
    waiting: AtomicUsize,
}

struct State {
    options: SqliteConnectOptions,
    /// `None` after something went wrong on it, and when closed.
    connection: Option<SqliteConnection>,
    is_closed: bool,
    /// Those whose work is done in the transaction that is open. They wait for its commit, each in
    /// a task that takes its turn again if nobody else commits.
    sharing: Vec<oneshot::Sender<()>>,
    /// Whether a transaction is open.
    is_open: bool,
    /// How many commit alone, after a commit that was shared has failed: the next one finds out
    /// whether it was to blame.
    alone: usize,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_open, sharing, .. } = self;
        write!(f, "State {{ is_open: {is_open}, sharing: {} }}", sharing.len())
    }
}

impl Writer {
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let connection = SqliteConnection::connect_with(&options).await?;
        let state = State {
            options,
            connection: Some(connection),
            is_closed: false,
            sharing: Vec::new(),
            is_open: false,
            alone: 0,
        };
        let state = Arc::new(Mutex::new(state));
        Ok(Self(Arc::new(Inner { state, waiting: AtomicUsize::new(0) })))
    }

    pub(super) async fn migrate(&self, migrations: Migrations) -> Result<(), MigrateError> {
        let mut state = self.0.state.lock().await;
        migrate::sqlite(state.connection().await?, migrations).await
    }

    /// Waits for its turn, and begins.
    pub(super) async fn begin(&self) -> Result<Turn, sqlx::Error> {
        let state = match self.0.state.clone().try_lock_owned() {
            Ok(state) => state,
            Err(_taken) => {
                let _waiting = Waiting::new(&self.0.waiting);
                let turn = timeout(ACQUIRE_TIME_MAX, self.0.state.clone().lock_owned()).await;
                turn.map_err(|_| sqlx::Error::PoolTimedOut)?
            }
        };
        // From here on it undoes what it has begun, also where beginning fails.
        let mut turn = Turn { state: Some(state), writer: self.clone() };
        turn.state()?.begin().await?;
        Ok(turn)
    }

    /// Commits what is done, and closes the connection.
    pub(super) async fn close(&self) {
        let mut state = self.0.state.lock().await;
        if state.is_open {
            let sharing = state.sharing.len();
            if let Err(error) = state.commit(sharing).await {
                tracing::warn!(%error, "the last commit failed");
            }
        }
        state.is_closed = true;
        close_all(state.connection.take()).await;
    }
}

/// Counts who waits, also where they give up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// The connection, made anew where it was lost.
    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            _ if self.is_closed => return Err(sqlx::Error::PoolClosed),
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        connection.execute(sql).await.map(drop)
    }

    /// Opens a transaction unless one is open. Above a savepoint in any case.
    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        if self.is_open {
            return Ok(());
        }
        self.connection().await?;
        self.is_open = true;
        // The default, DEFERRED, fails at once when a reader turns writer at a bad moment.
        self.run("BEGIN IMMEDIATE; SAVEPOINT one").await
    }

    /// Undoes what was done since the last savepoint.
    async fn undo(&mut self) {
        let undone = if self.sharing.is_empty() {
            self.is_open = false;
            self.run("ROLLBACK").await
        } else {
            self.run("ROLLBACK TO one").await
        };
        if let Err(error) = undone {
            // There was nothing to undo, or after some errors SQLite has undone it all by itself.
            tracing::debug!(%error, "rolling back failed");
            self.give_up();
        }
    }

    /// Gives up the connection and what was not committed on it; who shares it runs again.
    fn give_up(&mut self) {
        self.is_open = false;
        self.sharing.clear();
        self.connection = None;
    }

    /// Commits for `count` transactions.
    async fn commit(&mut self, count: usize) -> Result<(), DbError> {
        let sharing = mem::take(&mut self.sharing);
        self.is_open = false;
        self.alone = self.alone.saturating_sub(1);
        if let Err(error) = self.run("COMMIT").await {
            self.undo().await;
            if count <= 1 {
                return Err(error.into());
            }
            tracing::debug!(%error, count, "a shared commit failed");
            self.alone = count;
            return Err(DbError::SharedCommit);
        }
        for shared in sharing {
            // Who is no longer there does not need to know.
            let _ = shared.send(());
        }
        Ok(())
    }
}

/// A transaction that writes. Dropped without [`Turn::commit`], it is undone.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` once it has ended.
    state: Option<OwnedMutexGuard<State>>,
    writer: Writer,
}

impl Turn {
    fn state(&mut self) -> Result<&mut State, sqlx::Error> {
        self.state.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// The connection.
    ///
    /// # Errors
    /// Never: it is there until the turn ends.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.state()?.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Returns when it is on the disk. Once this is called it happens, even if nobody waits for it.
    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        let state = self.state.take().ok_or(sqlx::Error::PoolClosed)?;
        let ended = tokio::spawn(end(state, self.writer.clone())).await;
        ended.map_err(|_panic| sqlx::Error::WorkerCrashed)?
    }

    pub(super) async fn rollback(mut self) {
        if let Some(undoing) = self.undo()
            && let Err(error) = undoing.await
        {
            tracing::debug!(%error, "rolling back failed");
        }
    }

    /// Undoes it in a task, before it is anyone else's turn.
    fn undo(&mut self) -> Option<JoinHandle<()>> {
        let mut state = self.state.take()?;
        let Ok(runtime) = Handle::try_current() else {
            state.give_up();
            return None;
        };
        Some(runtime.spawn(async move { state.undo().await }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.undo();
    }
}

/// Commits, or leaves it to one of those who wait for their turn.
async fn end(mut state: OwnedMutexGuard<State>, writer: Writer) -> Result<(), DbError> {
    let count = state.sharing.len() + 1;
    let nobody_waits = writer.0.waiting.load(Ordering::Relaxed) == 0;
    if nobody_waits || count >= SHARING_MAX || state.alone > 0 {
        return state.commit(count).await;
    }
    if let Err(error) = state.run("RELEASE one; SAVEPOINT one").await {
        state.give_up();
        return Err(error.into());
    }
    let (shared, mut committed) = oneshot::channel();
    state.sharing.push(shared);
    drop(state);
    tokio::select! {
        biased;
        committed = &mut committed => committed.map_err(|_given_up| DbError::SharedCommit),
        // After all who wait now: none of them has committed if it comes to this.
        mut state = writer.0.state.clone().lock_owned() => match committed.try_recv() {
            Ok(()) => Ok(()),
            Err(TryRecvError::Closed) => Err(DbError::SharedCommit),
            Err(TryRecvError::Empty) => {
                let count = state.sharing.len();
                state.commit(count).await
            }
        },
    }
}
