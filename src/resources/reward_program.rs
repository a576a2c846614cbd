//! `reward_program`: what a group's patients can earn, and from when to when.
//!
//! The budget is that of each activation: a program may be activated for any
//! number of patients.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::decimal::Decimal;
use super::group::{self, Group};
use super::lookup;
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::reward_programs;
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Item, Items, Notes};
use crate::resource::{Create, Fetch, HasOne, List, Resource, Written, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = reward_programs, treat_none_as_default_value = false)]
pub struct Program {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its group.
    #[serde(skip)]
    pub organization_id: Id,
    /// The group.
    #[serde(skip)]
    pub group_id: Id,
    /// The name.
    pub name: String,
    /// One line about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tagline: Option<String>,
    /// All about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The first instant at which it can be activated.
    pub start_at: Instant,
    /// The last one.
    pub end_at: Instant,
    /// What one activation can allocate in all.
    pub budget_value: Decimal,
    /// What it is counted in: `dollar`, `point` or `credit`.
    pub budget_unit: String,
    /// For how many days an activation lasts.
    pub duration_active: Decimal,
    /// Whether what is earned can be fulfilled at once, and not only when the
    /// activation is over.
    pub fulfill_as_earned: bool,
    /// Whether it takes no more activations and rewards.
    pub frozen: bool,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// What budgets are counted in.
const UNITS: [&str; 3] = ["dollar", "point", "credit"];

/// A program as a client describes it.
#[derive(Debug)]
pub struct NewProgram {
    name: String,
    tagline: Option<String>,
    description: Option<String>,
    start_at: Instant,
    end_at: Instant,
    budget_value: Decimal,
    budget_unit: String,
    duration_active: Decimal,
    fulfill_as_earned: bool,
    frozen: bool,
    group: Option<group::Target>,
    row: Option<Seeded>,
}

impl NewProgram {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        let unit = attributes.optional_with("budget_unit", |node| node.one_of(&UNITS));
        let program = Self {
            name: attributes.filled("name").unwrap_or_default(),
            tagline: attributes.optional("tagline"),
            description: attributes.optional("description"),
            start_at: attributes.required("start_at"),
            end_at: attributes.required("end_at"),
            budget_value: attributes.required_with("budget_value", Decimal::positive).unwrap_or_default(),
            budget_unit: unit.unwrap_or_else(|| "dollar".into()),
            duration_active: attributes
                .optional_with("duration_active", Decimal::positive)
                .unwrap_or(Decimal::whole(540)),
            fulfill_as_earned: attributes.optional("fulfill_as_earned").unwrap_or(false),
            frozen: attributes.optional("frozen").unwrap_or(false),
            group: relationships.required_one("group", Group::TYPE, group::Target::read),
            row: None,
        };
        let readable = !attributes.is_faulty("start_at") && !attributes.is_faulty("end_at");
        if readable && program.end_at <= program.start_at {
            attributes.fault("end_at", format!("must be after start_at, {}", program.start_at));
        }
        program
    }

    fn row(&self, scope: &Scope, group: Id) -> Program {
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Program {
            id: row.id,
            organization_id: scope.organization,
            group_id: group,
            name: self.name.clone(),
            tagline: self.tagline.clone(),
            description: self.description.clone(),
            start_at: self.start_at,
            end_at: self.end_at,
            budget_value: self.budget_value,
            budget_unit: self.budget_unit.clone(),
            duration_active: self.duration_active,
            fulfill_as_earned: self.fulfill_as_earned,
            frozen: self.frozen,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        }
    }
}

impl Resource for Program {
    const TYPE: &'static str = "reward_program";

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |row: &Self| vec![Relationship::one("group", Group::TYPE, row.group_id)];
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> reward_programs::BoxedQuery<'q, Backend> {
    let mine =
        rows_of(reward_programs::table).filter(reward_programs::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(reward_programs::group_id.eq_any(ids.clone())),
    }
}

impl Fetch for Program {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(reward_programs::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Group> for Program {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Group> {
        let program = Self::fetch(db, scope, id)?;
        Group::fetch(db, scope, program.group_id)
    }
}

impl List for Program {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "reward_programs.created_at", |row| row.created_at),
        by_instant("updated_at", "reward_programs.updated_at", |row| row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = Reach;

    fn filter(filters: &Filters<'_>) -> Reach {
        Reach::require_groups(filters)
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Reach,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, .. } = filter.check(db, scope, faults)?;
        faults.check()?;
        load_page::<Self, _, _>(db, window, "reward_programs", || {
            let mut query = visible(scope);
            if let Some(groups) = &groups {
                query = query.filter(reward_programs::group_id.eq_any(groups.clone()));
            }
            query
        })
    }
}

impl Create for Program {
    const CREATED: StatusCode = StatusCode::OK;

    type New = NewProgram;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewProgram {
        NewProgram::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewProgram>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let targets = new.items.iter().filter_map(|(_, program)| program.group.as_ref());
        let mut groups = group::Targets::look_up(db, scope, targets)?;
        let rows: Vec<_> = new
            .items
            .iter()
            .filter_map(|(_, program)| {
                let group = groups.resolve(scope, program.group.as_ref()?, &notes.faults)?;
                Some(program.row(scope, group))
            })
            .collect();
        notes.check()?;
        groups.insert_new(db, scope)?;
        insert_all::<_, Program>(db, reward_programs::table, &rows)?;
        Ok(rows.into_iter().map(Written::Created).collect())
    }
}

/// Those of these programs that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn by_id(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Program>> {
    let rows: Vec<Program> =
        lookup::collect(ids, |ids| visible(scope).filter(reward_programs::id.eq_any(ids)).load(db))?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

impl Seed for Program {
    const NAME: &'static str = Self::TYPE;

    type New = NewProgram;

    fn read_seed(item: &Item<'_, '_>) -> NewProgram {
        NewProgram { row: Some(Seeded::read(item)), ..NewProgram::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        let those = reward_programs::table.filter(reward_programs::id.eq_any(ids));
        those.select((reward_programs::id, reward_programs::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewProgram>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = reward_programs::table.filter(reward_programs::organization_id.eq(organization));
        diesel::delete(own).execute(db).map(drop)
    }
}
