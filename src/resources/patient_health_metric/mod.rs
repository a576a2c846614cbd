//! `patient_health_metric`: a measurement of a patient, such as a weight or a
//! lab result.
//!
//! Imported in bulk and never changed. `value`, `unit` and `code` are kept and
//! answered to the letter: `"121"`, `121` and `121.0` are three values.

mod create;
mod insert;

use diesel::prelude::*;
use serde::Serialize;

use super::counts;
use super::patient::{self, Patient, in_groups, of_groups};
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::patient_health_metrics as metrics;
use crate::db::{Backend, Conn, Json, Page, Sort, Weight, Window, approach, load_rows, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::Filters;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = metrics, treat_none_as_default_value = false)]
pub struct Metric {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// What was measured: one of [`super::loinc`]'s types.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same as a code, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Json>,
    /// The value, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// The systolic blood pressure, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systolic: Option<Json>,
    /// The diastolic blood pressure, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diastolic: Option<Json>,
    /// The unit, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Json>,
    /// When it was measured.
    pub occurred_at: Instant,
    /// When it was stored.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

impl Resource for Metric {
    const TYPE: &'static str = "patient_health_metric";

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |row: &Self| vec![Relationship::one("patient", Patient::TYPE, row.patient_id)];
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> metrics::BoxedQuery<'q, Backend> {
    let mine = rows_of(metrics::table).filter(metrics::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(metrics::patient_id, ids)),
    }
}

impl Fetch for Metric {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(metrics::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Patient> for Metric {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let metric = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, metric.patient_id)
    }
}

impl List for Metric {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "patient_health_metrics.created_at", |row| row.created_at),
        by_instant("updated_at", "patient_health_metrics.updated_at", |row| row.updated_at),
        by_instant("occurred_at", "patient_health_metrics.occurred_at", |row| row.occurred_at),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = Reach;

    fn filter(filters: &Filters<'_>) -> Reach {
        Reach::require(filters)
    }

    fn weight(reach: &Reach, window: &Window<Self>) -> Weight {
        if reach.patient.is_some() && reach.groups.is_none() && window.is_near() { Weight::Short } else { Weight::Long }
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Reach,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let (reached, count) = reach(db, scope, filter, faults)?;
        faults.check()?;
        let matching = || {
            let mut matching = visible(scope);
            if let Some(patient) = reached.patient {
                matching = matching.filter(metrics::patient_id.eq(patient));
            }
            if let Some(groups) = &reached.groups {
                matching = matching.filter(metrics::patient_id.eq_any(of_groups(groups.iter().copied())));
            }
            matching
        };
        let nearer = approach(db, window, TABLE, count, matching().select(metrics::id))?;
        load_rows::<Self, _, _>(db, nearer.as_ref().unwrap_or(window), TABLE, count, matching())
    }
}

const TABLE: &str = "patient_health_metrics";

/// What a list reaches, and how much that is. A patient who is counted is known,
/// which spares looking for them.
fn reach(db: &mut Conn, scope: &Scope, filter: &Reach, faults: &Faults) -> Result<(Reached, i64)> {
    let groups = filter.check_groups(db, scope, faults)?;
    let mut reached = Reached { groups, patient: filter.patient.as_ref().and_then(|named| named.id) };
    let count = match &filter.patient {
        Some(named) if named.id.is_none() => None,
        _ => counts::metrics(db, scope, &reached)?,
    };
    if let (None, Some(named)) = (count, &filter.patient) {
        reached.patient = patient::check(db, scope, named, faults)?;
    }
    Ok((reached, count.unwrap_or_default()))
}
