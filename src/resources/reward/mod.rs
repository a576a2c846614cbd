//! `reward`: a part of an activation's budget, set aside for reaching a goal.

mod write;

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;

use super::decimal::Decimal;
use super::lookup;
use super::patient::{Patient, in_groups};
use super::reach::{Reach, Reached};
use super::reward_program_activation::{self as activation, Activation};
use crate::auth::Scope;
use crate::db::schema::{reward_earning_fulfillments as fulfillments, reward_earnings, rewards};
use crate::db::{Backend, Conn, Page, Sort, Window, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, PagingRules, Reference};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, and what it says of the attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = rewards, treat_none_as_default_value = false)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its activation.
    #[serde(skip)]
    pub organization_id: Id,
    /// The group of its activation's program.
    #[serde(skip)]
    pub group_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The activation.
    #[serde(skip)]
    pub reward_program_activation_id: Id,
    /// The thread of the action that is rewarded.
    #[serde(rename = "_thread", skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// What it is for.
    pub description: String,
    /// How much of the budget it takes.
    pub allocated_value: Decimal,
    /// What that is counted in.
    pub allocated_unit: String,
    /// Since when.
    pub allocated_at: Instant,
    /// When the patient wants to have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_at: Option<Instant>,
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

/// A reward: its row, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Reward {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    /// What was earned of it, if anything.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

/// What was earned of a reward, and fulfilled of that.
#[derive(Clone, Copy, Debug, Queryable, Serialize)]
pub struct Outcome {
    earned_value: Decimal,
    earned_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfilled_value: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfilled_at: Option<Instant>,
}

impl Resource for Reward {
    const TYPE: &'static str = "reward";

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |Self { row, .. }: &Self| {
            vec![
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship::one("reward_program_activation", Activation::TYPE, row.reward_program_activation_id),
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> rewards::BoxedQuery<'q, Backend> {
    let mine = rows_of(rewards::table).filter(rewards::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(rewards::group_id.eq_any(ids.clone())).filter(in_groups(rewards::patient_id, ids)),
    }
}

impl Fetch for Reward {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        by_id(db, scope, [id])?.remove(&id).ok_or_else(|| Fault::not_found().into())
    }
}

/// Those of these rewards that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn by_id(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Reward>> {
    let rows: Vec<Row> = lookup::collect(ids, |ids| visible(scope).filter(rewards::id.eq_any(ids)).load(db))?;
    let mut known: Vec<_> = rows.into_iter().map(Reward::from).collect();
    complete(db, &mut known)?;
    Ok(known.into_iter().map(|reward| (reward.row.id, reward)).collect())
}

impl From<Row> for Reward {
    fn from(row: Row) -> Self {
        Self { row, outcome: None }
    }
}

/// Adds what was earned and fulfilled.
fn complete(db: &mut Conn, loaded: &mut [Reward]) -> Result<()> {
    let mut outcomes: HashMap<Id, Outcome> = lookup::collect(loaded.iter().map(|reward| reward.row.id), |ids| {
        reward_earnings::table
            .left_join(fulfillments::table)
            .filter(reward_earnings::reward_id.eq_any(ids))
            .select((
                reward_earnings::reward_id,
                (
                    reward_earnings::earned_value,
                    reward_earnings::earned_at,
                    fulfillments::fulfilled_value.nullable(),
                    fulfillments::fulfilled_at.nullable(),
                ),
            ))
            .load(db)
    })?;
    for reward in loaded {
        reward.outcome = outcomes.remove(&reward.row.id);
    }
    Ok(())
}

impl HasOne<Patient> for Reward {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let reward = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, reward.row.patient_id)
    }
}

impl HasOne<Activation> for Reward {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Activation> {
        let reward = Self::fetch(db, scope, id)?;
        Activation::fetch(db, scope, reward.row.reward_program_activation_id)
    }
}

/// What a list of rewards is filtered by.
#[derive(Debug)]
pub struct RewardFilter {
    reach: Reach,
    activation: Option<Reference>,
    thread: Option<String>,
}

impl List for Reward {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "rewards.created_at", |reward| reward.row.created_at),
        by_instant("updated_at", "rewards.updated_at", |reward| reward.row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = RewardFilter;

    fn filter(filters: &Filters<'_>) -> RewardFilter {
        let filter = RewardFilter {
            reach: Reach::read(filters),
            activation: filters.reference("filter[reward_program_activation]"),
            thread: filters.text("filter[thread]"),
        };
        filters.require_one_of(&[
            "filter[patient]",
            "filter[reward_program_activation]",
            "filter[thread]",
            "filter[groups]",
            "filter[organization]",
        ]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &RewardFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.reach.check(db, scope, faults)?;
        if let Some(named) = &filter.activation {
            named.among(&activation::by_id(db, scope, named.id)?, "reward program activation", faults);
        }
        faults.check()?;
        let activation = filter.activation.as_ref().and_then(|named| named.id);
        let mut page = load_page::<Row, _, _>(db, window, "rewards", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(rewards::patient_id.eq(patient));
            }
            if let Some(activation) = activation {
                query = query.filter(rewards::reward_program_activation_id.eq(activation));
            }
            if let Some(thread) = &filter.thread {
                query = query.filter(rewards::thread.eq(thread.clone()));
            }
            if let Some(groups) = &groups {
                query = query.filter(rewards::group_id.eq_any(groups.clone()));
            }
            query
        })?;
        complete(db, &mut page.rows)?;
        Ok(page)
    }
}
