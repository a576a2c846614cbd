//! The connection to either database. In a file of its own, because what the
//! derive writes beside it has no documentation.

use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;

/// A connection to either database.
///
/// PostgreSQL comes first because establishing goes by order and SQLite would
/// take any text for a file name; [`super::connect`] does not rely on it.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL, by libpq.
    Postgres(PgConnection),
    /// The SQLite inside this program.
    Sqlite(SqliteConnection),
}
