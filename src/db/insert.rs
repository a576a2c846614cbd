//! Inserting many rows in few statements.

use diesel::associations::HasTable;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_builder::InsertStatement;
use diesel::query_dsl::methods::ExecuteDsl;
use diesel::sqlite::SqliteConnection;

use super::Conn;

/// Rows in one statement. More gain nothing, and a statement of 1,000 rows takes
/// SQLite longer to prepare than to run.
const ROWS: usize = 100;

type Insert<'a, T, R> = InsertStatement<T, <&'a [R] as Insertable<T>>::Values>;

/// Inserts all rows, in their order.
///
/// The enum over both databases cannot insert a batch, so this matches on the
/// variant, here and nowhere else.
pub fn insert_all<'a, T, R>(db: &mut Conn, table: T, rows: &'a [R]) -> QueryResult<()>
where
    T: Table + HasTable<Table = T> + Copy,
    &'a [R]: Insertable<T>,
    Insert<'a, T, R>: ExecuteDsl<PgConnection> + ExecuteDsl<SqliteConnection>,
{
    for chunk in rows.chunks(ROWS) {
        let insert = diesel::insert_into(table).values(chunk);
        match db {
            Conn::Postgres(connection) => ExecuteDsl::execute(insert, connection)?,
            Conn::Sqlite(connection) => ExecuteDsl::execute(insert, connection)?,
        };
    }
    Ok(())
}
