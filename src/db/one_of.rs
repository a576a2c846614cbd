//! `column IN (any number of texts)` as one statement that is prepared once.
//!
//! Diesel writes a placeholder for each value, so that a statement for 49 ids is
//! another than one for 50, neither of them is kept prepared, and SQLite takes
//! no more than 32,766. Here the texts are one value: an array to PostgreSQL, to
//! SQLite a JSON array that it takes apart itself.

use std::fmt::Debug;

use diesel::QueryResult;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, Bool, Text};
use diesel::sqlite::Sqlite;
use serde::Serialize;

use super::{Backend, Json};
use crate::id::Id;

/// See [`one_of`].
#[derive(Clone, Debug)]
pub struct OneOf<C, T = Id> {
    column: C,
    texts: Texts<T>,
}

#[derive(Clone, Debug)]
struct Texts<T> {
    array: Vec<T>,
    json: Json,
}

/// The condition that a column holds one of these ids or other texts.
pub fn one_of<C, T: Serialize>(column: C, texts: impl IntoIterator<Item = T>) -> OneOf<C, T> {
    let array: Vec<_> = texts.into_iter().collect();
    let json = Json::of(&array);
    OneOf { column, texts: Texts { array, json } }
}

impl<C: QueryFragment<Pg>, T: Debug + ToSql<Text, Pg>> QueryFragment<Pg> for OneOf<C, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<Text>, _>(&self.texts.array)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<C: QueryFragment<Sqlite>, T> QueryFragment<Sqlite> for OneOf<C, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.texts.json)?;
        out.push_sql("))");
        Ok(())
    }
}

impl<C: QueryFragment<Pg> + QueryFragment<Sqlite>, T: Debug + ToSql<Text, Pg>> QueryFragment<Backend> for OneOf<C, T> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        Backend::walk_variant_ast(self, out)
    }
}

impl<C: QueryId, T> QueryId for OneOf<C, T> {
    type QueryId = OneOf<C::QueryId, ()>;
    const HAS_STATIC_QUERY_ID: bool = C::HAS_STATIC_QUERY_ID;
}

impl<C: Expression, T> Expression for OneOf<C, T> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<From>, T, From> AppearsOnTable<From> for OneOf<C, T> {}

impl<C: SelectableExpression<From>, T, From> SelectableExpression<From> for OneOf<C, T> {}

impl<C, T> ValidGrouping<()> for OneOf<C, T> {
    type IsAggregate = is_aggregate::No;
}
