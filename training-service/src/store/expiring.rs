//! Rows that are deleted when they are old.

use service_kit::{
    Timestamp,
    db::{Db, DbError, Statement},
};

/// The statements that delete old rows of one table; made by [`expiring!`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiring {
    pub(super) next: Statement,
    pub(super) delete: Statement,
}

/// The rows of a table by the column that tells their time, which is indexed.
macro_rules! expiring {
    ($table:literal, $time:literal) => {
        $crate::store::expiring::Expiring {
            next: service_kit::sql!(
                "SELECT ",
                $time,
                " FROM ",
                $table,
                " WHERE ",
                $time,
                " <= ? ORDER BY ",
                $time,
                " LIMIT 1 OFFSET ?"
            ),
            delete: service_kit::sql!("DELETE FROM ", $table, " WHERE ", $time, " <= ?"),
        }
    };
}
pub(super) use expiring;

impl Expiring {
    /// Deletes the oldest of the rows of `end` and before, and tells how many they were: about
    /// `limit` at most, so that no statement holds up other writers for long.
    pub(crate) async fn delete_until(
        &self,
        db: &Db,
        end: Timestamp,
        limit: i64,
    ) -> Result<u64, DbError> {
        // A LIMIT on DELETE is MySQL's alone, so a batch ends at an instant.
        let next = db.read(self.next).bind(end.micros()).bind(limit).fetch_optional().await?;
        let batch_end = next.map_or(Ok(end.micros()), |row| row.get(0))?;
        db.write(self.delete).bind(batch_end).execute().await
    }
}
