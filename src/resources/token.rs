//! The token as a resource: `oauth/token`, with the groups and the organization
//! that it gives access to. How tokens are issued is in [`crate::oauth`].

use diesel::prelude::*;
use serde::Serialize;

use super::group::{self, Group, GroupFilter};
use super::organization::Organization;
use crate::auth::Scope;
use crate::db::Conn;
use crate::db::schema::tokens;
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Links, Relationship, Relationships};
use crate::jsonapi::{Identifier, Included};
use crate::resource::{Fetch, HasMany, HasOne, Resource};

/// A token just issued; it is never seen again.
#[derive(Serialize)]
pub struct Token {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// `token` or `oauth/token`, as the client calls it.
    #[serde(skip)]
    pub kind: &'static str,
    /// The bearer token.
    pub access_token: String,
    /// What gets the next one, once.
    pub refresh_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Seconds until it expires.
    pub expires_in: u32,
}

impl Resource for Token {
    const TYPE: &'static str = "oauth/token";
    const INCLUDES: &'static [&'static str] = &["groups", "organization"];

    fn id(&self) -> Id {
        self.id
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    /// A token cannot be fetched, so it has no link to itself.
    fn links(&self, _: &str) -> Links {
        Vec::new()
    }

    fn relationships(db: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let groups = group::all(db, scope)?;
        let groups: Vec<_> = groups.iter().map(|group| Identifier::new(Group::TYPE, group.id)).collect();
        let organization = Identifier::new(Organization::TYPE, scope.organization);
        let relationships = vec![
            Relationship { name: "groups", data: Linkage::Many(groups) },
            Relationship { name: "organization", data: Linkage::One(Some(organization)) },
        ];
        Ok(rows.iter().map(|_| relationships.clone()).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, _: &[Self], path: &str, included: &mut Included) -> Result<()> {
        if path == "groups" {
            let groups = group::all(db, scope)?;
            return included.add_all(db, scope, &groups);
        }
        let organization = Organization::fetch(db, scope, scope.organization)?;
        included.add_all(db, scope, &[organization])
    }
}

/// Checks that a token belongs to the client that asks about it.
fn check_own(db: &mut Conn, scope: &Scope, id: Id) -> Result<()> {
    let own = tokens::table.filter(tokens::id.eq(id)).filter(tokens::client_id.eq(&scope.client)).select(tokens::id);
    own.first::<Id>(db).optional()?.map(drop).ok_or_else(|| Fault::not_found().into())
}

impl HasMany<Group> for Token {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<GroupFilter> {
        check_own(db, scope, id)?;
        Ok(GroupFilter::default())
    }
}

impl HasOne<Organization> for Token {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Organization> {
        check_own(db, scope, id)?;
        Organization::fetch(db, scope, scope.organization)
    }
}
