//! Results of actions without a metric, which only fixtures make.

use std::collections::HashMap;

use chrono_tz::Tz;
use diesel::prelude::*;
use serde::Serialize;

use super::HealthResult;
use crate::auth::Scope;
use crate::db::schema::{patient_plan_summaries as plans, results};
use crate::db::{Conn, Json, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::{Item, Items, Node, Notes, Read, Reference};
use crate::resource::Resource;
use crate::resources::action::{self, Action};
use crate::resources::lookup;
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A result as a fixture describes it.
#[derive(Debug)]
pub struct NewResult {
    row: Seeded,
    action: Option<Reference>,
    kind: Option<String>,
    value: Option<Json>,
    unit: Option<Json>,
    skipped: bool,
    annotations: Vec<Annotation>,
    time_zone: Option<Tz>,
    window_id: Option<String>,
    channel: Option<String>,
    external_id: Option<String>,
    source: Option<Json>,
    aggregation: Option<String>,
    occurred_at: Instant,
}

/// What somebody wrote about a result.
#[derive(Clone, Debug, Serialize)]
pub struct Annotation {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Read for Annotation {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|annotation| Self { title: annotation.optional("title"), text: annotation.optional("text") })
    }
}

/// A row of the table.
#[derive(Insertable)]
#[diesel(table_name = results, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    organization_id: Id,
    patient_id: Id,
    action_id: Id,
    kind: String,
    thread: String,
    value: Option<Json>,
    unit: Option<Json>,
    skipped: bool,
    annotations: Json,
    time_zone: Option<String>,
    window_id: Option<String>,
    channel: Option<String>,
    external_id: Option<String>,
    source: Option<Json>,
    aggregation: Option<String>,
    occurred_at: Instant,
    created_at: Instant,
    updated_at: Instant,
    created_by: Option<String>,
    updated_by: Option<String>,
}

impl Seed for HealthResult {
    const NAME: &'static str = Self::TYPE;

    type New = NewResult;

    fn read_seed(item: &Item<'_, '_>) -> NewResult {
        let Item { attributes, relationships, .. } = item;
        let action = relationships.required_one("action", Action::TYPE, |action| action.required_reference());
        let (value, unit) = attributes
            .optional_with("data", |node| node.object(|data| (data.optional("value"), data.optional("unit"))))
            .unwrap_or_default();
        NewResult {
            row: Seeded::read(item),
            action,
            kind: attributes.filled("type"),
            value,
            unit,
            skipped: attributes.optional("skipped").unwrap_or(false),
            annotations: attributes.optional("annotations").unwrap_or_default(),
            time_zone: attributes.optional("occurred_at_time_zone"),
            window_id: attributes.optional("window"),
            channel: attributes.optional("channel"),
            external_id: attributes.optional("external_id"),
            source: attributes.optional_with("source", |node| node.free_object()),
            aggregation: attributes.optional("aggregation"),
            occurred_at: attributes.required("occurred_at"),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        results::table.filter(results::id.eq_any(ids)).select((results::id, results::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewResult>, notes: &Notes) -> Result<()> {
        let named = || new.items.iter().filter_map(|(_, result)| result.action.as_ref());
        let actions = action::known(db, scope, named())?;
        let patients: HashMap<Id, Id> = lookup::collect(actions.values().map(|(plan, _)| *plan), |ids| {
            plans::table.filter(plans::id.eq_any(ids)).select((plans::id, plans::patient_id)).load(db)
        })?;
        let mut rows = Vec::new();
        for (_, result) in &new.items {
            let Some(named) = &result.action else { continue };
            let found = named.id.and_then(|id| {
                let (plan, thread) = actions.get(&id)?;
                Some((id, *patients.get(plan)?, thread))
            });
            match found {
                Some((action, patient, thread)) => rows.push(result.row(scope, patient, action, thread)),
                None => notes.faults.add(named.unknown("action")),
            }
        }
        notes.check()?;
        Ok(insert_all::<_, Row>(db, results::table, &rows)?)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(results::table.filter(results::organization_id.eq(organization))).execute(db).map(drop)
    }
}

impl NewResult {
    fn row(&self, scope: &Scope, patient: Id, action: Id, thread: &str) -> Row {
        let Seeded { id, created_at, updated_at } = self.row;
        Row {
            id,
            organization_id: scope.organization,
            patient_id: patient,
            action_id: action,
            kind: self.kind.clone().unwrap_or_default(),
            thread: thread.to_owned(),
            value: self.value.clone(),
            unit: self.unit.clone(),
            skipped: self.skipped,
            annotations: Json::of(&self.annotations),
            time_zone: self.time_zone.map(|zone| zone.name().to_owned()),
            window_id: self.window_id.clone(),
            channel: self.channel.clone(),
            external_id: self.external_id.clone(),
            source: self.source.clone(),
            aggregation: self.aggregation.clone(),
            occurred_at: self.occurred_at,
            created_at,
            updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        }
    }
}
