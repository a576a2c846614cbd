//! Naming a group in a request: by id, or by `meta.query`, which makes it when
//! there is none.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::{Group, known, may_not_create, visible};
use crate::audit::{self, Action, Records};
use crate::auth::Scope;
use crate::db::schema::groups;
use crate::db::{Conn, chunks, insert_all};
use crate::error::{Fault, Faults, Kind, Result, Source};
use crate::id::Id;
use crate::jsonapi::{Object, Read, Reference};
use crate::resource::Resource as _;

/// A group that a patient is to be related to: by id, or by `meta.query`.
#[derive(Clone, Debug)]
pub enum Target {
    /// The one of this id.
    Named(Reference),
    /// The one of this name; made when there is none.
    Query {
        /// The caller's organization.
        organization: Reference,
        /// The name.
        name: String,
        /// Where the query stands in the request.
        source: Source,
    },
}

impl Target {
    /// Reads a resource identifier.
    pub fn read(identifier: &Object<'_, '_>) -> Option<Self> {
        let by_id = identifier.reference();
        let by_query = identifier.optional_with("meta", |meta| {
            meta.object(|meta| {
                meta.optional_with("query", |query| {
                    query.object(|query| {
                        let organization = query.required_with("organization", Read::read);
                        let (name, source) = (query.key("name"), Source::Pointer(query.pointer()));
                        Some(Self::Query { organization: organization?, name: name?, source })
                    })
                })
            })
        });
        match (by_id, by_query.flatten()) {
            (Some(reference), None) => Some(Self::Named(reference)),
            (None, Some(query)) => query,
            (Some(_), Some(_)) => {
                identifier.fault("meta", "names the group a second time; send either id or meta.query");
                None
            }
            (None, None) if identifier.is_faulty("id") || identifier.is_faulty("meta") => None,
            (None, None) => {
                identifier.fault("id", "is required, or meta.query with the organization and the name of the group");
                None
            }
        }
    }
}

/// The groups that the patients of one request name.
#[derive(Debug, Default)]
pub struct Targets {
    known: HashSet<Id>,
    by_name: HashMap<String, Vec<Id>>,
    /// Groups to be made, which are inserted by [`Targets::insert_new`].
    new: Vec<Group>,
}

impl Targets {
    /// Looks them all up.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_up<'t>(db: &mut Conn, scope: &Scope, targets: impl IntoIterator<Item = &'t Target>) -> Result<Self> {
        let (mut by_id, mut names) = (Vec::new(), HashSet::new());
        for target in targets {
            match target {
                Target::Named(reference) => by_id.push(reference),
                Target::Query { name, .. } => drop(names.insert(name.clone())),
            }
        }
        let mut found = Self { known: known(db, scope, by_id)?, ..Self::default() };
        for chunk in chunks(names) {
            let query = visible(scope).filter(groups::name.eq_any(chunk)).select((groups::name, groups::id));
            for (name, id) in query.load::<(String, Id)>(db)? {
                found.by_name.entry(name).or_default().push(id);
            }
        }
        Ok(found)
    }

    /// The group that a target leads to, or `None` and a fault.
    pub fn resolve(&mut self, scope: &Scope, target: &Target, faults: &Faults) -> Option<Id> {
        match target {
            Target::Named(reference) => {
                let known = reference.id.filter(|id| self.known.contains(id));
                if known.is_none() {
                    faults.add(Scope::outside("group", reference));
                }
                known
            }
            Target::Query { organization, name, source } => {
                if organization.id != Some(scope.organization) {
                    scope.check_organization(organization, faults);
                    return None;
                }
                match self.by_name.get(name).map(Vec::as_slice) {
                    Some([id]) => Some(*id),
                    Some(several) => {
                        let detail = format!(
                            "{} groups are named {name:?}; name the one that is meant by its id",
                            several.len()
                        );
                        faults.add(Fault::new(Kind::InvalidBodyParameter, detail).at(source.clone()));
                        None
                    }
                    None if scope.is_whole() => {
                        let group = Group::new(scope, name.clone(), None);
                        let id = group.id;
                        self.by_name.insert(name.clone(), vec![id]);
                        self.new.push(group);
                        Some(id)
                    }
                    None => {
                        faults.add(may_not_create().at(source.clone()));
                        None
                    }
                }
            }
        }
    }

    /// Stores the groups that resolving has made.
    ///
    /// # Errors
    /// When the database fails.
    pub fn insert_new(&self, db: &mut Conn, scope: &Scope) -> Result<()> {
        insert_all::<_, Group>(db, groups::table, &self.new)?;
        audit::enter(db, scope, Action::Create, &Records::of(Group::TYPE, self.new.iter().map(|group| group.id)))
    }
}
