//! The audit trail: who did what to which records.
//!
//! A change is entered in the transaction that makes it, so that one is never
//! there without the other. Reads are many and change nothing: they are
//! gathered and entered together, every second ([`Reads`]).
//!
//! What was created is told by its id only: the record itself says the rest, and
//! the first change to it says how it was before. The program only ever adds
//! entries.

mod reads;
mod search;

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::Serialize;

pub use reads::Reads;
pub use search::{Search, search};

use crate::auth::Scope;
use crate::db::schema::audit_entries as entries;
use crate::db::{Conn, Json};
use crate::error::Result;
use crate::id::Id;
use crate::time::Instant;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Records were made.
    Create,
    /// A record was changed.
    Update,
    /// A record was deleted.
    Delete,
    /// Records were shown.
    Read,
    /// A fixture was loaded.
    Seed,
    /// A client was revoked.
    Revoke,
    /// An organization was removed with all that it has, to be loaded anew.
    Reset,
}

impl Action {
    /// Its name in the trail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
            Self::Seed => "seed",
            Self::Revoke => "revoke",
            Self::Reset => "reset",
        }
    }
}

/// Ids, by the types of their records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Records(BTreeMap<String, Vec<String>>);

impl Records {
    /// Some records of one type.
    pub fn of(kind: &str, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut records = Self::default();
        ids.into_iter().for_each(|id| records.add(kind, id));
        records
    }

    /// Adds a record.
    pub fn add(&mut self, kind: &str, id: impl Into<String>) {
        match self.0.get_mut(kind) {
            Some(ids) => ids.push(id.into()),
            None => drop(self.0.insert(kind.to_owned(), vec![id.into()])),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A row of the trail.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = entries, treat_none_as_default_value = false)]
struct Entry {
    id: Id,
    at: Instant,
    organization_id: Id,
    client_id: String,
    req_id: Option<String>,
    action: String,
    records: Json,
    old: Option<Json>,
    new: Option<Json>,
}

/// Enters what a caller does, in the transaction that does it.
///
/// # Errors
/// When the database fails.
pub fn enter(db: &mut Conn, scope: &Scope, action: Action, records: &Records) -> Result<()> {
    enter_values(db, scope, action, records, (None, None))
}

/// The same of one record, with how it was and how it is.
///
/// # Errors
/// When the database fails.
pub fn enter_values(
    db: &mut Conn,
    scope: &Scope,
    action: Action,
    records: &Records,
    (old, new): (Option<Json>, Option<Json>),
) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let entry = Entry {
        id: Id::new(scope.now),
        at: scope.now,
        organization_id: scope.organization,
        client_id: scope.client.clone(),
        req_id: scope.req_id.map(|id| id.to_string()),
        action: action.name().to_owned(),
        records: Json::of(records),
        old,
        new,
    };
    diesel::insert_into(entries::table).values(&entry).execute(db)?;
    Ok(())
}
