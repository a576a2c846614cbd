//! Counts that lists show, kept beside the rows: counting takes the longer the
//! more there are. Whatever stores the rows keeps them, in the same transaction.

use std::collections::BTreeMap;

use diesel::dsl::sum;
use diesel::prelude::*;

use super::patient::of_groups;
use super::reach::Reached;
use crate::auth::Scope;
use crate::db::schema::{metric_counts, patient_counts};
use crate::db::{Conn, insert_all, one_of};
use crate::error::Result;
use crate::id::Id;

/// How many patients an organization has.
///
/// # Errors
/// When the database fails.
pub fn patients(db: &mut Conn, organization: Id) -> Result<i64> {
    let kept = patient_counts::table.filter(patient_counts::organization_id.eq(organization));
    let count: Option<i32> = kept.select(patient_counts::patients).first(db).optional()?;
    Ok(count.unwrap_or_default().into())
}

/// How many measurements a caller can reach; `None` when there is no patient to
/// have any.
///
/// # Errors
/// When the database fails.
pub fn metrics(db: &mut Conn, scope: &Scope, reached: &Reached) -> Result<Option<i64>> {
    let mut kept = metric_counts::table.filter(metric_counts::organization_id.eq(scope.organization)).into_boxed();
    if let Some(patient) = reached.patient {
        kept = kept.filter(metric_counts::patient_id.eq(patient));
    }
    for groups in scope.groups.iter().chain(&reached.groups) {
        kept = kept.filter(metric_counts::patient_id.eq_any(of_groups(groups.iter().copied())));
    }
    Ok(kept.select(sum(metric_counts::metrics)).first(db)?)
}

#[derive(Insertable)]
#[diesel(table_name = metric_counts)]
struct OfPatient {
    organization_id: Id,
    patient_id: Id,
    metrics: i32,
}

/// Counts new patients in, who have no measurements yet.
///
/// # Errors
/// When the database fails.
pub fn add_patients(db: &mut Conn, organization_id: Id, patients: impl Iterator<Item = Id>) -> QueryResult<()> {
    let rows: Vec<_> = patients.map(|patient_id| OfPatient { organization_id, patient_id, metrics: 0 }).collect();
    insert_all::<_, OfPatient>(db, metric_counts::table, &rows)?;
    let new = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    let kept = patient_counts::table.find(organization_id);
    let counted = diesel::update(kept).set(patient_counts::patients.eq(patient_counts::patients + new)).execute(db)?;
    if counted == 0 {
        let first = (patient_counts::organization_id.eq(organization_id), patient_counts::patients.eq(new));
        diesel::insert_into(patient_counts::table).values(first).execute(db)?;
    }
    Ok(())
}

/// Counts new measurements in, which are those of these patients.
///
/// # Errors
/// When the database fails.
pub fn add_metrics(db: &mut Conn, organization: Id, patients: impl Iterator<Item = Id>) -> QueryResult<()> {
    let mut counts: BTreeMap<Id, i32> = BTreeMap::new();
    for patient in patients {
        *counts.entry(patient).or_default() += 1;
    }
    let kept = |patients: &[Id]| {
        metric_counts::table
            .filter(metric_counts::organization_id.eq(organization))
            .filter(one_of(metric_counts::patient_id, patients.iter().copied()))
    };
    if let (Conn::Postgres(connection), true) = (&mut *db, counts.len() > 1) {
        // Always in the same order, so that two imports do not wait for each other.
        let all: Vec<_> = counts.keys().copied().collect();
        let locked = kept(&all).order(metric_counts::patient_id).select(metric_counts::patient_id).for_update();
        locked.load::<Id>(connection)?;
    }
    // One statement for all patients with as many.
    let mut by_count: BTreeMap<i32, Vec<Id>> = BTreeMap::new();
    for (patient, count) in counts {
        by_count.entry(count).or_default().push(patient);
    }
    for (count, patients) in by_count {
        diesel::update(kept(&patients)).set(metric_counts::metrics.eq(metric_counts::metrics + count)).execute(db)?;
    }
    Ok(())
}

/// Forgets the measurements of an organization, which are deleted.
///
/// # Errors
/// When the database fails.
pub fn forget_metrics(db: &mut Conn, organization: Id) -> QueryResult<()> {
    let kept = metric_counts::table.filter(metric_counts::organization_id.eq(organization));
    diesel::update(kept).set(metric_counts::metrics.eq(0)).execute(db).map(drop)
}

/// Forgets the patients of an organization, who are deleted.
///
/// # Errors
/// When the database fails.
pub fn forget_patients(db: &mut Conn, organization: Id) -> QueryResult<()> {
    diesel::delete(metric_counts::table.filter(metric_counts::organization_id.eq(organization))).execute(db)?;
    diesel::delete(patient_counts::table.find(organization)).execute(db).map(drop)
}
