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
use crate::resource::{Fetch, Resource};
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
