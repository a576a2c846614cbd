//! The condition that a patient is in certain groups, asked of each row.
//!
//! `patient_id IN (the patients of these groups)` has SQLite list them all first:
//! for a single row that takes as long as the groups have patients, and only where
//! some organization has that row, which a client could tell by the time.

use diesel::QueryResult;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

use crate::db::schema::patient_groups;
use crate::db::{Backend, OneOf, one_of};
use crate::id::Id;

/// See [`in_groups`].
#[derive(Debug, QueryId)]
pub struct InGroups<C> {
    patient: C,
    groups: OneOf<patient_groups::group_id>,
}

/// The condition that the patient in this column is in one of these groups.
pub fn in_groups<C>(patient: C, groups: &[Id]) -> InGroups<C> {
    InGroups { patient, groups: one_of(patient_groups::group_id, groups.iter().copied()) }
}

impl<C: QueryFragment<Backend>> QueryFragment<Backend> for InGroups<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        out.push_sql("EXISTS (SELECT 1 FROM patient_groups WHERE patient_groups.patient_id = ");
        self.patient.walk_ast(out.reborrow())?;
        out.push_sql(" AND ");
        self.groups.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

impl<C: Expression> Expression for InGroups<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for InGroups<C> {}

impl<C: SelectableExpression<T>, T> SelectableExpression<T> for InGroups<C> {}

impl<C> ValidGrouping<()> for InGroups<C> {
    type IsAggregate = is_aggregate::No;
}
