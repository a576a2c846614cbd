//! `reward_earning`: that a patient has earned a reward, or a part of it. A
//! reward is earned once.

mod write;

use std::collections::HashMap;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use serde::Serialize;

use super::decimal::Decimal;
use super::group::Group;
use super::lookup;
use super::patient::{Patient, in_groups};
use super::reach::{Reach, Reached};
use super::reward::Reward;
use super::reward_program_activation::Activation;
use crate::auth::Scope;
use crate::db::schema::{
    reward_earning_fulfillments as fulfillments, reward_earnings as earnings, reward_program_activations as activations,
};
use crate::db::{Backend, Conn, Page, Sort, Window, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, PagingRules};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, and what it says of the attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = earnings, treat_none_as_default_value = false)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its reward.
    #[serde(skip)]
    pub organization_id: Id,
    /// The group of its reward's program.
    #[serde(skip)]
    pub group_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The activation that its reward belongs to.
    #[serde(skip)]
    pub reward_program_activation_id: Id,
    /// The reward.
    #[serde(skip)]
    pub reward_id: Id,
    /// How much of the reward was earned.
    pub earned_value: Decimal,
    /// What that is counted in.
    pub earned_unit: String,
    /// When.
    pub earned_at: Instant,
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

/// An earning: its row, and how far it has come since.
#[derive(Clone, Debug, Serialize)]
pub struct Earning {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    /// What has become of it.
    #[serde(flatten)]
    pub state: State,
}

/// What has become of an earning.
#[derive(Clone, Copy, Debug, Default, Queryable, Serialize)]
pub struct State {
    /// Whether it may be fulfilled: its activation is over or pays as it goes.
    pub ready_for_fulfillment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfilled_value: Option<Decimal>,
    /// When it was fulfilled, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fulfilled_at: Option<Instant>,
}

impl Resource for Earning {
    const TYPE: &'static str = "reward_earning";

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |Self { row, .. }: &Self| {
            vec![
                Relationship::one("group", Group::TYPE, row.group_id),
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship::one("reward_program_activation", Activation::TYPE, row.reward_program_activation_id),
                Relationship::one("reward", Reward::TYPE, row.reward_id),
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> earnings::BoxedQuery<'q, Backend> {
    let mine = rows_of(earnings::table).filter(earnings::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(earnings::group_id.eq_any(ids.clone())).filter(in_groups(earnings::patient_id, ids)),
    }
}

/// Whether what was earned of an activation may be fulfilled.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_ready(now: Instant) -> _ {
    activations::fulfill_as_earned.or(activations::ends_at.le(now))
}

impl Fetch for Earning {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        by_id(db, scope, [id])?.remove(&id).ok_or_else(|| Fault::not_found().into())
    }
}

/// Those of these earnings that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn by_id(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Earning>> {
    let rows: Vec<Row> = lookup::collect(ids, |ids| visible(scope).filter(earnings::id.eq_any(ids)).load(db))?;
    let mut known: Vec<_> = rows.into_iter().map(Earning::from).collect();
    complete(db, scope, &mut known)?;
    Ok(known.into_iter().map(|earning| (earning.row.id, earning)).collect())
}

impl From<Row> for Earning {
    fn from(row: Row) -> Self {
        Self { row, state: State::default() }
    }
}

/// Adds what has become of earnings.
fn complete(db: &mut Conn, scope: &Scope, loaded: &mut [Earning]) -> Result<()> {
    let mut states: HashMap<Id, State> = lookup::collect(loaded.iter().map(|earning| earning.row.id), |ids| {
        earnings::table
            .inner_join(activations::table)
            .left_join(fulfillments::table)
            .filter(earnings::id.eq_any(ids))
            .select((
                earnings::id,
                (is_ready(scope.now), fulfillments::fulfilled_value.nullable(), fulfillments::fulfilled_at.nullable()),
            ))
            .load(db)
    })?;
    for earning in loaded {
        earning.state = states.remove(&earning.row.id).unwrap_or_default();
    }
    Ok(())
}

impl HasOne<Group> for Earning {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Group> {
        let earning = Self::fetch(db, scope, id)?;
        Group::fetch(db, scope, earning.row.group_id)
    }
}

impl HasOne<Patient> for Earning {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let earning = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, earning.row.patient_id)
    }
}

impl HasOne<Activation> for Earning {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Activation> {
        let earning = Self::fetch(db, scope, id)?;
        Activation::fetch(db, scope, earning.row.reward_program_activation_id)
    }
}

impl HasOne<Reward> for Earning {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Reward> {
        let earning = Self::fetch(db, scope, id)?;
        Reward::fetch(db, scope, earning.row.reward_id)
    }
}

/// What a list of earnings is filtered by.
#[derive(Debug)]
pub struct EarningFilter {
    reach: Reach,
    ready_for_fulfillment: Option<bool>,
}

impl List for Earning {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "reward_earnings.created_at", |earning| earning.row.created_at),
        by_instant("updated_at", "reward_earnings.updated_at", |earning| earning.row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = EarningFilter;

    fn filter(filters: &Filters<'_>) -> EarningFilter {
        let filter = EarningFilter {
            reach: Reach {
                groups: filters.groups(),
                patient: filters.reference("filter[patient]"),
                ..Reach::default()
            },
            ready_for_fulfillment: filters.flag("filter[ready_for_fulfillment]"),
        };
        filters.require_one_of(&["filter[groups]", "filter[patient]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &EarningFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.reach.check(db, scope, faults)?;
        faults.check()?;
        let mut page = load_page::<Row, _, _>(db, window, "reward_earnings", || {
            let mut query = visible(scope);
            if let Some(groups) = &groups {
                query = query.filter(earnings::group_id.eq_any(groups.clone()));
            }
            if let Some(patient) = patient {
                query = query.filter(earnings::patient_id.eq(patient));
            }
            if let Some(ready) = filter.ready_for_fulfillment {
                let activation = activations::table
                    .filter(activations::id.eq(earnings::reward_program_activation_id))
                    .filter(is_ready(scope.now).eq(ready));
                let fulfillment = fulfillments::table.filter(fulfillments::reward_earning_id.eq(earnings::id));
                // Quirk: either value leaves out what is fulfilled already.
                query = query.filter(exists(activation)).filter(not(exists(fulfillment)));
            }
            query
        })?;
        complete(db, scope, &mut page.rows)?;
        Ok(page)
    }
}
