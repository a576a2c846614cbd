//! Naming a patient in a request: by id, or by `meta.query`.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::known;
use crate::auth::Scope;
use crate::db::schema::patient_groups;
use crate::db::{Conn, chunks};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Object, Reference};
use crate::resources::group;
use crate::resources::identifier::{Holder, Holders, Identifier};

/// A patient that something is to be related to: by id, or by `meta.query`.
#[derive(Clone, Debug)]
pub enum Target {
    /// The one of this id.
    Named(Reference),
    /// The only one that this finds.
    Query(Query),
}

/// What finds a patient.
#[derive(Clone, Debug)]
pub struct Query {
    /// System and value of an identifier.
    pub identifier: (String, String),
    /// The caller's organization.
    pub organization: Option<Reference>,
    /// Groups, one of which the patient must be in.
    pub groups: Option<Vec<Reference>>,
    /// Where the query stands in the request.
    pub pointer: String,
}

impl Query {
    /// Reads a `meta.query`.
    pub fn read(query: &Object<'_, '_>) -> Option<Self> {
        let (organization, groups) = (query.optional("organization"), query.optional("groups"));
        Some(Self { identifier: Identifier::read_key(query)?, organization, groups, pointer: query.pointer() })
    }
}

impl Target {
    /// Reads a resource identifier.
    pub fn read(identifier: &Object<'_, '_>) -> Option<Self> {
        let by_id = identifier.reference();
        let by_query = identifier.optional_with("meta", |meta| {
            meta.object(|meta| meta.optional_with("query", |query| query.object(Query::read))).flatten()
        });
        match (by_id, by_query) {
            (Some(reference), None) => Some(Self::Named(reference)),
            (None, Some(query)) => query.map(Self::Query),
            (Some(_), Some(_)) => {
                identifier.fault("meta", "names the patient a second time; send either id or meta.query");
                None
            }
            (None, None) if identifier.is_faulty("id") || identifier.is_faulty("meta") => None,
            (None, None) => {
                identifier.fault("id", "is required, or meta.query with an identifier of the patient");
                None
            }
        }
    }
}

/// The patients that the resources of one request name.
#[derive(Debug)]
pub struct Targets {
    visible: HashSet<Id>,
    visible_groups: HashSet<Id>,
    holders: Holders,
    groups: HashMap<Id, HashSet<Id>>,
}

impl Targets {
    /// Looks them all up.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_up<'t>(
        db: &mut Conn,
        scope: &Scope,
        targets: impl Iterator<Item = &'t Target> + Clone,
    ) -> Result<Self> {
        let queries = targets.clone().filter_map(|target| match target {
            Target::Query(query) => Some(query),
            Target::Named(_) => None,
        });
        let keys = queries.clone().map(|query| (query.identifier.0.as_str(), query.identifier.1.as_str()));
        let holders = Holders::look_up(db, scope, keys)?;
        let held = queries.clone().flat_map(|query| patients_of(&holders, &query.identifier)).collect::<Vec<_>>();
        let named = targets.filter_map(|target| match target {
            Target::Named(reference) => reference.id,
            Target::Query(_) => None,
        });
        let named: HashSet<_> = named.chain(held.iter().copied()).collect();
        let visible = known(db, scope, named)?;
        let groups =
            if queries.clone().any(|query| query.groups.is_some()) { groups_of(db, held)? } else { HashMap::new() };
        let visible_groups = group::known(db, scope, queries.flat_map(|query| query.groups.iter().flatten()))?;
        Ok(Self { visible, visible_groups, holders, groups })
    }

    /// The patient that a target leads to, or `None` and a fault.
    pub fn resolve(&self, scope: &Scope, target: &Target, faults: &Faults) -> Option<Id> {
        match target {
            Target::Named(reference) => {
                let known = reference.id.filter(|id| self.visible.contains(id));
                if known.is_none() {
                    faults.add(reference.unknown("patient"));
                }
                known
            }
            Target::Query(query) => match self.matches(scope, query, faults)?.as_slice() {
                [id] => Some(*id),
                found => {
                    let detail = format!(
                        "finds {} patients within the scope of the token; it must find exactly one",
                        found.len()
                    );
                    faults.add(Fault::body(&query.pointer, detail));
                    None
                }
            },
        }
    }

    /// All visible patients that a query finds; `None` and a fault when it
    /// names what is not within the scope.
    pub(super) fn matches(&self, scope: &Scope, query: &Query, faults: &Faults) -> Option<Vec<Id>> {
        if let Some(organization) = query.organization.as_ref().filter(|named| named.id != Some(scope.organization)) {
            scope.check_organization(organization, faults);
            return None;
        }
        let known = |group: &&Reference| group.id.is_some_and(|id| self.visible_groups.contains(&id));
        let outside: Vec<_> = query.groups.iter().flatten().filter(|group| !known(group)).collect();
        if !outside.is_empty() {
            for group in outside {
                faults.add(Scope::outside("group", group));
            }
            return None;
        }
        let in_groups = |patient: &Id| {
            let Some(wanted) = &query.groups else { return true };
            let groups = self.groups.get(patient);
            groups.is_some_and(|groups| wanted.iter().any(|group| group.id.is_some_and(|id| groups.contains(&id))))
        };
        let found = patients_of(&self.holders, &query.identifier);
        Some(found.filter(|patient| self.visible.contains(patient)).filter(in_groups).collect())
    }
}

fn patients_of(holders: &Holders, key: &(String, String)) -> impl Iterator<Item = Id> {
    holders.of(key).filter_map(|holder| match holder {
        Holder::Patient(id) => Some(id),
        Holder::Coach(_) => None,
    })
}

fn groups_of(db: &mut Conn, patients: Vec<Id>) -> Result<HashMap<Id, HashSet<Id>>> {
    let mut groups: HashMap<Id, HashSet<Id>> = HashMap::new();
    for chunk in chunks(patients) {
        let rows = patient_groups::table.filter(patient_groups::patient_id.eq_any(chunk));
        for (patient, group) in
            rows.select((patient_groups::patient_id, patient_groups::group_id)).load::<(Id, Id)>(db)?
        {
            groups.entry(patient).or_default().insert(group);
        }
    }
    Ok(groups)
}
