//! `SELECT` of all columns of a table.
//!
//! Diesel spells a statement out each time it runs, if only to look it up among
//! those that are prepared; with two dozen columns, quoted one by one, that takes
//! several times as long as SQLite needs to find the row. So the columns are
//! spelled out once.

use std::any::TypeId;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{LazyLock, PoisonError, RwLock};

use diesel::dsl::Select;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AstPass, QueryBuilder, QueryFragment, QueryId};
use diesel::query_dsl::methods::SelectDsl;
use diesel::{QueryResult, Table};

use super::Backend;

/// All rows of a table, whole.
pub fn rows_of<T: Table + SelectDsl<Columns<T>>>(table: T) -> Select<T, Columns<T>> {
    table.select(Columns(PhantomData))
}

/// See [`rows_of`].
#[derive(Debug, QueryId)]
pub struct Columns<T>(PhantomData<T>);

impl<T: Table<AllColumns: QueryFragment<Pg>> + 'static> QueryFragment<Backend> for Columns<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        out.push_sql(text::<T>()?);
        Ok(())
    }
}

/// The columns as PostgreSQL quotes them, which is how the standard does and
/// SQLite takes it. Without the table, which there is only one of: the text is
/// hashed each time, too.
fn text<T: Table<AllColumns: QueryFragment<Pg>> + 'static>() -> QueryResult<&'static str> {
    static TEXTS: LazyLock<RwLock<HashMap<TypeId, &'static str>>> = LazyLock::new(RwLock::default);
    if let Some(text) = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<T>()) {
        return Ok(text);
    }
    let mut builder = PgQueryBuilder::default();
    T::all_columns().to_sql(&mut builder, &Pg)?;
    let text = builder.finish();
    let table = text.split_inclusive('.').next().unwrap_or_default();
    // Once for each table, for as long as the program runs.
    let text = &*text.replace(table, "").leak();
    TEXTS.write().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<T>(), text);
    Ok(text)
}

impl<T: Table> Expression for Columns<T> {
    type SqlType = <T::AllColumns as Expression>::SqlType;
}

impl<T: Table> AppearsOnTable<T> for Columns<T> {}

impl<T: Table> SelectableExpression<T> for Columns<T> {}

impl<T> ValidGrouping<()> for Columns<T> {
    type IsAggregate = is_aggregate::No;
}
