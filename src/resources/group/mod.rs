//! `group`: a cohort of patients within an organization.
//!
//! Created by `POST /group`, or by the way: a patient may name its groups by
//! `meta.query`, and a name that none has yet makes one.

mod target;

use std::collections::HashSet;

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

pub use target::{Target, Targets};

use super::lookup;
use super::patient::Patient;
use crate::auth::Scope;
use crate::db::schema::{groups, patient_groups};
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Kind, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Filters, Item, Items, Notes, Patch, Reference};
use crate::resource::{Create, Fetch, HasMany, List, Resource, Written, by_instant, by_text};
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
    let mine = rows_of(groups::table).filter(groups::organization_id.eq(scope.organization)).into_boxed();
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
        by_instant("created_at", "groups.created_at", |row| row.created_at),
        by_instant("updated_at", "groups.updated_at", |row| row.updated_at),
        by_text("name", "groups.name", |row| &row.name),
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
        load_page::<Self, _, _>(db, window, "groups", || {
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
        NewGroup { name: item.attributes.key("name").unwrap_or_default(), bio: item.attributes.patch("bio"), row: None }
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
    lookup::collect(named.into_iter().filter_map(|reference| reference.id), |ids| {
        visible(scope).filter(groups::id.eq_any(ids)).select(groups::id).load(db)
    })
}

/// All groups within the scope, for the token that grants it.
///
/// # Errors
/// When the database fails.
pub fn all(db: &mut Conn, scope: &Scope) -> Result<Vec<Group>> {
    Ok(visible(scope).order(groups::id).load(db)?)
}

impl Seed for Group {
    const NAME: &'static str = Self::TYPE;

    type New = NewGroup;

    fn read_seed(item: &Item<'_, '_>) -> NewGroup {
        NewGroup { row: Some(Seeded::read(item)), ..Self::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        groups::table.filter(groups::id.eq_any(ids)).select((groups::id, groups::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewGroup>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(groups::table.filter(groups::organization_id.eq(organization))).execute(db).map(drop)
    }
}
