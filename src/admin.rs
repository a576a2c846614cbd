//! What operators do and the API does not offer: looking over organizations,
//! and everything about clients. The command line and fixtures share this.

use std::collections::HashSet;

use diesel::prelude::*;

use crate::auth::{Scope, Secret};
use crate::db::schema::{client_groups, clients, coaches, groups, idempotency_records, organizations, tokens};
use crate::db::{Conn, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::{Item, Items, Notes, Reference};
use crate::resource::Resource;
use crate::resources::coach::Coach;
use crate::resources::group::{self, Group};
use crate::resources::organization::Organization;
use crate::seed::Seed;
use crate::time::Instant;

/// All organizations, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub fn organizations(db: &mut Conn) -> Result<Vec<Organization>> {
    Ok(organizations::table.order(organizations::id).load(db)?)
}

/// All coaches of an organization.
///
/// # Errors
/// When the database fails.
pub fn coaches(db: &mut Conn, organization: Id) -> Result<Vec<Coach>> {
    Ok(coaches::table.filter(coaches::organization_id.eq(organization)).order(coaches::id).load(db)?)
}

/// All groups of an organization.
///
/// # Errors
/// When the database fails.
pub fn groups(db: &mut Conn, organization: Id) -> Result<Vec<Group>> {
    Ok(groups::table.filter(groups::organization_id.eq(organization)).order(groups::id).load(db)?)
}

/// A client to be.
pub struct NewClient {
    /// The id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The secret.
    pub secret: String,
    /// The groups it is restricted to; `None` for the whole organization.
    pub groups: Option<Vec<Reference>>,
}

/// A client, as far as anybody is shown it.
#[derive(Clone, Queryable, Insertable)]
#[diesel(table_name = clients, treat_none_as_default_value = false)]
pub struct Client {
    /// The id.
    pub id: String,
    /// The organization it belongs to.
    pub organization_id: Id,
    /// What people call it.
    pub name: String,
    /// `organization` or `group`.
    pub scope: String,
    secret_hash: String,
    /// When it was made.
    pub created_at: Instant,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
}

#[derive(Insertable)]
#[diesel(table_name = client_groups)]
struct ClientGroup<'n> {
    client_id: &'n str,
    group_id: Id,
}

impl Client {
    /// Stores a client. Groups that the organization does not have are noted.
    ///
    /// # Errors
    /// When the database fails, or something was noted.
    pub fn add(db: &mut Conn, scope: &Scope, new: &NewClient, notes: &Notes) -> Result<()> {
        let groups = new.groups.as_deref().map(|named| group::check(db, scope, named, &notes.faults)).transpose()?;
        notes.check()?;
        let client = Self {
            id: new.id.clone(),
            organization_id: scope.organization,
            name: new.name.clone(),
            scope: if groups.is_some() { "group".into() } else { "organization".into() },
            secret_hash: Secret::of(&new.secret).hash()?,
            created_at: scope.now,
            revoked_at: None,
        };
        diesel::insert_into(clients::table).values(&client).execute(db)?;
        let groups: HashSet<Id> = groups.into_iter().flatten().collect();
        let groups: Vec<_> = groups.into_iter().map(|group_id| ClientGroup { client_id: &new.id, group_id }).collect();
        insert_all::<_, ClientGroup<'_>>(db, client_groups::table, &groups)?;
        Ok(())
    }
}

impl Seed for Client {
    const NAME: &'static str = "client";

    type New = NewClient;

    fn read_seed(item: &Item<'_, '_>) -> NewClient {
        let attributes = item.attributes;
        let scope =
            attributes.required_with("scope", |node| node.one_of(&["organization", "group"])).unwrap_or_default();
        let groups = item.relationships.to_many("groups", Group::TYPE, |group| group.required_reference());
        if scope == "group" && groups.as_ref().is_none_or(Vec::is_empty) && !item.relationships.is_faulty("groups") {
            item.relationships.fault("groups", "is required of a client with the scope \"group\"");
        }
        NewClient {
            id: item.resource.optional("id").unwrap_or_default(),
            name: attributes.required("name"),
            secret: attributes.filled("client_secret").unwrap_or_default(),
            groups: groups.filter(|_| scope == "group"),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        clients::table.filter(clients::id.eq_any(ids)).select((clients::id, clients::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewClient>, notes: &Notes) -> Result<()> {
        new.items.iter().try_for_each(|(_, client)| Self::add(db, scope, client, notes))
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = || clients::table.filter(clients::organization_id.eq(organization)).select(clients::id);
        diesel::delete(tokens::table.filter(tokens::client_id.eq_any(own()))).execute(db)?;
        diesel::delete(idempotency_records::table.filter(idempotency_records::client_id.eq_any(own()))).execute(db)?;
        diesel::delete(client_groups::table.filter(client_groups::client_id.eq_any(own()))).execute(db)?;
        diesel::delete(clients::table.filter(clients::organization_id.eq(organization))).execute(db).map(drop)
    }
}

/// All clients of an organization.
///
/// # Errors
/// When the database fails.
pub fn clients(db: &mut Conn, organization: Id) -> Result<Vec<Client>> {
    Ok(clients::table
        .filter(clients::organization_id.eq(organization))
        .order((clients::created_at, clients::id))
        .load(db)?)
}

/// The client of this id.
///
/// # Errors
/// When the database fails.
pub fn client(db: &mut Conn, id: &str) -> Result<Option<Client>> {
    Ok(clients::table.filter(clients::id.eq(id)).first(db).optional()?)
}

/// Revokes a client with all its tokens; says whether there was one to revoke.
///
/// # Errors
/// When the database fails.
pub fn revoke_client(db: &mut Conn, id: &str, now: Instant) -> Result<bool> {
    let client = clients::table.filter(clients::id.eq(id)).filter(clients::revoked_at.is_null());
    let revoked = diesel::update(client).set(clients::revoked_at.eq(now)).execute(db)? > 0;
    let tokens = tokens::table.filter(tokens::client_id.eq(id)).filter(tokens::revoked_at.is_null());
    diesel::update(tokens).set(tokens::revoked_at.eq(now)).execute(db)?;
    Ok(revoked)
}
