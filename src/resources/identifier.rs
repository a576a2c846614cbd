//! The identifiers by which other systems know a patient or a coach.
//!
//! A person's row shows them; the table `identifiers` is what people are looked
//! up by and what keeps them unique.
//!
//! Quirk: the contract wants `system` and `value` unique over the whole system;
//! here it is the organization, since one host serves several that must not
//! know of each other.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::auth::Scope;
use crate::db::schema::identifiers;
use crate::db::{Conn, one_of, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Node, Object, Read};

/// An identifier as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identifier {
    /// What people call the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The system that gave it.
    pub system: String,
    /// The identifier there.
    pub value: String,
    /// Whether nobody else of the organization may have it; shown only when
    /// not so.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub unique: bool,
}

fn yes() -> bool {
    true
}

impl Read for Identifier {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let identifier = node.object(|identifier| Self {
            label: identifier.optional("label"),
            system: identifier.key("system").unwrap_or_default(),
            value: identifier.key("value").unwrap_or_default(),
            unique: identifier.optional("unique").unwrap_or(true),
        });
        // One with faults stays in the list, so that the places of the others are right.
        Some(identifier.unwrap_or_default())
    }
}

impl Identifier {
    /// Reads the `identifier` of a `meta.query`: system and value.
    pub fn read_key(query: &Object<'_, '_>) -> Option<(String, String)> {
        query
            .required_with("identifier", |node| {
                node.object(|identifier| {
                    identifier.skip(&["label", "unique"]);
                    let (system, value) = (identifier.key("system"), identifier.key("value"));
                    Some((system?, value?))
                })
            })
            .flatten()
    }

    /// Whether it could be read.
    fn is_whole(&self) -> bool {
        !self.system.is_empty() && !self.value.is_empty()
    }

    fn key(&self) -> (String, String) {
        (self.system.clone(), self.value.clone())
    }
}

/// A row of the look-up table.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = identifiers, treat_none_as_default_value = false)]
pub struct Row {
    id: Id,
    organization_id: Id,
    patient_id: Option<Id>,
    coach_id: Option<Id>,
    system: String,
    value: String,
    is_unique: bool,
}

impl Row {
    /// The rows of a patient.
    pub fn of_patient<'i>(scope: &Scope, patient: Id, list: &'i [Identifier]) -> impl Iterator<Item = Self> + use<'i> {
        Self::of(scope, Some(patient), None, list)
    }

    /// The rows of a coach.
    pub fn of_coach<'i>(scope: &Scope, coach: Id, list: &'i [Identifier]) -> impl Iterator<Item = Self> + use<'i> {
        Self::of(scope, None, Some(coach), list)
    }

    fn of<'i>(
        scope: &Scope,
        patient_id: Option<Id>,
        coach_id: Option<Id>,
        list: &'i [Identifier],
    ) -> impl Iterator<Item = Self> + use<'i> {
        let (now, organization_id) = (scope.now, scope.organization);
        list.iter().map(move |identifier| Self {
            id: Id::new(now),
            organization_id,
            patient_id,
            coach_id,
            system: identifier.system.clone(),
            value: identifier.value.clone(),
            is_unique: identifier.unique,
        })
    }
}

/// Who has an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A patient.
    Patient(Id),
    /// A coach.
    Coach(Id),
}

/// Who has which identifiers, within an organization.
#[derive(Debug, Default)]
pub struct Holders(HashMap<(String, String), Vec<(Holder, bool)>>);

impl Holders {
    /// Looks up who has any of these pairs of system and value.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_up<'k>(
        db: &mut Conn,
        scope: &Scope,
        keys: impl IntoIterator<Item = (&'k str, &'k str)>,
    ) -> Result<Self> {
        let mut systems: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (system, value) in keys {
            systems.entry(system).or_default().insert(value);
        }
        let mut found = Self::default();
        // A query for each system, of which there are few: the index has them first.
        for (system, values) in systems {
            let rows: Vec<Row> = rows_of(identifiers::table)
                .filter(identifiers::organization_id.eq(scope.organization))
                .filter(identifiers::system.eq(system))
                .filter(one_of(identifiers::value, values))
                .order(identifiers::id)
                .load(db)?;
            for row in rows {
                let holder = row.patient_id.map(Holder::Patient).or(row.coach_id.map(Holder::Coach));
                found
                    .0
                    .entry((row.system, row.value))
                    .or_default()
                    .extend(holder.map(|holder| (holder, row.is_unique)));
            }
        }
        Ok(found)
    }

    /// Everybody who has this one.
    pub fn of(&self, key: &(String, String)) -> impl Iterator<Item = Holder> {
        self.0.get(key).into_iter().flatten().map(|(holder, _)| *holder)
    }

    /// The holders that stand against `person` having these: those of the same
    /// pair where either side wants it unique. With each, the index of the
    /// identifier.
    pub fn conflicts(&self, list: &[Identifier], person: Option<Holder>) -> Vec<(usize, Holder)> {
        let mut conflicts = Vec::new();
        for (index, identifier) in list.iter().enumerate() {
            let others = self.0.get(&identifier.key()).into_iter().flatten();
            let against = others
                .filter(|(holder, unique)| Some(*holder) != person && (*unique || identifier.unique))
                .map(|(holder, _)| *holder);
            conflicts.extend(against.take(1).map(|holder| (index, holder)));
        }
        conflicts
    }

    /// Adds the identifiers of somebody who is about to be stored.
    pub fn add(&mut self, person: Holder, list: &[Identifier]) {
        for identifier in list.iter().filter(|identifier| identifier.is_whole()) {
            self.0.entry(identifier.key()).or_default().push((person, identifier.unique));
        }
    }
}

/// Notes a fault for each identifier that stands in one list twice.
pub fn check_once(list: &[Identifier], pointer: &str, faults: &Faults) {
    let mut seen = HashSet::new();
    for (index, identifier) in list.iter().enumerate() {
        if identifier.is_whole() && !seen.insert(identifier.key()) {
            faults.add(Fault::body(format!("{pointer}/{index}"), "stands in this list a second time; send it once"));
        }
    }
}

/// Notes a fault for each identifier that somebody else has; `pointer` is where
/// their list stands.
pub fn note_conflicts(conflicts: &[(usize, Holder)], list: &[Identifier], pointer: &str, faults: &Faults) {
    for (index, _) in conflicts {
        faults.extend(list.get(*index).map(|identifier| taken(format!("{pointer}/{index}"), identifier)));
    }
}

/// The fault of an identifier that somebody else has.
pub fn taken(pointer: String, identifier: &Identifier) -> Fault {
    let Identifier { system, value, .. } = identifier;
    Fault::body(
        pointer,
        format!(
            "the identifier {value:?} of the system {system:?} belongs to another patient or coach of the organization; \
             send another value, or, with POST, meta.ignore_duplicates to skip patients that are there already"
        ),
    )
}
