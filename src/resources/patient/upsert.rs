//! `PUT /patient`: create or update, by what `meta.query` finds.

use super::write::{Changes, Options};
use super::{Patient, Query, Target, Targets};
use crate::auth::Scope;
use crate::db::Conn;
use crate::error::{Error, Fault, Result};
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
                if !query.has("groups") {
                    query.missing("groups");
                }
                Query::read(query)
            })
        });
        query.flatten()
    }

    fn upsert(
        db: &mut Conn,
        scope: &Scope,
        query: &Query,
        item: &(String, Changes),
        notes: &Notes,
    ) -> Result<Option<Self>> {
        let wanted = Target::Query(query.clone());
        let targets = Targets::look_up(db, scope, std::iter::once(&wanted))?;
        let Some(found) = targets.matches(scope, query, &notes.faults) else { return Ok(None) };

        // Quirk: the identifier is kept even when the body's own list lacks it,
        // on an update too: the next upsert must find the same patient.
        let mut changes = item.1.clone();
        let identifier = Identifier {
            label: None,
            system: query.identifier.0.clone(),
            value: query.identifier.1.clone(),
            unique: true,
        };
        let has = |list: &[Identifier]| {
            list.iter().any(|known| known.system == identifier.system && known.value == identifier.value)
        };
        match found.as_slice() {
            [] => {
                let holders = Holders::look_up(db, scope, [(&*identifier.system, &*identifier.value)])?;
                if !holders.conflicts(std::slice::from_ref(&identifier), None).is_empty() {
                    notes.faults.add(identifier::taken(format!("{}/identifier", query.pointer), &identifier));
                }
                let mut list = changes.identifiers().to_vec();
                if !has(&list) {
                    list.push(identifier);
                }
                changes.identifiers = Patch::Value(list);
                let named = query.groups.iter().flatten().cloned().map(group::Target::Named);
                changes.groups = Some(named.chain(changes.groups.into_iter().flatten()).collect());
                let items = Items { items: vec![(item.0.clone(), changes)], many: false };
                let written = Self::create(db, scope, &items, &Options::default(), notes)?;
                Ok(written.into_iter().find_map(|written| match written {
                    Written::Created(row) => Some(row),
                    Written::Skipped(row) => row,
                }))
            }
            [id] => {
                let row = Self::fetch(db, scope, *id)?;
                if changes.identifiers != Patch::Absent && !has(changes.identifiers()) {
                    let mut list = changes.identifiers().to_vec();
                    let stored: Vec<Identifier> = row
                        .identifiers
                        .value()
                        .map_err(|error| Error::Internal(format!("identifiers of {id}: {error}")))?;
                    list.extend(stored.into_iter().filter(|known| has(std::slice::from_ref(known))));
                    changes.identifiers = Patch::Value(list);
                }
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
