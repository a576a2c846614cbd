//! Inserting many rows, on each database in the way that it is fastest at.
//!
//! The enum over both databases cannot insert more than one row at a time, so
//! this matches on the variant, here and nowhere else.

use diesel::associations::HasTable;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_builder::InsertStatement;
use diesel::query_dsl::methods::ExecuteDsl;
use diesel::sqlite::SqliteConnection;

use super::Conn;

/// Rows in one statement on PostgreSQL.
const ROWS: usize = 100;

type Insert<T, R> = InsertStatement<T, <R as Insertable<T>>::Values>;

/// Inserts all rows, in their order.
///
/// To SQLite a statement is a function call, and the one for a single row stays
/// prepared; to PostgreSQL it is a journey.
pub fn insert_all<'a, T, R: 'a>(db: &mut Conn, table: T, rows: impl IntoIterator<Item = &'a R>) -> QueryResult<()>
where
    T: Table + HasTable<Table = T> + Copy,
    &'a R: Insertable<T>,
    Vec<&'a R>: Insertable<T>,
    Insert<T, &'a R>: ExecuteDsl<SqliteConnection>,
    Insert<T, Vec<&'a R>>: ExecuteDsl<PgConnection>,
{
    let mut rows = rows.into_iter();
    match db {
        Conn::Sqlite(connection) => {
            rows.try_for_each(|row| ExecuteDsl::execute(diesel::insert_into(table).values(row), connection).map(drop))
        }
        Conn::Postgres(connection) => loop {
            let chunk: Vec<_> = rows.by_ref().take(ROWS).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            ExecuteDsl::execute(diesel::insert_into(table).values(chunk), connection)?;
        },
    }
}

/// The same for rows that come in bulk: on SQLite by a statement for one row that
/// is spelled out by hand, on PostgreSQL by the `COPY` of their table, which is
/// what it takes most rows by.
pub fn insert_bulk<'a, T, R: 'a, One: ExecuteDsl<SqliteConnection>>(
    db: &mut Conn,
    table: T,
    rows: Vec<&'a R>,
    one: impl Fn(&'a R) -> One,
    copy: impl FnOnce(&mut PgConnection, Vec<&'a R>) -> QueryResult<usize>,
) -> QueryResult<()>
where
    T: Table + HasTable<Table = T> + Copy,
    &'a R: Insertable<T>,
    Vec<&'a R>: Insertable<T>,
    Insert<T, &'a R>: ExecuteDsl<SqliteConnection>,
    Insert<T, Vec<&'a R>>: ExecuteDsl<PgConnection>,
{
    match db {
        Conn::Sqlite(connection) => {
            rows.into_iter().try_for_each(|row| ExecuteDsl::execute(one(row), connection).map(drop))
        }
        Conn::Postgres(connection) if rows.len() > ROWS => copy(connection, rows).map(drop),
        Conn::Postgres(_) => insert_all::<T, R>(db, table, rows),
    }
}
