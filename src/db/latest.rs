//! The latest row of each thread, without reading the others.
//!
//! SQL has no word for skipping from one value of an index to the next. Here a
//! recursive query asks for the least thread after the last one, so that it
//! takes a few look-ups for each thread, however many rows a thread has.

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};

use super::Conn;
use crate::id::Id;
use crate::time::Instant;

/// A table of what happened to patients, with an index on patient, thread and
/// `occurred_at`.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Its name.
    pub table: &'static str,
    /// The column that tells the threads apart.
    pub column: &'static str,
}

/// The latest row of a thread.
#[derive(Clone, Debug, QueryableByName)]
pub struct Latest {
    /// The patient.
    #[diesel(sql_type = Text)]
    pub patient_id: Id,
    /// The thread.
    #[diesel(sql_type = Text)]
    pub thread: String,
    /// When it happened.
    #[diesel(sql_type = Timestamp)]
    pub occurred_at: Instant,
    /// The row.
    #[diesel(sql_type = Text)]
    pub id: Id,
}

/// The latest of each thread of these patients; of those that happened at the
/// same instant, the one with the greatest id.
pub fn latest(db: &mut Conn, Threads { table, column }: Threads, patients: &[Id]) -> QueryResult<Vec<Latest>> {
    let given = match db {
        Conn::Sqlite(_) => "(SELECT value AS id FROM json_each($1))",
        Conn::Postgres(_) => "(SELECT value AS id FROM json_array_elements_text($1::json))",
    };
    let query = format!(
        "WITH RECURSIVE threads (patient_id, thread) AS (
             SELECT given.id, (SELECT min(first.{column}) FROM {table} AS first WHERE first.patient_id = given.id)
             FROM {given} AS given
             UNION ALL
             SELECT threads.patient_id, (
                 SELECT min(next.{column}) FROM {table} AS next
                 WHERE next.patient_id = threads.patient_id AND next.{column} > threads.thread
             )
             FROM threads WHERE threads.thread IS NOT NULL
         )
         SELECT threads.patient_id, threads.thread, (
             SELECT max(each.occurred_at) FROM {table} AS each
             WHERE each.patient_id = threads.patient_id AND each.{column} = threads.thread
         ) AS occurred_at, (
             SELECT each.id FROM {table} AS each
             WHERE each.patient_id = threads.patient_id AND each.{column} = threads.thread
             ORDER BY each.occurred_at DESC, each.id DESC LIMIT 1
         ) AS id
         FROM threads WHERE threads.thread IS NOT NULL"
    );
    let patients = serde_json::to_string(patients).unwrap_or_default();
    diesel::sql_query(query).bind::<Text, _>(patients).load(db)
}
