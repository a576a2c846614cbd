//! `organization`: a customer. No data is accessible across organizations.
//!
//! Read-only over the API; the command line and fixtures make them.

use diesel::prelude::*;
use serde::Serialize;

use crate::auth::Scope;
use crate::db::schema::organizations;
use crate::db::{Backend, Conn};
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes};
use crate::resource::{Fetch, Resource};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = organizations, treat_none_as_default_value = false)]
pub struct Organization {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The name.
    pub name: String,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
}

impl Resource for Organization {
    const TYPE: &'static str = "organization";

    fn id(&self) -> Id {
        self.id
    }
}

fn visible<'q>(scope: &Scope) -> organizations::BoxedQuery<'q, Backend> {
    organizations::table.filter(organizations::id.eq(scope.organization)).into_boxed()
}

impl Fetch for Organization {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(organizations::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl Seed for Organization {
    const NAME: &'static str = Self::TYPE;

    type New = Self;

    fn read_seed(item: &Item<'_, '_>) -> Self {
        let Seeded { id, created_at, updated_at } = Seeded::read(item);
        Self { id, name: item.attributes.filled("name").unwrap_or_default(), created_at, updated_at }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        organizations::table
            .filter(organizations::id.eq_any(ids))
            .select((organizations::id, organizations::id))
            .load(db)
    }

    fn store(db: &mut Conn, _: &Scope, new: &Items<Self>, _: &Notes) -> Result<()> {
        for (_, organization) in &new.items {
            diesel::insert_into(organizations::table).values(organization).execute(db)?;
        }
        Ok(())
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(organizations::table.find(organization)).execute(db).map(drop)
    }
}
