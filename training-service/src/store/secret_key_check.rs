//! Table `secret_key_check`: what only the secret key of this database opens.

use service_kit::{
    db::{Db, DbError},
    sql,
};

/// What is sealed, if a process has started on this database before.
pub(crate) async fn find(db: &Db) -> Result<Option<Vec<u8>>, DbError> {
    let select = sql!("SELECT sealed FROM secret_key_check WHERE id = 1");
    let row = db.read(select).fetch_optional().await?;
    row.map(|row| row.get("sealed")).transpose()
}

/// Notes what is sealed.
///
/// # Errors
/// A violated unique key where another process was first.
pub(crate) async fn insert(db: &Db, sealed: &[u8]) -> Result<(), DbError> {
    let insert = sql!("INSERT INTO secret_key_check (id, sealed) VALUES (1, ?)");
    db.write(insert).bind(sealed).execute().await.map(drop)
}
