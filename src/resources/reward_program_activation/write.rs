//! How activations come to be: one that is active at a time, while the program
//! runs.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use diesel::prelude::*;

use super::{Activation, Row};
use crate::auth::Scope;
use crate::db::schema::reward_program_activations as activations;
use crate::db::{Conn, insert_all};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Read, Reference};
use crate::resource::{Create, Resource, Written};
use crate::resources::lookup;
use crate::resources::patient::{self, Patient};
use crate::resources::reward_program::{self, Program};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// An activation as a client describes it.
#[derive(Debug)]
pub struct NewActivation {
    activated_at: Option<Instant>,
    deactivated_at: Option<Instant>,
    active: Option<bool>,
    patient: Option<patient::Target>,
    program: Option<Reference>,
    row: Option<Seeded>,
}

impl NewActivation {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        Self {
            activated_at: attributes.required_with("activated_at", Read::read),
            deactivated_at: attributes.optional("deactivated_at"),
            active: attributes.optional("active"),
            patient: relationships.required_one("patient", Patient::TYPE, patient::Target::read),
            program: relationships
                .required_one("reward_program", Program::TYPE, |program| program.required_reference()),
            row: None,
        }
    }

    /// The row, or notes of what stands against it.
    fn row(&self, scope: &Scope, pointer: &str, program: &Program, patient: Id, notes: &Notes) -> Option<Row> {
        let fault = |place: &str, detail: String| notes.faults.add(Fault::body(format!("{pointer}/{place}"), detail));
        // A program that is frozen now may have been activated before, as fixtures tell.
        if program.frozen && self.row.is_none() {
            fault(
                "relationships/reward_program/data/id",
                "names a program that is frozen and cannot be activated".into(),
            );
        }
        let activated_at = self.activated_at?;
        if !(program.start_at..=program.end_at).contains(&activated_at) {
            let detail =
                format!("must be from start_at to end_at of the program, {} to {}", program.start_at, program.end_at);
            fault("attributes/activated_at", detail);
        }
        if self.deactivated_at.is_some_and(|end| end <= activated_at) {
            fault("attributes/deactivated_at", format!("must be after activated_at, {activated_at}"));
        }
        let expires_at = Instant::from_milliseconds(activated_at.milliseconds() + program.duration_active.days());
        if expires_at.is_none() {
            fault(
                "attributes/activated_at",
                format!("is too late: {} days after it the calendar is over", program.duration_active),
            );
        }
        // Quirk: an activation that is posted as not active, without saying since when, ends now.
        let ended_now = (self.active == Some(false)).then_some(scope.now);
        let ends_at = [self.deactivated_at, expires_at, ended_now].into_iter().flatten().min()?;
        if self.active == Some(true) && ends_at <= scope.now {
            notes.ignore(format!("{pointer}/attributes/active"));
        }
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Some(Row {
            id: row.id,
            organization_id: scope.organization,
            group_id: program.group_id,
            patient_id: patient,
            reward_program_id: program.id,
            activated_at,
            deactivated_at: self.deactivated_at,
            expires_at: expires_at?,
            ends_at,
            fulfill_as_earned: program.fulfill_as_earned,
            budget_unit: program.budget_unit.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        })
    }
}

impl Create for Activation {
    const CREATED: StatusCode = StatusCode::OK;

    type New = NewActivation;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewActivation {
        NewActivation::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewActivation>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let programs =
            reward_program::by_id(db, scope, new.items.iter().filter_map(|(_, new)| new.program.as_ref()?.id))?;
        let targets = new.items.iter().filter_map(|(_, new)| new.patient.as_ref());
        let patients = patient::Targets::look_up(db, scope, targets)?;
        let patients: Vec<Option<Id>> =
            new.items.iter().map(|(_, new)| patients.resolve(scope, new.patient.as_ref()?, &notes.faults)).collect();
        let mut active = active(db, scope, patients.iter().copied().flatten())?;
        let mut rows = Vec::with_capacity(new.items.len());
        for ((pointer, new), patient) in new.items.iter().zip(patients) {
            let program =
                new.program.as_ref().and_then(|named| named.among(&programs, "reward program", &notes.faults));
            let (Some(patient), Some(program)) = (patient, program) else { continue };
            let Some(row) = new.row(scope, pointer, program, patient, notes) else { continue };
            if row.ends_at > scope.now && !active.insert((row.patient_id, row.reward_program_id)) {
                let detail =
                    "names a patient for whom this program is active already; only one activation of it can be";
                notes.faults.add(Fault::body(format!("{pointer}/relationships/patient"), detail));
            }
            rows.push(row);
        }
        notes.check()?;
        insert_all::<_, Row>(db, activations::table, &rows)?;
        let created = rows.into_iter().map(|row| Self { active: scope.now < row.ends_at, ..Self::from(row) });
        Ok(created.map(Written::Created).collect())
    }
}

/// What is active for these patients: patients and programs.
fn active(db: &mut Conn, scope: &Scope, patients: impl IntoIterator<Item = Id>) -> Result<HashSet<(Id, Id)>> {
    lookup::collect(patients, |ids| {
        activations::table
            .filter(activations::patient_id.eq_any(ids))
            .filter(activations::ends_at.gt(scope.now))
            .select((activations::patient_id, activations::reward_program_id))
            .load(db)
    })
}

impl Seed for Activation {
    const NAME: &'static str = Self::TYPE;

    type New = NewActivation;

    fn read_seed(item: &Item<'_, '_>) -> NewActivation {
        NewActivation { row: Some(Seeded::read(item)), ..NewActivation::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        let those = activations::table.filter(activations::id.eq_any(ids));
        those.select((activations::id, activations::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewActivation>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = activations::table.filter(activations::organization_id.eq(organization));
        diesel::delete(own).execute(db).map(drop)
    }
}
