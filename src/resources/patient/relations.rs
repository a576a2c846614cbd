//! A patient's groups and coaches.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::Patient;
use crate::auth::Scope;
use crate::db::schema::{patient_coaches, patient_groups};
use crate::db::{Conn, chunks};
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::PrimaryMeta;
use crate::jsonapi::{Identifier as ResourceIdentifier, Object, Reference};
use crate::resource::Resource;
use crate::resources::coach::{self, Coach};
use crate::resources::group::Group;

type ByPatient = HashMap<Id, Vec<ResourceIdentifier>>;

/// The groups that the caller sees, by patient.
///
/// # Errors
/// When the database fails.
pub fn groups(db: &mut Conn, scope: &Scope, rows: &[Patient]) -> Result<ByPatient> {
    let mut found = ByPatient::new();
    for chunk in chunks(rows.iter().map(|row| row.id)) {
        let mut query = patient_groups::table
            .filter(patient_groups::patient_id.eq_any(chunk))
            .select((patient_groups::patient_id, patient_groups::group_id))
            .order((patient_groups::patient_id, patient_groups::position))
            .into_boxed();
        if let Some(groups) = &scope.groups {
            query = query.filter(patient_groups::group_id.eq_any(groups.clone()));
        }
        for (patient, group) in query.load::<(Id, Id)>(db)? {
            found.entry(patient).or_default().push(ResourceIdentifier::new(Group::TYPE, group));
        }
    }
    Ok(found)
}

/// The coaches, by patient.
///
/// # Errors
/// When the database fails.
pub fn coaches(db: &mut Conn, rows: &[Patient]) -> Result<ByPatient> {
    let mut found = ByPatient::new();
    for chunk in chunks(rows.iter().map(|row| row.id)) {
        let query = patient_coaches::table
            .filter(patient_coaches::patient_id.eq_any(chunk))
            .select((patient_coaches::patient_id, patient_coaches::coach_id, patient_coaches::is_primary))
            .order((patient_coaches::patient_id, patient_coaches::position));
        for (patient, coach, primary) in query.load::<(Id, Id, bool)>(db)? {
            let meta = primary.then_some(PrimaryMeta { primary });
            let identifier = ResourceIdentifier { meta, ..ResourceIdentifier::new(Coach::TYPE, coach) };
            found.entry(patient).or_default().push(identifier);
        }
    }
    Ok(found)
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
#[derive(Insertable)]
#[diesel(table_name = patient_groups)]
pub struct GroupRow {
    patient_id: Id,
    group_id: Id,
    position: i32,
}

impl GroupRow {
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
