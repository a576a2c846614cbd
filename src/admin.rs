//! What operators do and the API does not offer: making organizations, coaches
//! and clients. The command line and fixtures share this.

use diesel::prelude::*;

use crate::auth::{Scope, Secret};
use crate::db::schema::{client_groups, clients, coach_groups, coaches, groups, identifiers, organizations, tokens};
use crate::db::{Conn, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::Notes;
use crate::resources::coach::Coach;
use crate::resources::group::Group;
use crate::resources::identifier::{self, Holder, Holders, Identifier};
use crate::resources::organization::Organization;
use crate::seed::Seeded;
use crate::time::Instant;

/// Makes an organization.
///
/// # Errors
/// When the database fails.
pub fn add_organization(db: &mut Conn, row: Seeded, name: String) -> Result<Organization> {
    let organization = Organization { id: row.id, name, created_at: row.created_at, updated_at: row.updated_at };
    diesel::insert_into(organizations::table).values(&organization).execute(db)?;
    Ok(organization)
}

/// All organizations, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub fn organizations(db: &mut Conn) -> Result<Vec<Organization>> {
    Ok(organizations::table.order(organizations::id).load(db)?)
}

/// A coach to be.
#[derive(Debug, Default)]
pub struct NewCoach {
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The groups that the coach belongs to.
    pub groups: Vec<Id>,
    /// How other systems know the coach.
    pub identifiers: Vec<Identifier>,
}

#[derive(Insertable)]
#[diesel(table_name = coach_groups)]
struct CoachGroup {
    coach_id: Id,
    group_id: Id,
}

/// Makes a coach. Identifiers that somebody has already are noted; `place` is
/// where the list of them stands.
///
/// # Errors
/// When the database fails.
pub fn add_coach(
    db: &mut Conn,
    scope: &Scope,
    row: Seeded,
    new: &NewCoach,
    place: &str,
    notes: &Notes,
) -> Result<Coach> {
    let list = &new.identifiers;
    let holders = Holders::look_up(db, scope, list.iter().map(|known| (&*known.system, &*known.value)))?;
    identifier::check_once(list, place, &notes.faults);
    for (index, _) in holders.conflicts(list, Some(Holder::Coach(row.id))) {
        if let Some(identifier) = list.get(index) {
            notes.faults.add(identifier::taken(format!("{place}/{index}"), identifier));
        }
    }
    notes.check()?;
    let coach = Coach {
        id: row.id,
        organization_id: scope.organization,
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    diesel::insert_into(coaches::table).values(&coach).execute(db)?;
    let groups: Vec<_> =
        new.groups.iter().map(|group_id| CoachGroup { coach_id: coach.id, group_id: *group_id }).collect();
    insert_all::<_, CoachGroup>(db, coach_groups::table, &groups)?;
    insert_all::<_, identifier::Row>(
        db,
        identifiers::table,
        &identifier::Row::of_coach(scope, coach.id, list).collect::<Vec<_>>(),
    )?;
    Ok(coach)
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
#[derive(Debug)]
pub struct NewClient<'n> {
    /// The id.
    pub id: &'n str,
    /// What people call it.
    pub name: &'n str,
    /// The secret.
    pub secret: Secret<'n>,
    /// The groups it is restricted to; `None` for the whole organization.
    pub groups: Option<&'n [Id]>,
}

/// A client, as far as anybody is shown it.
#[derive(Clone, Debug, Queryable, Insertable)]
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

/// Makes a client.
///
/// # Errors
/// When the database fails, or has a client of this id.
pub fn add_client(db: &mut Conn, scope: &Scope, new: &NewClient<'_>) -> Result<()> {
    let client = Client {
        id: new.id.to_owned(),
        organization_id: scope.organization,
        name: new.name.to_owned(),
        scope: if new.groups.is_some() { "group".into() } else { "organization".into() },
        secret_hash: new.secret.hash()?,
        created_at: scope.now,
        revoked_at: None,
    };
    diesel::insert_into(clients::table).values(&client).execute(db)?;
    let groups: Vec<_> = new
        .groups
        .unwrap_or_default()
        .iter()
        .map(|group_id| ClientGroup { client_id: new.id, group_id: *group_id })
        .collect();
    insert_all::<_, ClientGroup<'_>>(db, client_groups::table, &groups)?;
    Ok(())
}

/// All clients of an organization.
///
/// # Errors
/// When the database fails.
pub fn clients(db: &mut Conn, organization: Id) -> Result<Vec<Client>> {
    Ok(clients::table.filter(clients::organization_id.eq(organization)).order(clients::created_at).load(db)?)
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
