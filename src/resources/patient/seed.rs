//! How fixtures make patients: they also say what is read-only over the API.

use diesel::prelude::*;

use super::Patient;
use super::parts::{ArchiveEntry, Statement};
use super::write::{Changes, Options};
use crate::auth::Scope;
use crate::db::schema::{identifiers, patient_coaches, patient_groups, patients};
use crate::db::{Conn, Json};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes};
use crate::resource::{Create, Resource};
use crate::resources::counts;
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// What is read-only over the API and set by fixtures.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The id and the instants.
    pub row: Seeded,
    archived: bool,
    archive_history: Vec<ArchiveEntry>,
    statement: Option<Statement>,
    invited_at: Option<Instant>,
    enrolled_at: Option<Instant>,
    first_access_at: Option<Instant>,
    last_access_at: Option<Instant>,
}

impl Restored {
    fn read(item: &Item<'_, '_>) -> Self {
        let attributes = item.attributes;
        Self {
            row: Seeded::read(item),
            archived: attributes.optional("archived").unwrap_or(false),
            archive_history: attributes.optional("archive_history").unwrap_or_default(),
            statement: attributes.optional("statement"),
            invited_at: attributes.optional("invited_at"),
            enrolled_at: attributes.optional("enrolled_at"),
            first_access_at: attributes.optional("first_access_at"),
            last_access_at: attributes.optional("last_access_at"),
        }
    }

    /// Applies this to a row.
    pub fn apply(&self, row: &mut Patient) {
        row.archived = self.archived;
        row.archive_history = Json::of(&self.archive_history);
        row.statement = self.statement.as_ref().map(Json::of);
        row.invited_at = self.invited_at;
        row.enrolled_at = self.enrolled_at.unwrap_or(self.row.created_at);
        row.first_access_at = self.first_access_at;
        row.last_access_at = self.last_access_at;
        row.created_at = self.row.created_at;
        row.updated_at = self.row.updated_at;
    }
}

impl Seed for Patient {
    const NAME: &'static str = Self::TYPE;

    type New = Changes;

    fn read_seed(item: &Item<'_, '_>) -> Changes {
        let mut changes = Self::read(item);
        changes.restored = Some(Restored::read(item));
        changes
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
        counts::forget_patients(db, organization)?;
        diesel::delete(patients::table.filter(patients::organization_id.eq(organization))).execute(db).map(drop)
    }
}
