//! `PUT /patient`: create or update, by what `meta.query` finds.

use super::write::{Changes, Options};
use super::{Patient, Query, Target, Targets};
use crate::auth::Scope;
use crate::db::Conn;
use crate::error::{Error, Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Items, Notes, Object, Patch};
use crate::resource::{Create, Fetch, Update, Upsert, Written};
use crate::resources::group;
use crate::resources::identifier::{self, Holders, Identifier};

impl Upsert for Patient {
    type Query = Query;

    const QUERY: &'static str = "is required: {\"identifier\": {\"system\": ..., \"value\": ...}, \"groups\": [...]}";

    fn query(meta: &Object<'_, '_>) -> Option<Query> {
        let query = meta.optional_with("query", |query| {
            query.object(|query| {
                let read = Query::read(query);
                if !query.has("groups") {
                    query.missing("groups");
                } else if read.as_ref().and_then(|read| read.groups.as_ref()).is_some_and(Vec::is_empty) {
                    query.fault("groups", "must not be empty: a patient belongs to at least one group");
                }
                read
            })
        });
        query.flatten()
    }

    fn find(db: &mut Conn, scope: &Scope, query: &Query, notes: &Notes) -> Result<Option<Vec<Id>>> {
        let wanted = Target::Query(query.clone());
        let targets = Targets::look_up(db, scope, std::iter::once(&wanted))?;
        Ok(targets.matches(scope, query, &notes.faults))
    }

    fn upsert(
        db: &mut Conn,
        scope: &Scope,
        query: &Query,
        found: &[Id],
        item: &(String, Changes),
        notes: &Notes,
    ) -> Result<Option<Self>> {
        let mut changes = item.1.clone();
        let queried = Identifier {
            label: None,
            system: query.identifier.0.clone(),
            value: query.identifier.1.clone(),
            unique: true,
        };
        let is_queried = |known: &Identifier| known.system == queried.system && known.value == queried.value;
        let sent = changes.identifiers().iter().any(is_queried);
        let named = || query.groups.iter().flatten().cloned().map(group::Target::Named);
        match found {
            [] => {
                if !sent {
                    let holders = Holders::look_up(db, scope, [(&*queried.system, &*queried.value)])?;
                    if holders.conflicts(std::slice::from_ref(&queried), None).is_empty() {
                        changes.identifiers = Patch::Value([changes.identifiers(), &[queried]].concat());
                    } else {
                        notes.faults.add(identifier::taken(format!("{}/identifier", query.pointer), &queried));
                    }
                }
                changes.groups = Some(named().chain(changes.groups.into_iter().flatten()).collect());
                let items = Items { items: vec![(item.0.clone(), changes)], many: false };
                let written = Self::create(db, scope, &items, &Options::default(), notes)?;
                Ok(written.into_iter().find_map(|written| match written {
                    Written::Created(row) => Some(row),
                    Written::Skipped(row) => row,
                }))
            }
            [id] => {
                let row = Self::fetch(db, scope, *id)?;
                // Quirk: lists in the body replace those of the patient, but what the query
                // found it by is kept, or the same request would not find it again.
                if changes.identifiers != Patch::Absent && !sent {
                    let stored: Vec<Identifier> = row
                        .identifiers
                        .value()
                        .map_err(|error| Error::Internal(format!("identifiers of {id}: {error}")))?;
                    let kept: Vec<_> = stored.into_iter().filter(is_queried).collect();
                    changes.identifiers = Patch::Value([changes.identifiers(), &kept].concat());
                }
                changes.groups = changes.groups.map(|groups| named().chain(groups).collect());
                Self::update(db, scope, row, &changes, notes).map(Some)
            }
            several => {
                let detail = format!("finds {} patients; an upsert creates or updates one", several.len());
                notes.faults.add(Fault::body(&query.pointer, detail));
                Ok(None)
            }
        }
    }
}
