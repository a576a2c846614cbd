//! `coach`: a person that supports patients. Read-only over the API.
//!
//! A client that is restricted to groups sees the coaches of its groups and
//! those of its patients.

use std::collections::HashSet;

use diesel::prelude::*;
use serde::Serialize;

use super::group;
use super::identifier::{self, Holder, Holders, Identifier};
use super::lookup;
use super::patient::Patient;
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::{coach_groups, coaches, identifiers, patient_coaches, patient_groups};
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::{Filters, Item, Items, Notes, Reference};
use crate::resource::{Fetch, HasMany, List, Resource, by_instant, by_text};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = coaches, treat_none_as_default_value = false)]
pub struct Coach {
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
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
}

impl Resource for Coach {
    const TYPE: &'static str = "coach";
    const INCLUDED: bool = true;

    fn id(&self) -> Id {
        self.id
    }
}

fn visible<'q>(scope: &Scope) -> coaches::BoxedQuery<'q, Backend> {
    let mine = rows_of(coaches::table).filter(coaches::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => {
            let patients = patient_groups::table
                .filter(patient_groups::group_id.eq_any(ids.clone()))
                .select(patient_groups::patient_id);
            let of_patients = patient_coaches::table
                .filter(patient_coaches::patient_id.eq_any(patients))
                .select(patient_coaches::coach_id);
            mine.filter(coaches::id.eq_any(of_groups(ids.clone())).or(coaches::id.eq_any(of_patients)))
        }
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of_groups(ids: Vec<Id>) -> _ {
    coach_groups::table.filter(coach_groups::group_id.eq_any(ids)).select(coach_groups::coach_id)
}

impl Fetch for Coach {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(coaches::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

/// What a list of coaches is filtered by.
#[derive(Debug, Default)]
pub struct CoachFilter {
    reach: Reach,
    patient: Option<Id>,
}

impl List for Coach {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "coaches.created_at", |row| row.created_at),
        by_instant("updated_at", "coaches.updated_at", |row| row.updated_at),
        by_text("last_name", "coalesce(coaches.last_name, '')", |row| row.last_name.as_deref().unwrap_or_default()),
        by_text("first_name", "coalesce(coaches.first_name, '')", |row| row.first_name.as_deref().unwrap_or_default()),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = CoachFilter;

    fn filter(filters: &Filters<'_>) -> CoachFilter {
        CoachFilter { reach: Reach::require_groups(filters), patient: None }
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &CoachFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, .. } = filter.reach.check(db, scope, faults)?;
        faults.check()?;
        load_page::<Self, _, _>(db, window, "coaches", || {
            let mut query = visible(scope);
            if let Some(groups) = &groups {
                query = query.filter(coaches::id.eq_any(of_groups(groups.clone())));
            }
            if let Some(patient) = filter.patient {
                let related = patient_coaches::table.filter(patient_coaches::patient_id.eq(patient));
                query = query.filter(coaches::id.eq_any(related.select(patient_coaches::coach_id)));
            }
            query
        })
    }
}

impl HasMany<Coach> for Patient {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<CoachFilter> {
        Self::fetch(db, scope, id)?;
        Ok(CoachFilter { patient: Some(id), ..CoachFilter::default() })
    }
}

/// Those of these coaches that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(db: &mut Conn, scope: &Scope, named: impl IntoIterator<Item = &'n Reference>) -> Result<HashSet<Id>> {
    among(db, scope, named.into_iter().filter_map(|reference| reference.id))
}

/// Those of the coaches of these ids that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn among(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashSet<Id>> {
    lookup::collect(ids, |ids| visible(scope).filter(coaches::id.eq_any(ids)).select(coaches::id).load(db))
}

/// A coach to be, made by an operator or a fixture.
#[derive(Debug)]
pub struct NewCoach {
    /// The row.
    pub row: Seeded,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The groups that the coach belongs to.
    pub groups: Vec<Reference>,
    /// How other systems know the coach.
    pub identifiers: Vec<Identifier>,
}

#[derive(Insertable)]
#[diesel(table_name = coach_groups)]
struct CoachGroup {
    coach_id: Id,
    group_id: Id,
}

impl Coach {
    /// Stores a coach. Groups outside the scope and identifiers that somebody
    /// has already are noted; `place` is where the list of them stands.
    ///
    /// # Errors
    /// When the database fails, or something was noted.
    pub fn add(db: &mut Conn, scope: &Scope, new: &NewCoach, place: &str, notes: &Notes) -> Result<Self> {
        let (Seeded { id, created_at, updated_at }, list) = (new.row, &new.identifiers);
        let holders = Holders::look_up(db, scope, list.iter().map(|known| (&*known.system, &*known.value)))?;
        identifier::check_once(list, place, &notes.faults);
        identifier::note_conflicts(&holders.conflicts(list, Some(Holder::Coach(id))), list, place, &notes.faults);
        let groups = group::check(db, scope, &new.groups, &notes.faults)?;
        notes.check()?;
        let coach = Self {
            id,
            organization_id: scope.organization,
            first_name: new.first_name.clone(),
            last_name: new.last_name.clone(),
            created_at,
            updated_at,
        };
        diesel::insert_into(coaches::table).values(&coach).execute(db)?;
        let groups: HashSet<Id> = groups.into_iter().collect();
        let groups: Vec<_> = groups.into_iter().map(|group_id| CoachGroup { coach_id: id, group_id }).collect();
        insert_all::<_, CoachGroup>(db, coach_groups::table, &groups)?;
        let identifiers: Vec<_> = identifier::Row::of_coach(scope, id, list).collect();
        insert_all::<_, identifier::Row>(db, identifiers::table, &identifiers)?;
        Ok(coach)
    }
}

impl Seed for Coach {
    const NAME: &'static str = Self::TYPE;

    type New = NewCoach;

    fn read_seed(item: &Item<'_, '_>) -> NewCoach {
        let groups = item.relationships.to_many("groups", group::Group::TYPE, |group| group.required_reference());
        NewCoach {
            row: Seeded::read(item),
            first_name: item.attributes.optional("first_name"),
            last_name: item.attributes.optional("last_name"),
            identifiers: item.attributes.optional("identifiers").unwrap_or_default(),
            groups: groups.unwrap_or_default(),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        coaches::table.filter(coaches::id.eq_any(ids)).select((coaches::id, coaches::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewCoach>, notes: &Notes) -> Result<()> {
        for (pointer, coach) in &new.items {
            Self::add(db, scope, coach, &format!("{pointer}/attributes/identifiers"), notes)?;
        }
        Ok(())
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = coaches::table.filter(coaches::organization_id.eq(organization)).select(coaches::id);
        let identifiers = identifiers::table.filter(identifiers::organization_id.eq(organization));
        diesel::delete(identifiers.filter(identifiers::coach_id.is_not_null())).execute(db)?;
        diesel::delete(coach_groups::table.filter(coach_groups::coach_id.eq_any(own))).execute(db)?;
        diesel::delete(coaches::table.filter(coaches::organization_id.eq(organization))).execute(db).map(drop)
    }
}
