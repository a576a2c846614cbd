//! `patient`: the person that all other health data hangs on.
//!
//! This file is what a patient looks like and how patients are found; `parts`
//! are what an attribute consists of, `relations` its groups and coaches.
//! `write`, `upsert` and `seed` are how patients come to be and change, `target`
//! is how other resources name them.
//!
//! Quirk: a patient shows `updated_at` but, other than most types, no
//! `created_at`, as in the vendor's examples.

mod member;
mod parts;
mod relations;
mod seed;
mod target;
mod upsert;
mod write;

pub use member::in_groups;
pub use target::{Query, Target, Targets};

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::dsl::{Filter, Select};
use diesel::prelude::*;
use serde::Serialize;

use super::counts;
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::{identifiers, patient_groups, patients};
use crate::db::{
    Backend, Conn, Json, OneOf, Page, Sort, Weight, Window, Within, load_page, load_rows, one_of, rows_of,
};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Links, Relationship, Relationships};
use crate::jsonapi::{Filters, Instants, PagingRules, Reference};
use crate::resource::{Fetch, List, Resource, by_instant, by_text};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = patients, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Patient {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization it belongs to.
    #[serde(skip)]
    pub organization_id: Id,
    /// The first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// The date of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<NaiveDate>,
    /// `male`, `female` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    /// A coach's note, which the patient does not see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// `PhoneNumber`s.
    pub phone_numbers: Json,
    /// `Address`es.
    pub addresses: Json,
    /// [`super::identifier::Identifier`]s.
    pub identifiers: Json,
    /// Whether coaching has ended. Read-only over the API.
    pub archived: bool,
    /// `ArchiveEntry`s: how `archived` came to be. Read-only over the API.
    pub archive_history: Json,
    /// A `Statement`. Read-only over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Json>,
    /// When the patient was invited. Read-only over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_at: Option<Instant>,
    /// When the patient was enrolled: set on creation.
    pub enrolled_at: Instant,
    /// When the patient first came. Read-only over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_access_at: Option<Instant>,
    /// When the patient last came. Read-only over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_access_at: Option<Instant>,
    /// When the row was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip)]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip)]
    pub updated_by: Option<String>,
    /// The resource identifiers of its groups.
    #[serde(skip)]
    pub groups: Json,
    /// The resource identifiers of its coaches.
    #[serde(skip)]
    pub coaches: Json,
}

impl Resource for Patient {
    const TYPE: &'static str = "patient";
    const INCLUDED: bool = true;

    fn id(&self) -> Id {
        self.id
    }

    fn links(&self, web_app: &str) -> Links {
        let base = web_app.trim_end_matches('/');
        vec![("self", self.path()), ("twine_web_app", [base, "/#/coach/patient/", self.id.as_str()].concat())]
    }

    fn relationships(_: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |row: &Self| {
            vec![
                Relationship { name: "groups", data: Linkage::Stored(relations::within(scope, &row.groups)) },
                Relationship { name: "coaches", data: Linkage::Stored(row.coaches.clone()) },
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> patients::BoxedQuery<'q, Backend> {
    let mine = rows_of(patients::table).filter(patients::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(patients::id, ids)),
    }
}

/// The ids of the patients of these groups.
pub fn of_groups(
    ids: impl IntoIterator<Item = Id>,
) -> Select<Filter<patient_groups::table, OneOf<patient_groups::group_id>>, patient_groups::patient_id> {
    patient_groups::table.filter(one_of(patient_groups::group_id, ids)).select(patient_groups::patient_id)
}

impl Fetch for Patient {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(patients::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

/// What a list of patients is filtered by.
#[derive(Debug)]
pub struct PatientFilter {
    reach: Reach,
    identifier: Option<(String, String)>,
    archived: Option<bool>,
    created_at: Option<Instants>,
    updated_at: Option<Instants>,
}

impl PatientFilter {
    /// Whether it leaves the whole organization.
    fn is_whole(&self) -> bool {
        let Self { reach, identifier, archived, created_at, updated_at } = self;
        reach.groups.is_none()
            && identifier.is_none()
            && archived.is_none()
            && created_at.is_none()
            && updated_at.is_none()
    }
}

impl List for Patient {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "patients.created_at", |row| row.created_at),
        by_instant("updated_at", "patients.updated_at", |row| row.updated_at),
        by_text("last_name", "coalesce(patients.last_name, '')", |row| row.last_name.as_deref().unwrap_or_default()),
        by_text("first_name", "coalesce(patients.first_name, '')", |row| row.first_name.as_deref().unwrap_or_default()),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = PatientFilter;

    fn filter(filters: &Filters<'_>) -> PatientFilter {
        PatientFilter {
            reach: Reach::require_groups(filters),
            identifier: filters.pair("filter[identifier][system]", "filter[identifier][value]"),
            archived: filters.flag("filter[archived]"),
            created_at: filters.instants("filter[created_at]"),
            updated_at: filters.instants("filter[updated_at]"),
        }
    }

    fn weight(filter: &PatientFilter, window: &Window<Self>) -> Weight {
        if filter.is_whole() && window.is_near() { Weight::Short } else { Weight::Long }
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &PatientFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, .. } = filter.reach.check(db, scope, faults)?;
        faults.check()?;
        let matching = || {
            let mut query = visible(scope);
            if let Some(groups) = &groups {
                query = query.filter(patients::id.eq_any(of_groups(groups.iter().copied())));
            }
            if let Some((system, value)) = &filter.identifier {
                let holders = identifiers::table
                    .filter(identifiers::organization_id.eq(scope.organization))
                    .filter(identifiers::system.eq(system.clone()))
                    .filter(identifiers::value.eq(value.clone()));
                query = query.filter(patients::id.nullable().eq_any(holders.select(identifiers::patient_id)));
            }
            if let Some(archived) = filter.archived {
                query = query.filter(patients::archived.eq(archived));
            }
            let ranges = [("patients.created_at", filter.created_at), ("patients.updated_at", filter.updated_at)];
            for (column, range) in ranges {
                if let Some(Instants { start, end }) = range {
                    query = query.filter(Within { column, start, end });
                }
            }
            query
        };
        if filter.is_whole() && scope.is_whole() {
            let count = counts::patients(db, scope.organization)?;
            return load_rows::<Self, _, _>(db, window, "patients", count, matching());
        }
        load_page::<Self, _, _>(db, window, "patients", matching)
    }
}

/// Those of these patients that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashSet<Id>> {
    let known = visible(scope).filter(one_of(patients::id, ids)).select(patients::id);
    Ok(known.load::<Id>(db)?.into_iter().collect())
}

/// Those of these patients that are within the scope, with all that is shown of
/// them.
///
/// # Errors
/// When the database fails.
pub fn load(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<Vec<Patient>> {
    Ok(visible(scope).filter(one_of(patients::id, ids)).order(patients::id).load(db)?)
}

/// The id of a patient that a filter names. One that is not within the scope is
/// noted as a fault.
///
/// # Errors
/// When the database fails.
pub fn check(db: &mut Conn, scope: &Scope, named: &Reference, faults: &Faults) -> Result<Option<Id>> {
    let known = known(db, scope, named.id)?.into_iter().next();
    if known.is_none() {
        faults.add(unknown(named));
    }
    Ok(known)
}

/// The fault of naming a patient that is unknown or not visible.
pub fn unknown(named: &Reference) -> Fault {
    named.unknown("patient")
}
