//! How earnings come to be: never more than was allocated, never twice.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use diesel::prelude::*;

use super::{Earning, Row, complete};
use crate::auth::Scope;
use crate::db::schema::reward_earnings as earnings;
use crate::db::{Conn, insert_all};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Read, Reference};
use crate::resource::{Create, Resource, Written};
use crate::resources::decimal::Decimal;
use crate::resources::reward::{self, Reward};
use crate::resources::reward_program_activation as activation;
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// An earning as a client describes it.
#[derive(Debug)]
pub struct NewEarning {
    earned_value: Option<Decimal>,
    earned_at: Option<Instant>,
    reward: Option<Reference>,
    row: Option<Seeded>,
}

impl NewEarning {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        Self {
            earned_value: attributes.required_with("earned_value", Decimal::not_negative),
            earned_at: attributes.required_with("earned_at", Read::read),
            reward: relationships.required_one("reward", Reward::TYPE, |named| named.required_reference()),
            row: None,
        }
    }

    /// The row, or notes of what stands against it.
    fn row(
        &self,
        scope: &Scope,
        pointer: &str,
        reward: &reward::Row,
        activation: &activation::Row,
        notes: &Notes,
    ) -> Option<Row> {
        let fault = |place: &str, detail: String| notes.faults.add(Fault::body(format!("{pointer}/{place}"), detail));
        if self.earned_value.is_some_and(|value| value > reward.allocated_value) {
            let detail = format!("is more than was allocated for the reward, {}", reward.allocated_value);
            fault("attributes/earned_value", detail);
        }
        let (start, end) = (reward.allocated_at, activation.ends_at);
        if self.earned_at.is_some_and(|at| at <= start || at >= end) {
            let detail =
                format!("must be after the reward was allocated, {start}, and before the end of the activation, {end}");
            fault("attributes/earned_at", detail);
        }
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Some(Row {
            id: row.id,
            organization_id: scope.organization,
            group_id: reward.group_id,
            patient_id: reward.patient_id,
            reward_program_activation_id: activation.id,
            reward_id: reward.id,
            earned_value: self.earned_value?,
            earned_unit: reward.allocated_unit.clone(),
            earned_at: self.earned_at?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        })
    }
}

impl Create for Earning {
    const CREATED: StatusCode = StatusCode::OK;

    type New = NewEarning;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewEarning {
        NewEarning::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewEarning>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let rewards = reward::by_id(db, scope, new.items.iter().filter_map(|(_, new)| new.reward.as_ref()?.id))?;
        let activations = rewards.values().map(|reward| reward.row.reward_program_activation_id);
        let activations = activation::by_id(db, scope, activations)?;
        let mut earned: HashSet<Id> =
            rewards.values().filter(|reward| reward.outcome.is_some()).map(|reward| reward.row.id).collect();
        let mut rows = Vec::with_capacity(new.items.len());
        for (pointer, new) in &new.items {
            let Some(named) = &new.reward else { continue };
            let Some(Reward { row: reward, .. }) = named.among(&rewards, "reward", &notes.faults) else { continue };
            if !earned.insert(reward.id) {
                let detail = "names a reward that is earned already; a reward has only one earning";
                notes.faults.add(Fault::named(&named.source, detail));
            }
            let Some(activation) = activations.get(&reward.reward_program_activation_id) else { continue };
            rows.extend(new.row(scope, pointer, reward, &activation.row, notes));
        }
        notes.check()?;
        insert_all::<_, Row>(db, earnings::table, &rows)?;
        let mut created: Vec<_> = rows.into_iter().map(Self::from).collect();
        complete(db, scope, &mut created)?;
        Ok(created.into_iter().map(Written::Created).collect())
    }
}

impl Seed for Earning {
    const NAME: &'static str = Self::TYPE;

    type New = NewEarning;

    fn read_seed(item: &Item<'_, '_>) -> NewEarning {
        NewEarning { row: Some(Seeded::read(item)), ..NewEarning::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        earnings::table.filter(earnings::id.eq_any(ids)).select((earnings::id, earnings::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewEarning>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(earnings::table.filter(earnings::organization_id.eq(organization))).execute(db).map(drop)
    }
}
