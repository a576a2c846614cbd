//! A patient's groups and coaches.

use std::collections::HashSet;

use diesel::prelude::*;
use serde_json::value::RawValue;

use crate::auth::Scope;
use crate::db::schema::{patient_coaches, patient_groups};
use crate::db::{Conn, Json};
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::Linkage;
use crate::jsonapi::{Identifier, Object, Reference};
use crate::resource::Resource;
use crate::resources::coach::{self, Coach};
use crate::resources::group::Group;

/// Those of a patient's groups that the caller sees.
pub fn within(scope: &Scope, groups: &Json) -> Json {
    let Some(seen) = &scope.groups else { return groups.clone() };
    let all: Vec<&RawValue> = groups.borrowed().unwrap_or_default();
    let is_seen = |identifier: &&RawValue| seen.iter().any(|id| identifier.get().contains(id.as_str()));
    Json::of(&all.into_iter().filter(is_seen).collect::<Vec<_>>())
}

/// A coach that a patient is to be related to.
#[derive(Clone, Debug)]
pub struct CoachTarget {
    coach: Reference,
    primary: bool,
}

/// Reads the coaches.
pub fn read_coaches(relationships: &Object<'_, '_>) -> Option<Vec<CoachTarget>> {
    let coaches = relationships.to_many("coaches", Coach::TYPE, |identifier| {
        let primary = identifier.optional_with("meta", |meta| meta.object(|meta| meta.optional("primary"))).flatten();
        Some(CoachTarget { coach: identifier.required_reference()?, primary: primary.unwrap_or(false) })
    })?;
    if coaches.iter().filter(|coach| coach.primary).count() > 1 {
        relationships.fault("coaches", "names more than one primary coach; set meta.primary on one of them at most");
    }
    Some(coaches)
}

/// Those of the coaches named who are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known_coaches<'c>(
    db: &mut Conn,
    scope: &Scope,
    named: impl Iterator<Item = &'c CoachTarget>,
) -> Result<HashSet<Id>> {
    coach::known(db, scope, named.map(|target| &target.coach))
}

/// A patient's place in a group.
#[derive(Insertable, Queryable)]
#[diesel(table_name = patient_groups)]
pub struct GroupRow {
    patient_id: Id,
    group_id: Id,
    position: i32,
}

impl GroupRow {
    /// All groups of a patient, those included that the caller does not see.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(db: &mut Conn, patient: Id) -> QueryResult<Vec<Self>> {
        let rows = patient_groups::table.filter(patient_groups::patient_id.eq(patient));
        rows.order((patient_groups::position, patient_groups::group_id)).load(db)
    }

    /// Their resource identifiers.
    pub fn shown(rows: &[Self]) -> Json {
        Linkage::Many(rows.iter().map(|row| Identifier::new(Group::TYPE, row.group_id)).collect()).json()
    }

    /// The rows of these groups, each once.
    pub fn of(patient_id: Id, groups: Vec<Id>) -> impl Iterator<Item = Self> {
        let mut seen = HashSet::new();
        let once = groups.into_iter().filter(move |group| seen.insert(*group));
        (0..).zip(once).map(move |(position, group_id)| Self { patient_id, group_id, position })
    }
}

/// A coach of a patient.
#[derive(Insertable)]
#[diesel(table_name = patient_coaches)]
pub struct CoachRow {
    patient_id: Id,
    coach_id: Id,
    is_primary: bool,
    position: i32,
}

impl CoachRow {
    /// Their resource identifiers.
    pub fn shown(rows: &[Self]) -> Json {
        let identifier =
            |row: &Self| Identifier { primary: row.is_primary, ..Identifier::new(Coach::TYPE, row.coach_id) };
        Linkage::Many(rows.iter().map(identifier).collect()).json()
    }

    /// The rows of the coaches named; those that are unknown are noted.
    pub fn of<'c>(
        patient_id: Id,
        named: impl Iterator<Item = &'c CoachTarget>,
        known: &HashSet<Id>,
        faults: &Faults,
    ) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for (position, CoachTarget { coach, primary }) in (0..).zip(named) {
            match coach.id.filter(|id| known.contains(id)) {
                Some(coach_id) => match rows.iter_mut().find(|row| row.coach_id == coach_id) {
                    Some(row) => row.is_primary |= primary,
                    None => rows.push(Self { patient_id, coach_id, is_primary: *primary, position }),
                },
                None => faults.add(coach.unknown("coach")),
            }
        }
        rows
    }
}

/// Ends the memberships that the caller sees. Those in groups outside its scope
/// are not its to end.
///
/// # Errors
/// When the database fails.
pub fn leave_groups(db: &mut Conn, scope: &Scope, patient: Id) -> Result<()> {
    let memberships = patient_groups::table.filter(patient_groups::patient_id.eq(patient));
    match &scope.groups {
        None => diesel::delete(memberships).execute(db)?,
        Some(ids) => diesel::delete(memberships.filter(patient_groups::group_id.eq_any(ids))).execute(db)?,
    };
    Ok(())
}
