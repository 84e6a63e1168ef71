//! A statement with its values, on its way to one of the three databases.

use sqlx::{
    ColumnIndex, Decode, Encode, MySql, Postgres, Row as _, Sqlite, Type,
    mysql::{MySqlArguments, MySqlRow},
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    DbError, Statement,
    connections::{Connections, Driver},
    lease::Lease,
    sql::without_returning,
    sqlite_writer::{Turn, Writer},
};

/// A value that all three databases can store.
pub trait Value<'q>:
    Encode<'q, Sqlite>
    + Type<Sqlite>
    + Encode<'q, Postgres>
    + Type<Postgres>
    + Encode<'q, MySql>
    + Type<MySql>
{
}

impl<'q, T> Value<'q> for T where
    T: Encode<'q, Sqlite>
        + Type<Sqlite>
        + Encode<'q, Postgres>
        + Type<Postgres>
        + Encode<'q, MySql>
        + Type<MySql>
{
}

/// A type that a column of all three databases can be read as.
pub trait Column:
    for<'r> Decode<'r, Sqlite>
    + Type<Sqlite>
    + for<'r> Decode<'r, Postgres>
    + Type<Postgres>
    + for<'r> Decode<'r, MySql>
    + Type<MySql>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite>
        + Type<Sqlite>
        + for<'r> Decode<'r, Postgres>
        + Type<Postgres>
        + for<'r> Decode<'r, MySql>
        + Type<MySql>
{
}

/// Where a query runs.
pub(super) enum Target<'c, DB: Driver> {
    Any(&'c Connections<DB>),
    This(&'c mut Lease<DB>),
}

impl<'c, DB: Driver> From<&'c Connections<DB>> for Target<'c, DB> {
    fn from(connections: &'c Connections<DB>) -> Self {
        Self::Any(connections)
    }
}

impl<'c, DB: Driver> From<&'c mut Lease<DB>> for Target<'c, DB> {
    fn from(lease: &'c mut Lease<DB>) -> Self {
        Self::This(lease)
    }
}

/// Where a query on SQLite runs.
pub(super) enum SqliteTarget<'c> {
    Readers(&'c Connections<Sqlite>),
    /// In a transaction of its own.
    Writer(&'c Writer),
    Turn(&'c mut Turn),
}

impl<'c> From<&'c Connections<Sqlite>> for SqliteTarget<'c> {
    fn from(readers: &'c Connections<Sqlite>) -> Self {
        Self::Readers(readers)
    }
}

impl<'c> From<&'c Writer> for SqliteTarget<'c> {
    fn from(writer: &'c Writer) -> Self {
        Self::Writer(writer)
    }
}

impl<'c> From<&'c mut Turn> for SqliteTarget<'c> {
    fn from(turn: &'c mut Turn) -> Self {
        Self::Turn(turn)
    }
}

type Typed<DB, Arguments> = sqlx::query::Query<'static, DB, Arguments>;

/// A statement and the values bound to it so far.
#[must_use = "a query does nothing until it is executed or fetched"]
pub struct Query<'c>(Kind<'c>);

enum Kind<'c> {
    Sqlite(Typed<Sqlite, SqliteArguments>, SqliteTarget<'c>),
    Postgres(Typed<Postgres, PgArguments>, Target<'c, Postgres>, &'static str),
    MySql(Typed<MySql, MySqlArguments>, Target<'c, MySql>, &'static str),
}

/// Runs `query.method(where it runs)`.
macro_rules! run {
    ($query:ident.$method:ident($target:ident)) => {
        match $target {
            Target::Any(connections) => {
                let mut lease = connections.lend().await?;
                let answered = $query.$method(lease.connection()?).await;
                lease.settle(&answered);
                answered?
            }
            Target::This(lease) => $query.$method(lease.connection()?).await?,
        }
    };
}

/// The same on SQLite.
macro_rules! run_sqlite {
    ($query:ident.$method:ident($target:ident)) => {
        match $target {
            SqliteTarget::Readers(readers) => {
                let target = Target::Any(readers);
                run!($query.$method(target))
            }
            SqliteTarget::Turn(turn) => $query.$method(turn.connection()?).await?,
            SqliteTarget::Writer(writer) => {
                let mut turn = writer.begin().await?;
                // Undone where it fails.
                let done = $query.$method(turn.connection()?).await?;
                turn.commit().await?;
                done
            }
        }
    };
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes queries")]
impl<'c> Query<'c> {
    pub(super) fn sqlite(statement: Statement, target: SqliteTarget<'c>) -> Self {
        Self(Kind::Sqlite(sqlx::query(statement.question), target))
    }

    pub(super) fn postgres(statement: Statement, target: Target<'c, Postgres>) -> Self {
        Self(Kind::Postgres(sqlx::query(statement.dollar), target, statement.dollar))
    }

    pub(super) fn mysql(statement: Statement, target: Target<'c, MySql>) -> Self {
        Self(Kind::MySql(sqlx::query(statement.question), target, statement.question))
    }
}

impl Query<'_> {
    /// Binds the next value.
    pub fn bind<'q, T: Value<'q>>(self, value: T) -> Self {
        Self(match self.0 {
            Kind::Sqlite(query, target) => Kind::Sqlite(query.bind(value), target),
            Kind::Postgres(query, target, sql) => Kind::Postgres(query.bind(value), target, sql),
            Kind::MySql(query, target, sql) => Kind::MySql(query.bind(value), target, sql),
        })
    }

    /// Runs it, and tells how many rows it inserted, deleted, or found to update.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn execute(self) -> Result<u64, DbError> {
        Ok(match self.0 {
            Kind::Sqlite(query, target) => run_sqlite!(query.execute(target)).rows_affected(),
            Kind::Postgres(query, target, _) => run!(query.execute(target)).rows_affected(),
            Kind::MySql(query, target, _) => run!(query.execute(target)).rows_affected(),
        })
    }

    /// Runs an `INSERT` of one row into a table with a generated `id`, and returns that id.
    /// (MySQL has no `RETURNING`, and PostgreSQL nothing else.)
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(self) -> Result<i64, DbError> {
        match self.0 {
            Kind::Sqlite(query, target) => {
                Ok(run_sqlite!(query.execute(target)).last_insert_rowid())
            }
            Kind::MySql(query, target, _) => {
                let id = run!(query.execute(target)).last_insert_id();
                i64::try_from(id).map_err(|_| DbError::Corrupt("id"))
            }
            Kind::Postgres(mut query, target, sql) => {
                let arguments = sqlx::Execute::take_arguments(&mut query);
                let arguments = arguments.map_err(sqlx::Error::Encode)?.unwrap_or_default();
                // Put together from two constants.
                let sql = sqlx::AssertSqlSafe(format!("{sql} RETURNING id"));
                let query = sqlx::query_with(sql, arguments);
                Ok(run!(query.fetch_one(target)).try_get(0)?)
            }
        }
    }

    /// Runs a `SELECT ... FOR UPDATE` of one row, which is locked until the transaction ends. On
    /// SQLite nothing is run: a transaction that writes is alone there.
    ///
    /// # Errors
    /// Those of the database, and `RowNotFound`.
    pub async fn lock(self) -> Result<(), DbError> {
        if let Kind::Sqlite(..) = self.0 {
            return Ok(());
        }
        self.fetch_one().await.map(drop)
    }

    /// Runs it and returns the first row, if any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_optional(self) -> Result<Option<Row>, DbError> {
        Ok(match self.0 {
            Kind::Sqlite(query, target) => {
                run_sqlite!(query.fetch_optional(target)).map(Row::Sqlite)
            }
            Kind::Postgres(query, target, _) => {
                run!(query.fetch_optional(target)).map(Row::Postgres)
            }
            Kind::MySql(query, target, _) => run!(query.fetch_optional(target)).map(Row::MySql),
        })
    }

    /// Runs an `UPDATE ... RETURNING ...` of one row, in a transaction, and returns what that says
    /// if there was a row to update. (MySQL has no `RETURNING`: there it is left out, and `select`
    /// is run with `key`, to read the same of the row.)
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_updated(self, select: Statement, key: i64) -> Result<Option<Row>, DbError> {
        match self.0 {
            Kind::MySql(mut query, Target::This(lease), sql) => {
                let arguments = sqlx::Execute::take_arguments(&mut query);
                let arguments = arguments.map_err(sqlx::Error::Encode)?.unwrap_or_default();
                let update = without_returning(sql);
                let updated = sqlx::query_with(update, arguments).execute(lease.connection()?);
                if updated.await?.rows_affected() == 0 {
                    return Ok(None);
                }
                Self::mysql(select, lease.into()).bind(key).fetch_optional().await
            }
            kind => Self(kind).fetch_optional().await,
        }
    }

    /// Runs it and returns the first row, which is there for certain.
    ///
    /// # Errors
    /// Those of the database, and `RowNotFound`.
    pub async fn fetch_one(self) -> Result<Row, DbError> {
        self.fetch_optional().await?.ok_or(DbError::Driver(sqlx::Error::RowNotFound))
    }

    /// Runs it and returns all rows: give it a `LIMIT`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_all(self) -> Result<Vec<Row>, DbError> {
        fn rows<R>(rows: Vec<R>, wrap: fn(R) -> Row) -> Vec<Row> {
            rows.into_iter().map(wrap).collect()
        }
        Ok(match self.0 {
            Kind::Sqlite(query, target) => rows(run_sqlite!(query.fetch_all(target)), Row::Sqlite),
            Kind::Postgres(query, target, _) => rows(run!(query.fetch_all(target)), Row::Postgres),
            Kind::MySql(query, target, _) => rows(run!(query.fetch_all(target)), Row::MySql),
        })
    }
}

/// A row of any of the three databases.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From MySQL or MariaDB.
    MySql(MySqlRow),
}

impl Row {
    /// The column `at`: its name, or its index from 0.
    ///
    /// # Errors
    /// Where there is no such column, or it is of another type.
    pub fn get<T, I>(&self, at: I) -> Result<T, DbError>
    where
        T: Column,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + ColumnIndex<MySqlRow>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
            Self::MySql(row) => row.try_get(at),
        }?)
    }
}
