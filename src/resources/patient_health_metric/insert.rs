//! How measurements are stored, of which there are many.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Nullable, Text, Timestamp};
use diesel::sqlite::Sqlite;
use diesel::{ExecuteCopyFromDsl, copy_from};

use super::Metric;
use crate::db::schema::patient_health_metrics as metrics;
use crate::db::{Conn, insert_bulk};
use crate::error::Result;
use crate::resources::counts;

/// Stores measurements, those of one patient together: an index is quicker at
/// taking in neighbours.
///
/// # Errors
/// When the database fails.
pub fn insert(db: &mut Conn, rows: &[Metric]) -> Result<()> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| row.patient_id);
    if let Some(first) = rows.first() {
        counts::add_metrics(db, first.organization_id, rows.iter().map(|row| row.patient_id))?;
    }
    Ok(insert_bulk::<_, Metric, _>(db, metrics::table, rows, InsertOne, |db, rows| {
        copy_from(metrics::table).from_insertable(rows).execute(db)
    })?)
}

/// The statement for one row on SQLite. Diesel's own is spelled out anew for each
/// row, which takes a third as long as to carry it out.
struct InsertOne<'m>(&'m Metric);

impl QueryFragment<Sqlite> for InsertOne<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let row = self.0;
        out.push_sql(
            "INSERT INTO patient_health_metrics (id, organization_id, patient_id, type, created_by, updated_by, \
             occurred_at, created_at, updated_at, code, value, systolic, diastolic, unit) VALUES (",
        );
        for id in [&row.id, &row.organization_id, &row.patient_id] {
            out.push_bind_param::<Text, _>(id)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<Text, _>(&row.kind)?;
        for client in [&row.created_by, &row.updated_by] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(client)?;
        }
        for at in [&row.occurred_at, &row.created_at, &row.updated_at] {
            out.push_sql(", ");
            out.push_bind_param::<Timestamp, _>(at)?;
        }
        for sent in [&row.code, &row.value, &row.systolic, &row.diastolic, &row.unit] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(sent)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryId for InsertOne<'_> {
    type QueryId = InsertOne<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}
