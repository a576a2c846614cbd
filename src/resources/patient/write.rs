//! How patients come to be and change: create, update.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use chrono::NaiveDate;
use diesel::prelude::*;

use super::{Address, ArchiveEntry, Patient, PhoneNumber, Statement};
use crate::auth::Scope;
use crate::db::schema::{identifiers, patient_coaches, patient_groups, patient_plan_summaries, patients};
use crate::db::{Conn, Json, insert_all};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Object, Patch, Reference};
use crate::resource::Resource;
use crate::resource::{Create, Update, Written};
use crate::resources::coach::{self, Coach};
use crate::resources::group::{self, Group};
use crate::resources::health_profile;
use crate::resources::identifier::{self, Holder, Holders, Identifier};
use crate::resources::patient_plan_summary as plan;
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A patient as a client describes it, new or changed.
#[derive(Clone, Debug)]
pub struct Changes {
    first_name: Patch<String>,
    last_name: Patch<String>,
    email_address: Patch<String>,
    phone_numbers: Patch<Vec<PhoneNumber>>,
    addresses: Patch<Vec<Address>>,
    pub(super) identifiers: Patch<Vec<Identifier>>,
    birth_date: Patch<NaiveDate>,
    gender: Patch<String>,
    note: Patch<String>,
    pub(super) groups: Option<Vec<group::Target>>,
    coaches: Option<Vec<CoachTarget>>,
    /// What only fixtures say.
    restored: Option<Restored>,
}

/// A coach that a patient is to be related to.
#[derive(Clone, Debug)]
struct CoachTarget {
    coach: Reference,
    primary: bool,
}

/// What is read-only over the API and set by fixtures.
#[derive(Clone, Debug)]
struct Restored {
    row: Seeded,
    archived: bool,
    archive_history: Vec<ArchiveEntry>,
    statement: Option<Statement>,
    invited_at: Option<Instant>,
    enrolled_at: Option<Instant>,
    first_access_at: Option<Instant>,
    last_access_at: Option<Instant>,
}

impl Changes {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        let groups = relationships.to_many("groups", Group::TYPE, group::Target::read);
        if groups.as_ref().is_some_and(Vec::is_empty) && !relationships.is_faulty("groups") {
            relationships.fault("groups", "must not be empty: a patient belongs to at least one group");
        }
        Self {
            first_name: attributes.patch_with("first_name", |node| node.short()),
            last_name: attributes.patch_with("last_name", |node| node.short()),
            email_address: attributes.patch_with("email_address", |node| node.short()),
            phone_numbers: attributes.patch("phone_numbers"),
            addresses: attributes.patch("addresses"),
            identifiers: attributes.patch("identifiers"),
            birth_date: attributes.patch("birth_date"),
            gender: attributes.patch_with("gender", |node| node.one_of(&["male", "female", "other"])),
            note: attributes.patch("note"),
            groups,
            coaches: read_coaches(relationships),
            restored: None,
        }
    }

    /// The identifiers; none where nothing is said of them.
    pub(super) fn identifiers(&self) -> &[Identifier] {
        self.identifiers.value().map_or(&[], Vec::as_slice)
    }

    fn apply(&self, row: &mut Patient) {
        self.first_name.apply(&mut row.first_name);
        self.last_name.apply(&mut row.last_name);
        self.email_address.apply(&mut row.email_address);
        self.birth_date.apply(&mut row.birth_date);
        self.gender.apply(&mut row.gender);
        self.note.apply(&mut row.note);
        self.phone_numbers.apply_list(&mut row.phone_numbers);
        self.addresses.apply_list(&mut row.addresses);
        self.identifiers.apply_list(&mut row.identifiers);
        if let Some(restored) = self.restored.clone() {
            row.archived = restored.archived;
            row.archive_history = Json::of(&restored.archive_history);
            row.statement = restored.statement.as_ref().map(Json::of);
            row.invited_at = restored.invited_at;
            row.enrolled_at = restored.enrolled_at.unwrap_or(restored.row.created_at);
            row.first_access_at = restored.first_access_at;
            row.last_access_at = restored.last_access_at;
            row.created_at = restored.row.created_at;
            row.updated_at = restored.row.updated_at;
        }
    }
}

fn read_coaches(relationships: &Object<'_, '_>) -> Option<Vec<CoachTarget>> {
    let coaches = relationships.to_many("coaches", Coach::TYPE, |identifier| {
        let primary = identifier.optional_with("meta", |meta| meta.object(|meta| meta.optional("primary"))).flatten();
        Some(CoachTarget { coach: identifier.required_reference()?, primary: primary.unwrap_or(false) })
    })?;
    if coaches.iter().filter(|coach| coach.primary).count() > 1 {
        relationships.fault("coaches", "names more than one primary coach; set meta.primary on one of them at most");
    }
    Some(coaches)
}

/// What a client says of a whole request.
#[derive(Debug, Default)]
pub struct Options {
    ignore_duplicates: bool,
}

impl Create for Patient {
    const CREATED: StatusCode = StatusCode::CREATED;

    type New = Changes;
    type Options = Options;

    fn options(meta: &Object<'_, '_>) -> Options {
        Options { ignore_duplicates: meta.optional("ignore_duplicates").unwrap_or(false) }
    }

    fn read(item: &Item<'_, '_>) -> Changes {
        let changes = Changes::read(item);
        if changes.groups.is_none() && !item.relationships.is_faulty("groups") {
            item.relationships.missing("groups");
        }
        changes
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<Changes>,
        options: &Options,
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let all = || new.items.iter().map(|(_, changes)| changes);
        let identifiers = all().flat_map(Changes::identifiers);
        let mut holders = Holders::look_up(db, scope, identifiers.map(|known| (&*known.system, &*known.value)))?;
        let mut groups = group::Targets::look_up(db, scope, all().flat_map(|changes| changes.groups.iter().flatten()))?;
        let coaches = known_coaches(db, scope, all())?;

        let mut batch = Batch::default();
        let mut written = Vec::with_capacity(new.items.len());
        for (pointer, changes) in &new.items {
            let id = changes.restored.as_ref().map_or_else(|| Id::new(scope.now), |restored| restored.row.id);
            let list = changes.identifiers();
            let place = format!("{pointer}/attributes/identifiers");
            identifier::check_once(list, &place, &notes.faults);
            let conflicts = holders.conflicts(list, Some(Holder::Patient(id)));
            if !conflicts.is_empty() && options.ignore_duplicates {
                match existing(db, scope, &conflicts, new.many)? {
                    Some(skipped) => written.push(skipped),
                    None => identifier::note_conflicts(&conflicts, list, &place, &notes.faults),
                }
                continue;
            }
            identifier::note_conflicts(&conflicts, list, &place, &notes.faults);
            holders.add(Holder::Patient(id), list);

            let mut row = blank(scope, id);
            changes.apply(&mut row);
            batch.identifiers.extend(identifier::Row::of_patient(scope, id, list));
            let targets = changes.groups.iter().flatten();
            let member_of: Vec<_> = targets.filter_map(|target| groups.resolve(scope, target, &notes.faults)).collect();
            batch.groups.extend(GroupRow::of(id, member_of));
            batch.coaches.extend(CoachRow::of(id, changes, &coaches, &notes.faults));
            // Fixtures may hold plans of their own; they see to patients without one.
            batch.plans.extend(changes.restored.is_none().then(|| plan::Row::of(&row)));
            batch.patients.push(row.clone());
            written.push(Written::Created(row));
        }
        notes.check()?;
        groups.insert_new(db)?;
        batch.insert(db, scope)?;
        Ok(written)
    }
}

/// The patient that a new one is a duplicate of, as far as an answer needs it:
/// an array leaves it out, one resource is answered with it. `None` when the
/// caller may not see it.
fn existing(
    db: &mut Conn,
    scope: &Scope,
    conflicts: &[(usize, Holder)],
    many: bool,
) -> Result<Option<Written<Patient>>> {
    if many {
        return Ok(Some(Written::Skipped(None)));
    }
    for (_, holder) in conflicts {
        if let Holder::Patient(id) = holder
            && let Some(row) = super::visible(scope).filter(patients::id.eq(id)).first(db).optional()?
        {
            return Ok(Some(Written::Skipped(Some(row))));
        }
    }
    Ok(None)
}

fn known_coaches<'c>(db: &mut Conn, scope: &Scope, all: impl Iterator<Item = &'c Changes>) -> Result<HashSet<Id>> {
    coach::known(db, scope, all.flat_map(|changes| changes.coaches.iter().flatten()).map(|target| &target.coach))
}

fn blank(scope: &Scope, id: Id) -> Patient {
    Patient {
        id,
        organization_id: scope.organization,
        first_name: None,
        last_name: None,
        email_address: None,
        birth_date: None,
        gender: None,
        note: None,
        phone_numbers: Json::empty_list(),
        addresses: Json::empty_list(),
        identifiers: Json::empty_list(),
        archived: false,
        archive_history: Json::empty_list(),
        statement: None,
        invited_at: None,
        enrolled_at: scope.now,
        first_access_at: None,
        last_access_at: None,
        created_at: scope.now,
        updated_at: scope.now,
        created_by: Some(scope.client.clone()),
        updated_by: Some(scope.client.clone()),
    }
}

/// Rows that are stored together.
#[derive(Default)]
struct Batch {
    patients: Vec<Patient>,
    identifiers: Vec<identifier::Row>,
    groups: Vec<GroupRow>,
    coaches: Vec<CoachRow>,
    plans: Vec<plan::Row>,
}

impl Batch {
    fn insert(&self, db: &mut Conn, scope: &Scope) -> Result<()> {
        insert_all::<_, Patient>(db, patients::table, &self.patients)?;
        insert_all::<_, identifier::Row>(db, identifiers::table, &self.identifiers)?;
        insert_all::<_, GroupRow>(db, patient_groups::table, &self.groups)?;
        insert_all::<_, CoachRow>(db, patient_coaches::table, &self.coaches)?;
        insert_all::<_, plan::Row>(db, patient_plan_summaries::table, &self.plans)?;
        health_profile::add(db, scope, &self.patients)
    }
}

#[derive(Insertable)]
#[diesel(table_name = patient_groups)]
struct GroupRow {
    patient_id: Id,
    group_id: Id,
    position: i32,
}

impl GroupRow {
    fn of(patient_id: Id, groups: Vec<Id>) -> impl Iterator<Item = Self> {
        let mut seen = HashSet::new();
        let once = groups.into_iter().filter(move |group| seen.insert(*group));
        (0..).zip(once).map(move |(position, group_id)| Self { patient_id, group_id, position })
    }
}

#[derive(Insertable)]
#[diesel(table_name = patient_coaches)]
struct CoachRow {
    patient_id: Id,
    coach_id: Id,
    is_primary: bool,
    position: i32,
}

impl CoachRow {
    /// The rows of the coaches named; those that are unknown are noted.
    fn of(patient_id: Id, changes: &Changes, known: &HashSet<Id>, faults: &Faults) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for (position, CoachTarget { coach, primary }) in (0..).zip(changes.coaches.iter().flatten()) {
            match coach.id.filter(|id| known.contains(id)) {
                Some(coach_id) => match rows.iter_mut().find(|row| row.coach_id == coach_id) {
                    Some(row) => row.is_primary |= primary,
                    None => rows.push(Self { patient_id, coach_id, is_primary: *primary, position }),
                },
                None => faults.add(
                    Fault::body("", "there is no coach of this id within the scope of the token")
                        .at(coach.source.clone()),
                ),
            }
        }
        rows
    }
}

impl Update for Patient {
    type Changes = Changes;

    fn changes(item: &Item<'_, '_>) -> Changes {
        Changes::read(item)
    }

    fn update(db: &mut Conn, scope: &Scope, mut row: Self, changes: &Changes, notes: &Notes) -> Result<Self> {
        let (id, list) = (row.id, changes.identifiers());
        let holders = Holders::look_up(db, scope, list.iter().map(|known| (&*known.system, &*known.value)))?;
        identifier::check_once(list, "/data/attributes/identifiers", &notes.faults);
        let conflicts = holders.conflicts(list, Some(Holder::Patient(id)));
        identifier::note_conflicts(&conflicts, list, "/data/attributes/identifiers", &notes.faults);
        let mut groups = group::Targets::look_up(db, scope, changes.groups.iter().flatten())?;
        let targets = changes.groups.iter().flatten();
        let member_of: Vec<_> = targets.filter_map(|target| groups.resolve(scope, target, &notes.faults)).collect();
        let known = known_coaches(db, scope, std::iter::once(changes))?;
        let coaches = CoachRow::of(id, changes, &known, &notes.faults);
        notes.check()?;

        changes.apply(&mut row);
        row.updated_at = scope.now;
        row.updated_by = Some(scope.client.clone());
        diesel::update(patients::table.find(id)).set(&row).execute(db)?;
        if changes.identifiers != Patch::Absent {
            diesel::delete(identifiers::table.filter(identifiers::patient_id.eq(id))).execute(db)?;
            insert_all::<_, identifier::Row>(
                db,
                identifiers::table,
                &identifier::Row::of_patient(scope, id, list).collect::<Vec<_>>(),
            )?;
        }
        if changes.groups.is_some() {
            groups.insert_new(db)?;
            leave_groups(db, scope, id)?;
            insert_all::<_, GroupRow>(db, patient_groups::table, &GroupRow::of(id, member_of).collect::<Vec<_>>())?;
        }
        if changes.coaches.is_some() {
            diesel::delete(patient_coaches::table.filter(patient_coaches::patient_id.eq(id))).execute(db)?;
            insert_all::<_, CoachRow>(db, patient_coaches::table, &coaches)?;
        }
        Ok(row)
    }
}

/// Ends the memberships that the caller sees. Those in groups outside its scope
/// are not its to end.
fn leave_groups(db: &mut Conn, scope: &Scope, patient: Id) -> Result<()> {
    let memberships = patient_groups::table.filter(patient_groups::patient_id.eq(patient));
    match &scope.groups {
        None => diesel::delete(memberships).execute(db)?,
        Some(ids) => diesel::delete(memberships.filter(patient_groups::group_id.eq_any(ids))).execute(db)?,
    };
    Ok(())
}

impl Seed for Patient {
    const NAME: &'static str = Self::TYPE;

    type New = Changes;

    fn read_seed(item: &Item<'_, '_>) -> Changes {
        let attributes = item.attributes;
        let restored = Restored {
            row: Seeded::read(item),
            archived: attributes.optional("archived").unwrap_or(false),
            archive_history: attributes.optional("archive_history").unwrap_or_default(),
            statement: attributes.optional("statement"),
            invited_at: attributes.optional("invited_at"),
            enrolled_at: attributes.optional("enrolled_at"),
            first_access_at: attributes.optional("first_access_at"),
            last_access_at: attributes.optional("last_access_at"),
        };
        Changes { restored: Some(restored), ..Self::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        patients::table.filter(patients::id.eq_any(ids)).select((patients::id, patients::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Changes>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &Options::default(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = || patients::table.filter(patients::organization_id.eq(organization)).select(patients::id);
        let identifiers = identifiers::table.filter(identifiers::organization_id.eq(organization));
        diesel::delete(identifiers.filter(identifiers::patient_id.is_not_null())).execute(db)?;
        diesel::delete(patient_groups::table.filter(patient_groups::patient_id.eq_any(own()))).execute(db)?;
        diesel::delete(patient_coaches::table.filter(patient_coaches::patient_id.eq_any(own()))).execute(db)?;
        diesel::delete(patients::table.filter(patients::organization_id.eq(organization))).execute(db).map(drop)
    }
}
