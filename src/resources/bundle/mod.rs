//! `bundle`: actions of a plan that belong together.
//!
//! This file is what a bundle looks like and how bundles are found; `write.rs`
//! is how they come to be and change, `member.rs` which actions are in them.

mod member;
mod write;

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;

pub use self::member::Member;
use super::action::Action;
use super::in_plan::Related;
use super::lookup;
use super::patient_plan_summary::{self as plan, Plan};
use crate::auth::Scope;
use crate::db::schema::{bundle_actions, bundles};
use crate::db::{Backend, Conn, Page, Sort, Window, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Relationship, Relationships};
use crate::jsonapi::{Filters, Identifier, PagingRules, Reference};
use crate::resource::{Fetch, HasMany, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, with its actions: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    #[serde(flatten)]
    row: Row,
    #[serde(rename = "_actions")]
    actions: Vec<Id>,
}

/// A row.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = bundles, treat_none_as_null = true, treat_none_as_default_value = false)]
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
    /// What kind of bundle it is; any text.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is called.
    pub title: String,
    /// When it begins.
    pub effective_from: Instant,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_to: Option<Instant>,
    /// What the results of its actions have in common.
    #[serde(rename = "_thread")]
    pub thread: String,
    /// When it was made.
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

impl From<Row> for Bundle {
    fn from(row: Row) -> Self {
        Self { row, actions: Vec::new() }
    }
}

impl Resource for Bundle {
    const TYPE: &'static str = "bundle";
    const INCLUDED: bool = true;

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |bundle: &Self| {
            let actions = bundle.actions.iter().map(|id| Identifier::new(Action::TYPE, *id)).collect();
            vec![
                Relationship::one("plan", Plan::TYPE, bundle.row.plan_id),
                Relationship { name: "actions", data: Linkage::Many(actions) },
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> bundles::BoxedQuery<'q, Backend> {
    let mine = rows_of(bundles::table).filter(bundles::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(bundles::plan_id.eq_any(plan::ids_of_groups(ids.clone()))),
    }
}

impl Bundle {
    /// Rows, with their actions.
    fn filled(db: &mut Conn, rows: Vec<Row>) -> Result<Vec<Self>> {
        let mut actions = Member::actions_of(db, rows.iter().map(|row| row.id))?;
        let mut take = |row: Row| Self { actions: actions.remove(&row.id).unwrap_or_default(), row };
        Ok(rows.into_iter().map(&mut take).collect())
    }
}

impl Fetch for Bundle {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row = visible(scope).filter(bundles::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        Self::filled(db, vec![row])?.pop().ok_or_else(|| Fault::not_found().into())
    }
}

impl List for Bundle {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "bundles.created_at", |bundle| bundle.row.created_at),
        by_instant("updated_at", "bundles.updated_at", |bundle| bundle.row.updated_at),
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
        let Page { rows, count, more } = load_page::<Row, _, Self>(db, window, "bundles", || {
            let query = visible(scope);
            match *filter {
                Related::All => query,
                Related::OfPlan(plan) => query.filter(bundles::plan_id.eq(plan)),
                Related::With(action) => {
                    let related = bundle_actions::table.filter(bundle_actions::action_id.eq(action));
                    query.filter(bundles::id.eq_any(related.select(bundle_actions::bundle_id)))
                }
            }
        })?;
        let rows = Self::filled(db, rows.into_iter().map(|bundle| bundle.row).collect())?;
        Ok(Page { rows, count, more })
    }
}

impl HasMany<Bundle> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Related> {
        plan::patient_of(db, scope, id)?;
        Ok(Related::OfPlan(id))
    }
}

impl HasMany<Bundle> for Action {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Related> {
        Self::fetch(db, scope, id)?;
        Ok(Related::With(id))
    }
}

impl HasOne<Plan> for Bundle {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Plan> {
        let bundle = Self::fetch(db, scope, id)?;
        Plan::fetch(db, scope, bundle.row.plan_id)
    }
}

/// The bundles of plans.
///
/// # Errors
/// When the database fails.
pub fn of_plans(db: &mut Conn, plans: &[Id]) -> Result<Vec<Bundle>> {
    let of_plans = |ids| bundles::table.filter(bundles::plan_id.eq_any(ids)).order(bundles::id).load(db);
    let rows = lookup::collect(plans.iter().copied(), of_plans)?;
    Bundle::filled(db, rows)
}

/// The ids of the bundles of plans.
///
/// # Errors
/// When the database fails.
pub fn ids_by_plan(db: &mut Conn, plans: &[Id]) -> Result<HashMap<Id, Vec<Id>>> {
    lookup::group(plans.iter().copied(), |ids| {
        bundles::table
            .filter(bundles::plan_id.eq_any(ids))
            .order(bundles::id)
            .select((bundles::plan_id, bundles::id))
            .load(db)
    })
}

/// Those of these bundles that are within the scope, with their plans.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(
    db: &mut Conn,
    scope: &Scope,
    named: impl IntoIterator<Item = &'n Reference>,
) -> Result<HashMap<Id, Id>> {
    lookup::collect(named.into_iter().filter_map(|reference| reference.id), |ids| {
        visible(scope).filter(bundles::id.eq_any(ids)).select((bundles::id, bundles::plan_id)).load(db)
    })
}
