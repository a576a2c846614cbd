//! How patients come to be and change: create, update.

use actix_web::http::StatusCode;
use chrono::NaiveDate;
use diesel::prelude::*;

use super::Patient;
use super::parts::{Address, PhoneNumber};
use super::relations::{CoachRow, CoachTarget, GroupRow, known_coaches, leave_groups, read_coaches};
use super::seed::Restored;
use crate::auth::Scope;
use crate::db::schema::{identifiers, patient_coaches, patient_groups, patient_plan_summaries, patients};
use crate::db::{Conn, Json, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Object, Patch};
use crate::resource::Resource;
use crate::resource::{Create, Update, Written};
use crate::resources::counts;
use crate::resources::group::{self, Group};
use crate::resources::health_profile;
use crate::resources::identifier::{self, Holder, Holders, Identifier};
use crate::resources::patient_plan_summary as plan;

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
    pub(super) restored: Option<Restored>,
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

    fn coaches(&self) -> impl Iterator<Item = &CoachTarget> {
        self.coaches.iter().flatten()
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
        if let Some(restored) = &self.restored {
            restored.apply(row);
        }
    }
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
        let coaches = known_coaches(db, scope, all().flat_map(Changes::coaches))?;

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
            let groups: Vec<_> = GroupRow::of(id, member_of).collect();
            let coaches = CoachRow::of(id, changes.coaches(), &coaches, &notes.faults);
            (row.groups, row.coaches) = (GroupRow::shown(&groups), CoachRow::shown(&coaches));
            batch.groups.extend(groups);
            batch.coaches.extend(coaches);
            // Fixtures may hold plans of their own; they see to patients without one.
            batch.plans.extend(changes.restored.is_none().then(|| plan::Row::of(&row)));
            batch.patients.push(row.clone());
            written.push(Written::Created(row));
        }
        notes.check()?;
        groups.insert_new(db, scope)?;
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
            && let Some(row) = super::visible(scope).filter(patients::id.eq(*id)).first(db).optional()?
        {
            return Ok(Some(Written::Skipped(Some(row))));
        }
    }
    Ok(None)
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
        groups: Json::empty_list(),
        coaches: Json::empty_list(),
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
        counts::add_patients(db, scope.organization, self.patients.iter().map(|patient| patient.id))?;
        insert_all::<_, identifier::Row>(db, identifiers::table, &self.identifiers)?;
        insert_all::<_, GroupRow>(db, patient_groups::table, &self.groups)?;
        insert_all::<_, CoachRow>(db, patient_coaches::table, &self.coaches)?;
        insert_all::<_, plan::Row>(db, patient_plan_summaries::table, &self.plans)?;
        health_profile::add(db, scope, &self.patients)
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
        let known = known_coaches(db, scope, changes.coaches())?;
        let coaches = CoachRow::of(id, changes.coaches(), &known, &notes.faults);
        notes.check()?;

        changes.apply(&mut row);
        row.updated_at = scope.now;
        row.updated_by = Some(scope.client.clone());
        if changes.identifiers != Patch::Absent {
            diesel::delete(identifiers::table.filter(identifiers::patient_id.eq(id))).execute(db)?;
            insert_all::<_, identifier::Row>(
                db,
                identifiers::table,
                &identifier::Row::of_patient(scope, id, list).collect::<Vec<_>>(),
            )?;
        }
        if changes.groups.is_some() {
            groups.insert_new(db, scope)?;
            leave_groups(db, scope, id)?;
            insert_all::<_, GroupRow>(db, patient_groups::table, &GroupRow::of(id, member_of).collect::<Vec<_>>())?;
            row.groups = GroupRow::shown(&GroupRow::load(db, id)?);
        }
        if changes.coaches.is_some() {
            diesel::delete(patient_coaches::table.filter(patient_coaches::patient_id.eq(id))).execute(db)?;
            insert_all::<_, CoachRow>(db, patient_coaches::table, &coaches)?;
            row.coaches = CoachRow::shown(&coaches);
        }
        diesel::update(patients::table.find(id)).set(&row).execute(db)?;
        Ok(row)
    }
}
