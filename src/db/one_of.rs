//! `column IN (any number of ids)` as one statement that is prepared once.
//!
//! Diesel writes a placeholder for each value, so that a statement for 49 ids is
//! another than one for 50, neither of them is kept prepared, and SQLite takes
//! no more than 32,766. Here the ids are one value: an array to PostgreSQL, to
//! SQLite a JSON array that it takes apart itself.

use diesel::QueryResult;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, Bool, Text};
use diesel::sqlite::Sqlite;

use super::Backend;
use crate::id::Id;

/// See [`one_of`].
#[derive(Clone, Debug, QueryId)]
pub struct OneOf<C> {
    column: C,
    ids: Ids,
}

#[derive(Clone, Debug)]
struct Ids {
    array: Vec<Id>,
    json: String,
}

/// The condition that a column holds one of these ids.
pub fn one_of<C>(column: C, ids: impl IntoIterator<Item = Id>) -> OneOf<C> {
    let array: Vec<_> = ids.into_iter().collect();
    let mut json = String::with_capacity(2 + array.len() * 27);
    let mut separator = '[';
    for id in &array {
        json.push(separator);
        json.push('"');
        json.push_str(id.as_str());
        json.push('"');
        separator = ',';
    }
    json.push_str(if array.is_empty() { "[]" } else { "]" });
    OneOf { column, ids: Ids { array, json } }
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for OneOf<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.ids.array)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<C: QueryFragment<Sqlite>> QueryFragment<Sqlite> for OneOf<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.ids.json)?;
        out.push_sql("))");
        Ok(())
    }
}

impl<C: QueryFragment<Pg> + QueryFragment<Sqlite>> QueryFragment<Backend> for OneOf<C> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        Backend::walk_variant_ast(self, out)
    }
}

impl QueryId for Ids {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C: Expression> Expression for OneOf<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for OneOf<C> {}

impl<C: SelectableExpression<T>, T> SelectableExpression<T> for OneOf<C> {}

impl<C> ValidGrouping<()> for OneOf<C> {
    type IsAggregate = is_aggregate::No;
}
