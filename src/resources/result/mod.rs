//! `result`: a measurement, or that something was done, as the plan sees it.
//!
//! Each health metric is a result, with the same id: `all_results` is a view of
//! the metrics and of the table `results`, which holds those of actions without
//! a metric. Read-only over the API.

mod seed;

use diesel::prelude::*;
use serde::Serialize;

use super::action::{self, Action};
use super::patient::{self, Patient, of_groups};
use super::patient_health_metric::Metric;
use super::patient_plan_summary::{self as plan, Plan};
use crate::auth::Scope;
use crate::db::views::{all_results, current_results};
use crate::db::{Backend, Conn, Json, Page, Sort, Window, Within, chunks, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Instants, PagingRules, Reference};
use crate::resource::{Fetch, HasMany, HasOne, List, Resource, by_instant};
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

fn visible<'q>(scope: &Scope) -> all_results::BoxedQuery<'q, Backend> {
    let mine = rows_of(all_results::table).filter(all_results::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(all_results::patient_id.eq_any(of_groups(ids.clone()))),
    }
}

impl Fetch for HealthResult {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row: Row =
            visible(scope).filter(all_results::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        Ok(row.into())
    }
}

/// What a list of results is filtered by.
#[derive(Debug, Default)]
pub struct ResultFilter {
    patient: Option<Reference>,
    /// The same, where a plan has led to it.
    owner: Option<Id>,
    actions: Option<Vec<Reference>>,
    threads: Option<Vec<String>>,
    after: Option<Instant>,
    before: Option<Instant>,
    created_at: Option<Instants>,
    updated_at: Option<Instants>,
    /// Only the latest of each thread.
    current: bool,
}

impl List for HealthResult {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "all_results.created_at", |result| result.row.created_at),
        by_instant("updated_at", "all_results.updated_at", |result| result.row.updated_at),
        by_instant("occurred_at", "all_results.occurred_at", |result| result.row.occurred_at),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = ResultFilter;

    fn filter(filters: &Filters<'_>) -> ResultFilter {
        let filter = ResultFilter {
            patient: filters.reference("filter[patient]"),
            owner: None,
            actions: filters.references("filter[actions]"),
            threads: filters.texts("filter[threads]"),
            after: filters.instant("filter[start_at]"),
            before: filters.instant("filter[end_at]"),
            created_at: filters.instants("filter[created_at]"),
            updated_at: filters.instants("filter[updated_at]"),
            current: false,
        };
        filters.require_one_of(&["filter[patient]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &ResultFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let patient = filter.owner.or(filter.patient.as_ref().and_then(|patient| patient.id));
        if let Some(named) = &filter.patient
            && patient::known(db, scope, patient)?.is_empty()
        {
            faults.add(named.unknown("patient"));
        }
        let of_actions = match &filter.actions {
            None => None,
            Some(named) => Some(threads_of(db, scope, named, patient, faults)?),
        };
        faults.check()?;
        load_page::<Row, _, Self>(db, window, "all_results", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(all_results::patient_id.eq(patient));
            }
            for threads in [&filter.threads, &of_actions].into_iter().flatten() {
                query = query.filter(all_results::thread.eq_any(threads.clone()));
            }
            if let Some(after) = filter.after {
                query = query.filter(all_results::occurred_at.gt(after));
            }
            if let Some(before) = filter.before {
                query = query.filter(all_results::occurred_at.lt(before));
            }
            let ranges = [("all_results.created_at", filter.created_at), ("all_results.updated_at", filter.updated_at)];
            for (column, range) in ranges {
                if let Some(Instants { start, end }) = range {
                    query = query.filter(Within { column, start, end });
                }
            }
            if filter.current {
                let current = current_results::table.filter(current_results::patient_id.nullable().eq(patient));
                query = query.filter(all_results::id.eq_any(current.select(current_results::id)));
            }
            query
        })
    }
}

/// The threads of those of these actions that are in the patient's plan; what
/// is unknown is noted.
fn threads_of(
    db: &mut Conn,
    scope: &Scope,
    named: &[Reference],
    patient: Option<Id>,
    faults: &Faults,
) -> Result<Vec<String>> {
    let known = action::known(db, scope, named)?;
    let plan = patient.map(|patient| plan::of_patient(db, patient)).transpose()?.flatten();
    let mut threads = Vec::new();
    for reference in named {
        match reference.id.and_then(|id| known.get(&id)) {
            None => faults.add(reference.unknown("action")),
            Some((its, thread)) if Some(*its) == plan => threads.push(thread.clone()),
            Some(_) => {}
        }
    }
    Ok(threads)
}

impl HasMany<HealthResult> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<ResultFilter> {
        let patient = plan::patient_of(db, scope, id)?;
        Ok(ResultFilter { owner: Some(patient), current: true, ..ResultFilter::default() })
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
