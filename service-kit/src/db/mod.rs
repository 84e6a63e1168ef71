//! SQLite, PostgreSQL and MySQL/MariaDB behind one type, with each statement written once.
//!
//! ```text
//! let row = db.read(sql!("SELECT email FROM users WHERE id = ?")).bind(id).fetch_optional().await?;
//! ```
//!
//! A [`Statement`] is written with `?` and rewritten to `$1..$n` for PostgreSQL
//! at compile time. A [`Query`] holds sqlx's own typed query of the database at
//! hand, so that bound values and columns are checked against all three at
//! compile time and no store is generic or boxed. Where the databases differ
//! (generated ids, the start of a write transaction), the difference is in
//! this module.

mod connections;
mod error;
mod lease;
mod migrate;
mod pool;
mod query;
mod server;
mod sql;
mod sqlite_writer;
mod url;

pub use error::{Constraint, DbError};
pub use migrate::{MigrationFile, Migrations};
#[doc(hidden)]
pub use pool::Tries;
pub use pool::{Db, Tx};
pub use query::{Column, Query, Row, Value};
pub use sql::Statement;
#[cfg(feature = "testing")]
pub(crate) use sql::without_returning;
#[doc(hidden)]
pub use sql::{dollar, dollar_len, question, question_len};
pub use url::DatabaseUrl;
