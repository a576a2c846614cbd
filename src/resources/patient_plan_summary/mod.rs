//! `patient_plan_summary`: a patient's plan, with what is to be done, how well
//! that goes, and the latest result of each thread.
//!
//! Each patient has one from the beginning. It carries the patient's id, unless
//! a fixture gave it another.

mod adherence;
mod write;

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::Serialize;

pub use adherence::{Adherence, FrequencyGoal, Weeks};

use super::action::{self, Action};
use super::bundle::{self, Bundle};
use super::lookup;
use super::patient::{self, Patient, in_groups, of_groups};
use super::reach::{Reach, Reached};
use super::result::{self, HealthResult};
use crate::auth::Scope;
use crate::db::schema::{patient_groups, patient_plan_summaries as plans};
use crate::db::{Backend, Conn, Json, Page, Sort, Window, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Relationship, Relationships};
use crate::jsonapi::{Filters, Identifier, Included, PagingRules, Reference};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, with what is reckoned from others: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    /// When each window of the day begins.
    pub window_notification_times: WindowTimes,
    /// That of its tracked actions, together.
    pub adherence: Adherence,
}

/// A row.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = plans, treat_none_as_null = true, treat_none_as_default_value = false)]
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
    /// The bounds beyond which a value is critical, as they were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<Json>,
    /// The patient's time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// `WindowOrder`s.
    pub window_order: Json,
    /// When it began.
    pub effective_from: Instant,
    /// When the row was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip)]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip)]
    pub updated_by: Option<String>,
}

impl Row {
    /// The plan that a patient begins with.
    pub fn of(patient: &Patient) -> Self {
        Self {
            id: patient.id,
            organization_id: patient.organization_id,
            patient_id: patient.id,
            critical: None,
            time_zone: None,
            window_order: Json::empty_list(),
            effective_from: patient.created_at,
            created_at: patient.created_at,
            updated_at: patient.created_at,
            created_by: patient.created_by.clone(),
            updated_by: patient.created_by.clone(),
        }
    }
}

/// The beginning of each window of the day, in seconds after midnight.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WindowTimes {
    morning: u32,
    afternoon: u32,
    evening: u32,
    night: u32,
}

const WINDOW_TIMES: WindowTimes = WindowTimes { morning: 25_200, afternoon: 43_200, evening: 64_800, night: 75_600 };

impl From<Row> for Plan {
    fn from(row: Row) -> Self {
        Self { row, window_notification_times: WINDOW_TIMES, adherence: Adherence::default() }
    }
}

impl Plan {
    /// Reckons the adherence of a whole page.
    fn measure(db: &mut Conn, scope: &Scope, plans: &mut [Self]) -> Result<()> {
        let tracked = action::of_plans(db, scope, &ids(plans), true)?;
        let mut sums: HashMap<Id, Adherence> = HashMap::new();
        for action in tracked {
            sums.entry(action.row.plan_id).or_default().add(&action.adherence);
        }
        for plan in plans {
            plan.adherence = sums.remove(&plan.row.id).unwrap_or_default();
        }
        Ok(())
    }
}

fn ids(plans: &[Plan]) -> Vec<Id> {
    plans.iter().map(|plan| plan.row.id).collect()
}

impl Resource for Plan {
    const TYPE: &'static str = "patient_plan_summary";
    const INCLUDES: &'static [&'static str] = &["actions", "bundles", "patient", "current_results"];

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(db: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let ids = ids(rows);
        let (mut actions, mut bundles) = (action::ids_by_plan(db, &ids)?, bundle::ids_by_plan(db, &ids)?);
        let mut results = result::current(db, rows.iter().map(|plan| plan.row.patient_id))?;
        let many = |kind, ids: Option<Vec<Id>>| {
            Linkage::Many(ids.unwrap_or_default().into_iter().map(|id| Identifier::new(kind, id)).collect())
        };
        let mut of = |row: &Row| {
            let results = many(HealthResult::TYPE, results.remove(&row.patient_id));
            vec![
                Relationship { name: "actions", data: many(Action::TYPE, actions.remove(&row.id)) },
                Relationship { name: "bundles", data: many(Bundle::TYPE, bundles.remove(&row.id)) },
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship { name: "current_results", data: results },
            ]
        };
        Ok(rows.iter().map(|plan| of(&plan.row)).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, rows: &[Self], path: &str, included: &mut Included) -> Result<()> {
        match path {
            "actions" => {
                let actions = action::of_plans(db, scope, &ids(rows), false)?;
                included.add_all(db, scope, &actions)
            }
            "bundles" => {
                let bundles = bundle::of_plans(db, &ids(rows))?;
                included.add_all(db, scope, &bundles)
            }
            "patient" => {
                let patients = patient::load(db, scope, rows.iter().map(|plan| plan.row.patient_id))?;
                included.add_all(db, scope, &patients)
            }
            _ => {
                let current = result::current(db, rows.iter().map(|plan| plan.row.patient_id))?;
                let results = result::of_ids(db, current.into_values().flatten())?;
                included.add_all(db, scope, &results)
            }
        }
    }
}

fn visible<'q>(scope: &Scope) -> plans::BoxedQuery<'q, Backend> {
    let mine = rows_of(plans::table).filter(plans::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(plans::patient_id, ids)),
    }
}

/// The ids of the plans of the patients of these groups.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn ids_of_groups(ids: Vec<Id>) -> _ {
    let members = patient_groups::table.filter(patient_groups::group_id.eq_any(ids));
    plans::table.filter(plans::patient_id.eq_any(members.select(patient_groups::patient_id))).select(plans::id)
}

impl Fetch for Plan {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row: Row = visible(scope).filter(plans::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        let mut plans = [Self::from(row)];
        Self::measure(db, scope, &mut plans)?;
        let [plan] = plans;
        Ok(plan)
    }
}

impl List for Plan {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "patient_plan_summaries.created_at", |plan| plan.row.created_at),
        by_instant("updated_at", "patient_plan_summaries.updated_at", |plan| plan.row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = Reach;

    fn filter(filters: &Filters<'_>) -> Reach {
        Reach::require(filters)
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Reach,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.check(db, scope, faults)?;
        faults.check()?;
        let mut page = load_page::<Row, _, Self>(db, window, "patient_plan_summaries", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(plans::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(plans::patient_id.eq_any(of_groups(groups.clone())));
            }
            query
        })?;
        Self::measure(db, scope, &mut page.rows)?;
        Ok(page)
    }
}

impl HasOne<Patient> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let patient = patient_of(db, scope, id)?;
        Patient::fetch(db, scope, patient)
    }
}

/// The patient of a plan.
///
/// # Errors
/// 404 when there is no plan of this id within the scope.
pub fn patient_of(db: &mut Conn, scope: &Scope, id: Id) -> Result<Id> {
    let patient = visible(scope).filter(plans::id.eq(id)).select(plans::patient_id).first(db).optional()?;
    patient.ok_or_else(|| Fault::not_found().into())
}

/// The plan of a patient.
///
/// # Errors
/// When the database fails.
pub fn of_patient(db: &mut Conn, patient: Id) -> Result<Option<Id>> {
    Ok(plans::table.filter(plans::patient_id.eq(patient)).select(plans::id).first(db).optional()?)
}

/// Those of these plans that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(db: &mut Conn, scope: &Scope, named: impl IntoIterator<Item = &'n Reference>) -> Result<HashSet<Id>> {
    lookup::collect(named.into_iter().filter_map(|reference| reference.id), |ids| {
        visible(scope).filter(plans::id.eq_any(ids)).select(plans::id).load(db)
    })
}
