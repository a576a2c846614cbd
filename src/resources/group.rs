//! `group`: a cohort of patients within an organization.
//!
//! Created by `POST /group`, or by the way: a patient may name its groups by
//! `meta.query`, and a name that none has yet makes one.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::patient::Patient;
use crate::auth::Scope;
use crate::db::schema::{groups, patient_groups};
use crate::db::{Backend, Conn, KeyValue, Page, Sort, Window, chunks, insert_all, load_page};
use crate::error::{Fault, Faults, Kind, Result, Source};
use crate::id::Id;
use crate::jsonapi::document::ClientId;
use crate::jsonapi::query::PagingRules;
use crate::jsonapi::{Filters, Item, Items, Notes, Object, Patch, Reference};
use crate::resource::{Create, Fetch, HasMany, List, Resource, Written};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = groups, treat_none_as_default_value = false)]
pub struct Group {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization it belongs to.
    #[serde(skip)]
    pub organization_id: Id,
    /// The name; several groups may share one.
    pub name: String,
    /// A description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip)]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip)]
    pub updated_by: Option<String>,
}

impl Group {
    /// A new group of the caller's organization.
    pub fn new(scope: &Scope, name: String, bio: Option<String>) -> Self {
        Self {
            id: Id::new(scope.now),
            organization_id: scope.organization,
            name,
            bio,
            created_at: scope.now,
            updated_at: scope.now,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        }
    }
}

/// A group as a client describes it.
#[derive(Debug)]
pub struct NewGroup {
    name: String,
    bio: Patch<String>,
    row: Option<Seeded>,
}

impl Resource for Group {
    const TYPE: &'static str = "group";

    fn id(&self) -> Id {
        self.id
    }
}

fn visible<'q>(scope: &Scope) -> groups::BoxedQuery<'q, Backend> {
    let mine = groups::table.filter(groups::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(groups::id.eq_any(ids.clone())),
    }
}

impl Fetch for Group {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(groups::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

/// What a list of groups is filtered by.
#[derive(Debug, Default)]
pub struct GroupFilter {
    organization: Option<Reference>,
    name: Option<String>,
    patient: Option<Id>,
}

impl List for Group {
    const SORTS: &'static [Sort<Self>] = &[
        Sort { name: "created_at", column: "groups.created_at", value: |row| KeyValue::Instant(row.created_at) },
        Sort { name: "updated_at", column: "groups.updated_at", value: |row| KeyValue::Instant(row.updated_at) },
        Sort { name: "name", column: "groups.name", value: |row| KeyValue::Text(row.name.clone()) },
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = GroupFilter;

    fn filter(filters: &Filters<'_>) -> GroupFilter {
        let filter = GroupFilter {
            organization: filters.reference("filter[organization]"),
            name: filters.text("filter[name]"),
            patient: None,
        };
        filters.require_one_of(&["filter[organization]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &GroupFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        if let Some(organization) = &filter.organization {
            scope.check_organization(organization, faults);
        }
        faults.check()?;
        load_page(db, window, "groups", || {
            let mut query = visible(scope);
            if let Some(name) = &filter.name {
                query = query.filter(groups::name.eq(name));
            }
            if let Some(patient) = filter.patient {
                let related = patient_groups::table.filter(patient_groups::patient_id.eq(patient));
                query = query.filter(groups::id.eq_any(related.select(patient_groups::group_id)));
            }
            query
        })
    }
}

impl HasMany<Group> for Patient {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<GroupFilter> {
        Self::fetch(db, scope, id)?;
        Ok(GroupFilter { patient: Some(id), ..GroupFilter::default() })
    }
}

impl Create for Group {
    const CREATED: StatusCode = StatusCode::CREATED;
    // The schema lists id as required, so clients send one.
    const CLIENT_ID: ClientId<'static> = ClientId::Ignored;

    type New = NewGroup;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewGroup {
        NewGroup {
            name: item.attributes.filled("name").unwrap_or_default(),
            bio: item.attributes.patch("bio"),
            row: None,
        }
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewGroup>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        if !scope.is_whole() {
            notes.faults.add(may_not_create());
        }
        notes.check()?;
        let row = |group: &NewGroup| {
            let row = Self::new(scope, group.name.clone(), group.bio.value().cloned());
            match group.row {
                Some(Seeded { id, created_at, updated_at }) => Self { id, created_at, updated_at, ..row },
                None => row,
            }
        };
        let rows: Vec<_> = new.items.iter().map(|(_, group)| row(group)).collect();
        insert_all::<_, Group>(db, groups::table, &rows)?;
        Ok(rows.into_iter().map(Written::Created).collect())
    }
}

/// A client that is restricted to some groups would not see a new one.
fn may_not_create() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "A client that is restricted to certain groups cannot create others; use a client with the scope \"organization\".",
    )
}

/// The ids of the groups that are named, in that order. Those that are not
/// within the scope are noted as faults.
///
/// # Errors
/// When the database fails.
pub fn check(db: &mut Conn, scope: &Scope, named: &[Reference], faults: &Faults) -> Result<Vec<Id>> {
    let known = known(db, scope, named)?;
    let mut ids = Vec::with_capacity(named.len());
    for reference in named {
        match reference.id.filter(|id| known.contains(id)) {
            Some(id) => ids.push(id),
            None => faults.add(Scope::outside("group", reference)),
        }
    }
    Ok(ids)
}

/// Those of these groups that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(db: &mut Conn, scope: &Scope, named: impl IntoIterator<Item = &'n Reference>) -> Result<HashSet<Id>> {
    let ids: HashSet<Id> = named.into_iter().filter_map(|reference| reference.id).collect();
    let mut known = HashSet::new();
    for chunk in chunks(ids) {
        known.extend(visible(scope).filter(groups::id.eq_any(chunk)).select(groups::id).load::<Id>(db)?);
    }
    Ok(known)
}

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
                        Some(Self::Query {
                            organization: query.required_with("organization", crate::jsonapi::Read::read)?,
                            name: query.filled("name")?,
                            source: Source::Pointer(query.pointer()),
                        })
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
    pub fn insert_new(&self, db: &mut Conn) -> Result<()> {
        Ok(insert_all::<_, Group>(db, groups::table, &self.new)?)
    }
}

/// All groups within the scope, for the token that grants it.
///
/// # Errors
/// When the database fails.
pub fn all(db: &mut Conn, scope: &Scope) -> Result<Vec<Group>> {
    Ok(visible(scope).order(groups::id).load(db)?)
}

impl Seed for Group {
    fn read_seed(item: &Item<'_, '_>, row: Seeded) -> NewGroup {
        NewGroup { row: Some(row), ..Self::read(item) }
    }
}
