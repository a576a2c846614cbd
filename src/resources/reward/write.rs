//! How rewards come to be: set aside from what remains of a budget.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use diesel::prelude::*;

use super::{Reward, Row};
use crate::auth::Scope;
use crate::db::schema::rewards;
use crate::db::{Conn, insert_all};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Read, Reference};
use crate::resource::{Create, Resource, Written};
use crate::resources::decimal::Decimal;
use crate::resources::reward_program::{self, Program};
use crate::resources::reward_program_activation::{self as activation, Activation};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A reward as a client describes it.
#[derive(Debug)]
pub struct NewReward {
    thread: Option<String>,
    description: String,
    allocated_value: Option<Decimal>,
    allocated_at: Option<Instant>,
    target_at: Option<Instant>,
    activation: Option<Reference>,
    row: Option<Seeded>,
}

impl NewReward {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        let reward = Self {
            thread: attributes.optional("_thread"),
            description: attributes.filled("description").unwrap_or_default(),
            allocated_value: attributes.required_with("allocated_value", Decimal::not_negative),
            allocated_at: attributes.required_with("allocated_at", Read::read),
            target_at: attributes.optional("target_at"),
            activation: relationships
                .required_one("reward_program_activation", Activation::TYPE, |named| named.required_reference()),
            row: None,
        };
        if let (Some(allocated_at), Some(target_at)) = (reward.allocated_at, reward.target_at)
            && target_at < allocated_at
        {
            attributes.fault("target_at", format!("must not be before allocated_at, {allocated_at}"));
        }
        reward
    }

    /// The row, or notes of what stands against it. What it takes is taken from
    /// `remaining`.
    fn row(
        &self,
        scope: &Scope,
        pointer: &str,
        activation: &activation::Row,
        program: &Program,
        remaining: &mut Decimal,
        notes: &Notes,
    ) -> Option<Row> {
        let fault = |place: &str, detail: String| notes.faults.add(Fault::body(format!("{pointer}/{place}"), detail));
        // A program that is frozen now may have had rewards before, as fixtures tell.
        if program.frozen && self.row.is_none() {
            let detail = "names an activation of a program that is frozen and takes no new rewards";
            fault("relationships/reward_program_activation/data/id", detail.into());
        }
        let (start, end) = (activation.activated_at, activation.ends_at);
        if let Some(allocated_at) = self.allocated_at
            && (allocated_at <= start || allocated_at >= end)
        {
            fault(
                "attributes/allocated_at",
                format!("must be after the activation, {start}, and before its end, {end}"),
            );
        }
        let allocated_value = self.allocated_value?;
        if allocated_value > *remaining {
            let detail = format!(
                "is more than what remains of the activation's budget: {remaining} of {}",
                program.budget_value
            );
            fault("attributes/allocated_value", detail);
            return None;
        }
        *remaining -= allocated_value;
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Some(Row {
            id: row.id,
            organization_id: scope.organization,
            group_id: activation.group_id,
            patient_id: activation.patient_id,
            reward_program_activation_id: activation.id,
            thread: self.thread.clone(),
            description: self.description.clone(),
            allocated_value,
            allocated_unit: activation.budget_unit.clone(),
            allocated_at: self.allocated_at?,
            target_at: self.target_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        })
    }
}

impl Create for Reward {
    const CREATED: StatusCode = StatusCode::OK;

    type New = NewReward;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewReward {
        NewReward::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewReward>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let named = new.items.iter().filter_map(|(_, new)| new.activation.as_ref()?.id);
        let activations = activation::by_id(db, scope, named)?;
        let programs = activations.values().map(|activation| activation.row.reward_program_id);
        let programs = reward_program::by_id(db, scope, programs)?;
        let mut remaining = HashMap::new();
        let mut rows = Vec::with_capacity(new.items.len());
        for (pointer, new) in &new.items {
            let Some(named) = &new.activation else { continue };
            let activation = named.among(&activations, "reward program activation", &notes.faults);
            let Some(Activation { row, totals, .. }) = activation else { continue };
            let Some(program) = programs.get(&row.reward_program_id) else { continue };
            let remaining =
                remaining.entry(row.id).or_insert_with(|| program.budget_value - totals.total_allocated_value);
            rows.extend(new.row(scope, pointer, row, program, remaining, notes));
        }
        notes.check()?;
        insert_all::<_, Row>(db, rewards::table, &rows)?;
        Ok(rows.into_iter().map(Self::from).map(Written::Created).collect())
    }
}

impl Seed for Reward {
    const NAME: &'static str = Self::TYPE;

    type New = NewReward;

    fn read_seed(item: &Item<'_, '_>) -> NewReward {
        NewReward { row: Some(Seeded::read(item)), ..NewReward::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        rewards::table.filter(rewards::id.eq_any(ids)).select((rewards::id, rewards::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewReward>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(rewards::table.filter(rewards::organization_id.eq(organization))).execute(db).map(drop)
    }
}
