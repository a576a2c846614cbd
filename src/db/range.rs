//! The condition that an instant lies within a range.

use diesel::QueryResult;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Timestamp};

use super::Backend;
use crate::time::Instant;

/// The condition that a column holds an instant from `start` on and before
/// `end`, either of which may be open. One without value is in no range.
#[derive(Debug)]
pub struct Within {
    /// The column, with its table.
    pub column: &'static str,
    /// The first instant that is within.
    pub start: Option<Instant>,
    /// The first that no longer is.
    pub end: Option<Instant>,
}

impl QueryFragment<Backend> for Within {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        out.push_sql(self.column);
        out.push_sql(" IS NOT NULL");
        for (compare, bound) in [(" >= ", &self.start), (" < ", &self.end)] {
            if let Some(bound) = bound {
                out.push_sql(" AND ");
                out.push_sql(self.column);
                out.push_sql(compare);
                out.push_bind_param::<Timestamp, _>(bound)?;
            }
        }
        Ok(())
    }
}

impl QueryId for Within {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Expression for Within {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for Within {}

impl ValidGrouping<()> for Within {
    type IsAggregate = is_aggregate::No;
}
