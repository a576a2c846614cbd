//! How plan summaries change, and how fixtures make them.

use chrono_tz::Tz;
use diesel::prelude::*;
use serde::Serialize;

use super::{Plan, Row};
use crate::auth::Scope;
use crate::db::schema::{patient_plan_summaries as plans, patients};
use crate::db::{Conn, Json, insert_all};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Node, Notes, Patch, Read, Reference};
use crate::resource::{Resource, Update};
use crate::resources::patient::{self, Patient};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// What a client wants changed.
#[derive(Debug)]
pub struct Changes {
    critical: Patch<Json>,
    time_zone: Patch<String>,
    window_order: Patch<Vec<WindowOrder>>,
}

/// The order in which the actions of a window are shown.
#[derive(Clone, Debug, Serialize)]
pub struct WindowOrder {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(rename = "_actions")]
    actions: Vec<String>,
}

impl Read for WindowOrder {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|window| Self {
            kind: window.optional("type"),
            actions: window.optional("_actions").unwrap_or_default(),
        })
    }
}

impl Changes {
    fn read(item: &Item<'_, '_>) -> Self {
        Self {
            critical: item.attributes.patch_with("critical", |node| node.free_object()),
            time_zone: item.attributes.patch_with("time_zone", |node| Some(Tz::read(node)?.name().to_owned())),
            window_order: item.attributes.patch("window_order"),
        }
    }

    fn apply(&self, row: &mut Row) {
        self.critical.apply(&mut row.critical);
        self.time_zone.apply(&mut row.time_zone);
        self.window_order.apply_list(&mut row.window_order);
    }
}

impl Update for Plan {
    type Changes = Changes;

    fn changes(item: &Item<'_, '_>) -> Changes {
        Changes::read(item)
    }

    fn update(db: &mut Conn, scope: &Scope, plan: Self, changes: &Changes, notes: &Notes) -> Result<Self> {
        notes.check()?;
        let mut row = plan.row;
        changes.apply(&mut row);
        row.updated_at = scope.now;
        row.updated_by = Some(scope.client.clone());
        diesel::update(plans::table.find(row.id)).set(&row).execute(db)?;
        // Another time zone has other days.
        let mut measured = [Self::from(row)];
        Self::measure(db, scope, &mut measured)?;
        let [plan] = measured;
        Ok(plan)
    }
}

/// A plan summary as a fixture describes it.
#[derive(Debug)]
pub struct NewPlan {
    row: Seeded,
    patient: Option<Reference>,
    effective_from: Option<Instant>,
    changes: Changes,
}

impl Seed for Plan {
    const NAME: &'static str = Self::TYPE;

    type New = NewPlan;

    fn read_seed(item: &Item<'_, '_>) -> NewPlan {
        let patient = item.relationships.required_one("patient", Patient::TYPE, |patient| patient.required_reference());
        NewPlan {
            row: Seeded::read(item),
            patient,
            effective_from: item.attributes.optional("effective_from"),
            changes: Changes::read(item),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        plans::table.filter(plans::id.eq_any(ids)).select((plans::id, plans::organization_id)).load(db)
    }

    /// Stores them, and a plan for each patient that the fixture has none for.
    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewPlan>, notes: &Notes) -> Result<()> {
        let mut without = patients_without(db, scope)?;
        let mut rows = Vec::new();
        for (pointer, plan) in &new.items {
            let Some(named) = &plan.patient else { continue };
            match without.iter().position(|patient| Some(patient.id) == named.id) {
                Some(place) => rows.push(plan.row(&without.swap_remove(place))),
                None if patient::known(db, scope, named.id)?.is_empty() => notes.faults.add(named.unknown("patient")),
                None => {
                    let detail = "names a patient that has a plan summary already; a patient has one";
                    notes.faults.add(Fault::body(format!("{pointer}/relationships/patient"), detail));
                }
            }
        }
        notes.check()?;
        without.sort_by_key(|patient| patient.id);
        rows.extend(without.iter().map(Row::of));
        Ok(insert_all::<_, Row>(db, plans::table, &rows)?)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(plans::table.filter(plans::organization_id.eq(organization))).execute(db).map(drop)
    }
}

impl NewPlan {
    fn row(&self, patient: &Patient) -> Row {
        let Seeded { id, created_at, updated_at } = self.row;
        let effective_from = self.effective_from.unwrap_or(created_at);
        let mut row = Row { id, effective_from, created_at, updated_at, ..Row::of(patient) };
        self.changes.apply(&mut row);
        row
    }
}

fn patients_without(db: &mut Conn, scope: &Scope) -> QueryResult<Vec<Patient>> {
    patients::table
        .filter(patients::organization_id.eq(scope.organization))
        .filter(patients::id.ne_all(plans::table.select(plans::patient_id)))
        .load(db)
}
