//! `result`: a measurement, or that something was done, as the plan sees it.
//!
//! Each health metric is a result, with the same id: `all_results` is a view of
//! the metrics and of the table `results`, which holds those of actions without
//! a metric. Read-only over the API.

mod list;
mod seed;

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;

pub use list::ResultFilter;

use super::action::Action;
use super::lookup;
use super::patient::{Patient, in_groups};
use super::patient_health_metric::Metric;
use super::patient_plan_summary::{self as plan, Plan};
use crate::auth::Scope;
use crate::db::views::all_results;
use crate::db::{Backend, Conn, Json, Latest, Threads, chunks, latest, rows_of};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::resource::{Fetch, HasMany, HasOne, Resource};
use crate::time::Instant;

/// A row, with its values put together: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct HealthResult {
    #[serde(flatten)]
    row: Row,
    data: Data,
}

/// A row.
#[derive(Clone, Debug, Queryable, Serialize)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The action, where there is no metric.
    #[serde(skip)]
    pub action_id: Option<Id>,
    /// The metric that this is.
    #[serde(skip)]
    pub metric_id: Option<Id>,
    /// What kind of result it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<String>,
    /// What it has in common with others; an action has a thread, too.
    #[serde(rename = "_thread")]
    pub thread: String,
    /// The value, as it was sent.
    #[serde(skip)]
    pub value: Option<Json>,
    /// The systolic blood pressure, as it was sent.
    #[serde(skip)]
    pub systolic: Option<Json>,
    /// The diastolic blood pressure, as it was sent.
    #[serde(skip)]
    pub diastolic: Option<Json>,
    /// The unit, as it was sent.
    #[serde(skip)]
    pub unit: Option<Json>,
    /// Whether the patient left it out on purpose.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// `Annotation`s.
    pub annotations: Json,
    /// The time zone in which it came to be.
    #[serde(rename = "occurred_at_time_zone", skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The window of the action.
    #[serde(rename = "window", skip_serializing_if = "Option::is_none")]
    pub window_id: Option<String>,
    /// How it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What another system calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Json>,
    /// How several values became this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<String>,
    /// When it came to be.
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

/// The values of a result.
#[derive(Clone, Debug, Serialize)]
struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    systolic: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diastolic: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Json>,
}

impl From<Row> for HealthResult {
    fn from(mut row: Row) -> Self {
        let data = Data {
            value: row.value.take(),
            systolic: row.systolic.take(),
            diastolic: row.diastolic.take(),
            unit: row.unit.take(),
        };
        Self { row, data }
    }
}

impl Resource for HealthResult {
    const TYPE: &'static str = "result";

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |Self { row, .. }: &Self| {
            let action = row.action_id.map(|id| Relationship::one("action", Action::TYPE, id));
            let metric = row.metric_id.map(|id| Relationship::one("metric", Metric::TYPE, id));
            let patient = Relationship::one("patient", Patient::TYPE, row.patient_id);
            std::iter::once(patient).chain(action).chain(metric).collect()
        };
        Ok(rows.iter().map(of).collect())
    }
}

type Query<'q> = all_results::BoxedQuery<'q, Backend>;

fn visible<'q>(scope: &Scope) -> Query<'q> {
    let mine = rows_of(all_results::table).filter(all_results::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(all_results::patient_id, ids)),
    }
}

impl Fetch for HealthResult {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row: Row =
            visible(scope).filter(all_results::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        Ok(row.into())
    }
}

impl HasMany<HealthResult> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<ResultFilter> {
        let patient = plan::patient_of(db, scope, id)?;
        let ids = current(db, [patient])?.remove(&patient).unwrap_or_default();
        Ok(ResultFilter::only(patient, ids))
    }
}

impl HasOne<Patient> for HealthResult {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let result = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, result.row.patient_id)
    }
}

impl HasOne<Action> for HealthResult {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Action> {
        let result = Self::fetch(db, scope, id)?;
        Action::fetch(db, scope, result.row.action_id.ok_or_else(Fault::not_found)?)
    }
}

impl HasOne<Metric> for HealthResult {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Metric> {
        Metric::fetch(db, scope, id)
    }
}

/// The latest result of each thread of these patients, by their ids.
///
/// # Errors
/// When the database fails.
pub fn current(db: &mut Conn, patients: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Vec<Id>>> {
    const METRICS: Threads = Threads { table: "patient_health_metrics", column: "type" };
    const RESULTS: Threads = Threads { table: "results", column: "thread" };
    let found: Vec<Latest> = lookup::collect(patients, |patients| {
        Ok([latest(db, METRICS, &patients)?, latest(db, RESULTS, &patients)?].concat())
    })?;
    let mut threads: HashMap<(Id, String), (Instant, Id)> = HashMap::new();
    for Latest { patient_id, thread, occurred_at, id } in found {
        let known = threads.entry((patient_id, thread)).or_insert((occurred_at, id));
        *known = (occurred_at, id).max(*known);
    }
    let mut current: HashMap<Id, Vec<Id>> = HashMap::new();
    for ((patient, _), (_, id)) in threads {
        current.entry(patient).or_default().push(id);
    }
    for ids in current.values_mut() {
        ids.sort_unstable();
    }
    Ok(current)
}

/// The results of these ids, which a visible plan has led to.
///
/// # Errors
/// When the database fails.
pub fn of_ids(db: &mut Conn, ids: impl IntoIterator<Item = Id>) -> Result<Vec<HealthResult>> {
    let mut rows = Vec::new();
    for chunk in chunks(ids) {
        let query = all_results::table.filter(all_results::id.eq_any(chunk)).order(all_results::id);
        rows.extend(query.load::<Row>(db)?.into_iter().map(HealthResult::from));
    }
    Ok(rows)
}
