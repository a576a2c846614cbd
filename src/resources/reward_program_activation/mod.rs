//! `reward_program_activation`: a program that was opened for one patient, with
//! a budget of its own.
//!
//! It is over when it is deactivated or expires, by the gateway's clock. The
//! totals are never stored: they are counted from its rewards and earnings.

mod write;

use std::collections::HashMap;

use diesel::dsl::{count, count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::Serialize;

use super::decimal::Decimal;
use super::lookup;
use super::patient::{Patient, in_groups};
use super::reach::{Reach, Reached};
use super::reward_program::Program;
use crate::auth::Scope;
use crate::db::schema::{reward_earnings, reward_program_activations as activations, rewards};
use crate::db::{Backend, Conn, Page, Sort, Window, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, PagingRules};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// A row, and what it says of the attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = activations, treat_none_as_default_value = false)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its program.
    #[serde(skip)]
    pub organization_id: Id,
    /// The group of its program.
    #[serde(skip)]
    pub group_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The program.
    #[serde(skip)]
    pub reward_program_id: Id,
    /// When it began.
    pub activated_at: Instant,
    /// When it was ended, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deactivated_at: Option<Instant>,
    /// When it ends by itself.
    pub expires_at: Instant,
    /// When it is over: the earlier of the two.
    #[serde(skip)]
    pub ends_at: Instant,
    /// Whether what is earned can be fulfilled before it is over.
    pub fulfill_as_earned: bool,
    /// What its budget is counted in.
    pub budget_unit: String,
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

/// An activation: its row, and what follows from the clock and its rewards.
#[derive(Clone, Debug, Serialize)]
pub struct Activation {
    /// The row.
    #[serde(flatten)]
    pub row: Row,
    active: bool,
    /// What was allocated and earned so far.
    #[serde(flatten)]
    pub totals: Totals,
}

/// What was allocated and earned.
#[derive(Clone, Copy, Debug, Default, Queryable, Serialize)]
pub struct Totals {
    allocated_count: i64,
    /// Of all its rewards.
    pub total_allocated_value: Decimal,
    earned_count: i64,
    total_earned_value: Decimal,
}

impl Resource for Activation {
    const TYPE: &'static str = "reward_program_activation";

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |Self { row, .. }: &Self| {
            vec![
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship::one("reward_program", Program::TYPE, row.reward_program_id),
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> activations::BoxedQuery<'q, Backend> {
    let mine = rows_of(activations::table).filter(activations::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => {
            mine.filter(activations::group_id.eq_any(ids.clone())).filter(in_groups(activations::patient_id, ids))
        }
    }
}

impl Fetch for Activation {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        by_id(db, scope, [id])?.remove(&id).ok_or_else(|| Fault::not_found().into())
    }
}

/// Those of these activations that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn by_id(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Activation>> {
    let rows: Vec<Row> = lookup::collect(ids, |ids| visible(scope).filter(activations::id.eq_any(ids)).load(db))?;
    let mut known: Vec<_> = rows.into_iter().map(Activation::from).collect();
    complete(db, scope, &mut known)?;
    Ok(known.into_iter().map(|activation| (activation.row.id, activation)).collect())
}

impl From<Row> for Activation {
    fn from(row: Row) -> Self {
        Self { row, active: false, totals: Totals::default() }
    }
}

/// Adds what follows from the clock, the rewards and the earnings.
fn complete(db: &mut Conn, scope: &Scope, loaded: &mut [Activation]) -> Result<()> {
    let mut totals: HashMap<Id, Totals> = lookup::collect(loaded.iter().map(|activation| activation.row.id), |ids| {
        rewards::table
            .left_join(reward_earnings::table)
            .filter(rewards::reward_program_activation_id.eq_any(ids))
            .group_by(rewards::reward_program_activation_id)
            .select((
                rewards::reward_program_activation_id,
                (
                    count_star(),
                    // A sum of BIGINT is a NUMERIC on PostgreSQL.
                    sql::<BigInt>("CAST(coalesce(sum(rewards.allocated_value), 0) AS BIGINT)"),
                    count(reward_earnings::id.nullable()),
                    sql::<BigInt>("CAST(coalesce(sum(reward_earnings.earned_value), 0) AS BIGINT)"),
                ),
            ))
            .load(db)
    })?;
    for activation in loaded {
        activation.active = scope.now < activation.row.ends_at;
        activation.totals = totals.remove(&activation.row.id).unwrap_or_default();
    }
    Ok(())
}

impl HasOne<Patient> for Activation {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let activation = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, activation.row.patient_id)
    }
}

impl HasOne<Program> for Activation {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Program> {
        let activation = Self::fetch(db, scope, id)?;
        Program::fetch(db, scope, activation.row.reward_program_id)
    }
}

impl List for Activation {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "reward_program_activations.created_at", |activation| activation.row.created_at),
        by_instant("updated_at", "reward_program_activations.updated_at", |activation| activation.row.updated_at),
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
        let mut page = load_page::<Row, _, _>(db, window, "reward_program_activations", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(activations::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(activations::group_id.eq_any(groups.clone()));
            }
            query
        })?;
        complete(db, scope, &mut page.rows)?;
        Ok(page)
    }
}
