//! `action`: something that a patient does, as the plan has it: measure a
//! weight, take a walk.
//!
//! Results belong to an action by its thread. This file is what an action looks
//! like and how actions are found; `write.rs` is how they come to be and change,
//! `parts.rs` what they consist of.

mod parts;
mod write;

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::Serialize;

use super::bundle::{Bundle, Member};
use super::in_plan::Related;
use super::lookup;
use super::patient_plan_summary::{self as plan, Adherence, Plan};
use crate::auth::Scope;
use crate::db::schema::{actions, bundle_actions};
use crate::db::{Backend, Conn, Json, Page, Sort, Window, chunks, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Relationship, Relationships};
use crate::jsonapi::{Filters, Identifier, PagingRules, Reference};
use crate::resource::{Fetch, HasMany, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, with what is reckoned from others: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    /// How well the patient keeps to it.
    pub adherence: Adherence,
    // Quirk: the vendor's examples show these two on every action, always so, and describe neither.
    frequency_goal_prorated: u32,
    options: [(); 0],
}

/// A row.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = actions, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The plan.
    #[serde(skip)]
    pub plan_id: Id,
    /// What kind of action it is; any text.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is called.
    pub title: String,
    /// What it is called whatever it asks for. Read-only over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_title: Option<String>,
    /// When it begins.
    pub effective_from: Instant,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_to: Option<Instant>,
    /// Whether it counts for the adherence of the plan.
    pub tracking: bool,
    /// What its results have in common.
    #[serde(rename = "_thread")]
    pub thread: String,
    /// A [`FrequencyGoal`](plan::FrequencyGoal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_goal: Option<Json>,
    /// `Identifier`s.
    pub identifiers: Json,
    /// More about it, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
    /// What is taken, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intake: Option<Json>,
    /// Whether it is done only with a measurement.
    pub metric_required: bool,
    /// `Metric`s.
    pub metrics: Json,
    /// `Window`s.
    pub windows: Json,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

impl From<Row> for Action {
    fn from(row: Row) -> Self {
        Self { row, adherence: Adherence::default(), frequency_goal_prorated: 0, options: [] }
    }
}

impl Action {
    /// Rows, with their adherence.
    fn measured(db: &mut Conn, scope: &Scope, rows: Vec<Row>) -> Result<Vec<Self>> {
        let adherence = Adherence::of_actions(db, &rows, scope.now)?;
        Ok(rows.into_iter().zip(adherence).map(|(row, adherence)| Self { adherence, ..Self::from(row) }).collect())
    }
}

impl Resource for Action {
    const TYPE: &'static str = "action";
    const INCLUDED: bool = true;

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(db: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let mut bundles = Member::bundles_of(db, rows.iter().map(|action| action.row.id))?;
        let mut of = |row: &Row| {
            let bundles = bundles.remove(&row.id).unwrap_or_default();
            let bundles = bundles.into_iter().map(|id| Identifier::new(Bundle::TYPE, id)).collect();
            vec![
                Relationship::one("plan", Plan::TYPE, row.plan_id),
                Relationship { name: "bundles", data: Linkage::Many(bundles) },
            ]
        };
        Ok(rows.iter().map(|action| of(&action.row)).collect())
    }
}

fn visible<'q>(scope: &Scope) -> actions::BoxedQuery<'q, Backend> {
    let mine = rows_of(actions::table).filter(actions::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(actions::plan_id.eq_any(plan::ids_of_groups(ids.clone()))),
    }
}

impl Fetch for Action {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row = visible(scope).filter(actions::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        Self::measured(db, scope, vec![row])?.pop().ok_or_else(|| Fault::not_found().into())
    }
}

impl List for Action {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "actions.created_at", |action| action.row.created_at),
        by_instant("updated_at", "actions.updated_at", |action| action.row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = Related;

    fn filter(_: &Filters<'_>) -> Related {
        Related::All
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Related,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        faults.check()?;
        let Page { rows, count, more } = load_page::<Row, _, Self>(db, window, "actions", || {
            let query = visible(scope);
            match *filter {
                Related::All => query,
                Related::OfPlan(plan) => query.filter(actions::plan_id.eq(plan)),
                Related::With(bundle) => {
                    let related = bundle_actions::table.filter(bundle_actions::bundle_id.eq(bundle));
                    query.filter(actions::id.eq_any(related.select(bundle_actions::action_id)))
                }
            }
        })?;
        let rows = Self::measured(db, scope, rows.into_iter().map(|action| action.row).collect())?;
        Ok(Page { rows, count, more })
    }
}

impl HasMany<Action> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Related> {
        plan::patient_of(db, scope, id)?;
        Ok(Related::OfPlan(id))
    }
}

impl HasMany<Action> for Bundle {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Related> {
        Self::fetch(db, scope, id)?;
        Ok(Related::With(id))
    }
}

impl HasOne<Plan> for Action {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Plan> {
        let action = Self::fetch(db, scope, id)?;
        Plan::fetch(db, scope, action.row.plan_id)
    }
}

/// The actions of plans, or those that count for their adherence.
///
/// # Errors
/// When the database fails.
pub fn of_plans(db: &mut Conn, scope: &Scope, plans: &[Id], tracked: bool) -> Result<Vec<Action>> {
    let mut rows = Vec::new();
    for chunk in chunks(plans.iter().copied()) {
        let mut query = actions::table.filter(actions::plan_id.eq_any(chunk)).order(actions::id).into_boxed();
        if tracked {
            query = query.filter(actions::tracking.eq(true));
        }
        rows.extend(query.load::<Row>(db)?);
    }
    Action::measured(db, scope, rows)
}

/// The ids of the actions of plans.
///
/// # Errors
/// When the database fails.
pub fn ids_by_plan(db: &mut Conn, plans: &[Id]) -> Result<HashMap<Id, Vec<Id>>> {
    lookup::group(plans.iter().copied(), |ids| {
        actions::table
            .filter(actions::plan_id.eq_any(ids))
            .order(actions::id)
            .select((actions::plan_id, actions::id))
            .load(db)
    })
}

/// Those of these actions that are within the scope, with their plans and
/// threads.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(
    db: &mut Conn,
    scope: &Scope,
    named: impl IntoIterator<Item = &'n Reference>,
) -> Result<HashMap<Id, (Id, String)>> {
    let ids: HashSet<Id> = named.into_iter().filter_map(|reference| reference.id).collect();
    let mut known = HashMap::new();
    for chunk in chunks(ids) {
        let query = visible(scope).filter(actions::id.eq_any(chunk));
        let found: Vec<(Id, Id, String)> = query.select((actions::id, actions::plan_id, actions::thread)).load(db)?;
        known.extend(found.into_iter().map(|(id, plan, thread)| (id, (plan, thread))));
    }
    Ok(known)
}
