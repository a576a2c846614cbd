//! Fixtures: organizations with everything in them, as JSON:API documents.
//!
//! A fixture goes through the same readers and the same rules as the API; on
//! top it says what the API gives itself (ids) or keeps read-only. One file is
//! one transaction together with all files of the same call.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::admin::{self, NewClient, NewCoach};
use crate::auth::{Scope, Secret};
use crate::db::schema::{client_groups, clients, coach_groups, coaches, groups, identifiers, organizations};
use crate::db::schema::{patient_coaches, patient_groups, patient_health_metrics, patients, tokens};
use crate::db::{Conn, chunks};
use crate::error::{Error, Fault, Result, Source};
use crate::id::Id;
use crate::jsonapi::document::{ClientId, Shape, parse, read_item};
use crate::jsonapi::{Item, Items, Node, Notes, Reference};
use crate::resource::{Create, Resource};
use crate::resources::coach::Coach;
use crate::resources::group::{self, Group};
use crate::resources::identifier::Identifier;
use crate::resources::organization::Organization;
use crate::resources::patient::Patient;
use crate::resources::patient_health_metric::Metric;
use crate::time::Instant;

/// What a fixture says of a row that a client of the API cannot say.
#[derive(Clone, Copy, Debug)]
pub struct Seeded {
    /// The id.
    pub id: Id,
    /// When the row was made: what the fixture says, else what the id says.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

impl Seeded {
    /// A row that is made now.
    pub fn now(scope: &Scope) -> Self {
        Self { id: Id::new(scope.now), created_at: scope.now, updated_at: scope.now }
    }

    fn read(item: &Item<'_, '_>) -> Option<Self> {
        let text: String = item.resource.required("id");
        let Some(id) = Id::parse(&text) else {
            if !item.resource.is_faulty("id") {
                item.resource.fault("id", format!("{text:?} is not an id: 24 lower-case hex digits"));
            }
            return None;
        };
        let created_at = item.attributes.optional("created_at").or(id.made_at()).unwrap_or_default();
        let updated_at = item.attributes.optional("updated_at").unwrap_or(created_at);
        Some(Self { id, created_at, updated_at })
    }
}

/// A type that fixtures may hold besides what the API offers to create.
pub trait Seed: Create {
    /// Reads a resource of a fixture.
    fn read_seed(item: &Item<'_, '_>, row: Seeded) -> Self::New;
}

/// What was done with a fixture.
#[derive(Debug)]
pub struct Report {
    /// The organization.
    pub organization: String,
    /// For each type: its name, how many were stored, how many were there
    /// already and were left as they are.
    pub counts: Vec<(&'static str, usize, usize)>,
}

/// The types of a fixture, in the order in which they are stored.
const TYPES: [&str; 6] = ["organization", "group", "coach", "client", "patient", "patient_health_metric"];

/// The resources of a fixture, read.
#[derive(Default)]
struct Fixture {
    organizations: Vec<(String, Seeded, String)>,
    groups: Rows<Group>,
    coaches: Vec<(String, Seeded, SeededCoach)>,
    clients: Vec<(String, SeededClient)>,
    patients: Rows<Patient>,
    metrics: Rows<Metric>,
}

type Rows<R> = Vec<(String, Seeded, <R as Create>::New)>;

struct SeededCoach {
    first_name: Option<String>,
    last_name: Option<String>,
    identifiers: Vec<Identifier>,
    groups: Vec<Reference>,
}

struct SeededClient {
    id: String,
    name: String,
    secret: String,
    groups: Option<Vec<Reference>>,
}

/// Stores a fixture. Resources that are there already stay as they are, unless
/// the organization is to be `reset`: then everything it has is removed first.
///
/// # Errors
/// With everything that is wrong with the fixture; the places are named as
/// `file#pointer`.
pub fn load(db: &mut Conn, file: &str, text: &str, reset: bool, now: Instant) -> Result<Report> {
    let notes = Notes::default();
    let fixture = Fixture::read(text, &notes);
    let outcome = notes.check().and_then(|()| fixture.store(db, reset, now, &notes));
    outcome.map_err(|error| match error {
        Error::Rejected(faults) => Error::Rejected(faults.into_iter().map(|fault| in_file(file, fault)).collect()),
        error => error,
    })
}

fn in_file(file: &str, fault: Fault) -> Fault {
    let place = match &fault.source {
        Some(Source::Pointer(place) | Source::Parameter(place)) => format!("{file}#{place}"),
        None => file.to_owned(),
    };
    fault.at(Source::Pointer(place))
}

impl Fixture {
    fn read(text: &str, notes: &Notes) -> Self {
        let mut fixture = Self::default();
        let Some(raw) = parse(text.as_bytes(), notes) else { return fixture };
        let cell = std::cell::RefCell::new(&mut fixture);
        Node::root(raw, notes).object(|document| {
            document.skip(&["jsonapi", "links", "meta"]);
            document.required_with("data", |data| {
                data.list(|node| {
                    cell.borrow_mut().read_resource(node);
                    Some(())
                })
            });
        });
        match fixture.organizations.as_slice() {
            [_] => {}
            several if !notes.has_faults() => {
                let detail = format!(
                    "holds {} organizations; a fixture is one organization with all that is in it",
                    several.len()
                );
                notes.faults.add(Fault::body("/data", detail));
            }
            _ => {}
        }
        fixture
    }

    fn read_resource(&mut self, node: &Node<'_, '_>) {
        let kind = node.object(|resource| resource.peek("type")).flatten().unwrap_or_default();
        match kind.as_str() {
            "organization" => {
                let read = |item: &Item<'_, '_>| item.attributes.filled("name").unwrap_or_default();
                self.organizations.extend(read_seeded(node, Organization::TYPE, |item, _| read(item)));
            }
            "group" => self.groups.extend(read_seeded(node, Group::TYPE, Group::read_seed)),
            "coach" => self.coaches.extend(read_seeded(node, Coach::TYPE, |item, _| SeededCoach::read(item))),
            "client" => self.clients.extend(SeededClient::read(node)),
            "patient" => self.patients.extend(read_seeded(node, Patient::TYPE, Patient::read_seed)),
            "patient_health_metric" => self.metrics.extend(read_seeded(node, Metric::TYPE, Metric::read_seed)),
            other => node.fault(format!("{other:?} is not a type of fixtures; those are {}", TYPES.join(", "))),
        }
    }

    fn store(mut self, db: &mut Conn, reset: bool, now: Instant, notes: &Notes) -> Result<Report> {
        let Some((_, organization, name)) = self.organizations.pop() else {
            return Err(Error::Internal("a fixture without organization".into()));
        };
        let scope = Scope { organization: organization.id, groups: None, client: "fixture".into(), now };
        db.serialize(scope.organization)?;
        if reset {
            remove(db, scope.organization)?;
        }
        let mut counts = Vec::new();

        let there = organizations::table.find(scope.organization).count().get_result::<i64>(db)? > 0;
        if !there {
            admin::add_organization(db, organization, name.clone())?;
        }
        counts.push((TYPES[0], usize::from(!there), usize::from(there)));

        let known = existing(db, &self.groups, |db, ids| {
            groups::table.filter(groups::id.eq_any(ids)).select((groups::id, groups::organization_id)).load(db)
        })?;
        counts.push((TYPES[1], create::<Group>(db, &scope, &mut self.groups, &known, notes)?, known.len()));

        let known = existing(db, &self.coaches, |db, ids| {
            coaches::table.filter(coaches::id.eq_any(ids)).select((coaches::id, coaches::organization_id)).load(db)
        })?;
        drop_known(&mut self.coaches, &known, &scope, notes);
        counts.push((TYPES[2], self.coaches.len(), known.len()));
        for (pointer, row, coach) in &self.coaches {
            let groups = group::check(db, &scope, &coach.groups, &notes.faults)?;
            let new = NewCoach {
                first_name: coach.first_name.clone(),
                last_name: coach.last_name.clone(),
                groups,
                identifiers: coach.identifiers.clone(),
            };
            admin::add_coach(db, &scope, *row, &new, &format!("{pointer}/attributes/identifiers"), notes)?;
        }

        let (mut added, mut there) = (0, 0);
        for (pointer, client) in &self.clients {
            let found: Option<Id> = clients::table
                .filter(clients::id.eq(&client.id))
                .select(clients::organization_id)
                .first(db)
                .optional()?;
            if let Some(owner) = found {
                there += 1;
                check_owner(owner, &scope, pointer, notes);
                continue;
            }
            let groups =
                client.groups.as_deref().map(|named| group::check(db, &scope, named, &notes.faults)).transpose()?;
            let secret = Secret::of(&client.secret);
            admin::add_client(
                db,
                &scope,
                &NewClient { id: &client.id, name: &client.name, secret, groups: groups.as_deref() },
            )?;
            added += 1;
        }
        counts.push((TYPES[3], added, there));

        let known = existing(db, &self.patients, |db, ids| {
            patients::table.filter(patients::id.eq_any(ids)).select((patients::id, patients::organization_id)).load(db)
        })?;
        counts.push((TYPES[4], create::<Patient>(db, &scope, &mut self.patients, &known, notes)?, known.len()));

        let known = existing(db, &self.metrics, |db, ids| {
            patient_health_metrics::table
                .filter(patient_health_metrics::id.eq_any(ids))
                .select((patient_health_metrics::id, patient_health_metrics::organization_id))
                .load(db)
        })?;
        counts.push((TYPES[5], create::<Metric>(db, &scope, &mut self.metrics, &known, notes)?, known.len()));
        notes.check()?;
        Ok(Report { organization: name, counts })
    }
}

fn read_seeded<T>(
    node: &Node<'_, '_>,
    kind: &'static str,
    read: impl Fn(&Item<'_, '_>, Seeded) -> T,
) -> Option<(String, Seeded, T)> {
    let shape = Shape { kind, id: ClientId::Kept, many: true };
    let (row, value) = read_item(node, shape, |item| Seeded::read(item).map(|row| (row, read(item, row)))).flatten()?;
    Some((node.pointer(), row, value))
}

impl SeededCoach {
    fn read(item: &Item<'_, '_>) -> Self {
        Self {
            first_name: item.attributes.optional("first_name"),
            last_name: item.attributes.optional("last_name"),
            identifiers: item.attributes.optional("identifiers").unwrap_or_default(),
            groups: item.relationships.to_many("groups", Group::TYPE, |group| group.reference()).unwrap_or_default(),
        }
    }
}

impl SeededClient {
    fn read(node: &Node<'_, '_>) -> Option<(String, Self)> {
        let shape = Shape { kind: TYPES[3], id: ClientId::Kept, many: true };
        let client = read_item(node, shape, |item| {
            let attributes = item.attributes;
            let scope =
                attributes.required_with("scope", |node| node.one_of(&["organization", "group"])).unwrap_or_default();
            let groups = item.relationships.to_many("groups", Group::TYPE, |group| group.reference());
            if scope == "group" && groups.as_ref().is_none_or(Vec::is_empty) && !item.relationships.is_faulty("groups")
            {
                item.relationships.fault("groups", "is required of a client with the scope \"group\"");
            }
            Self {
                id: item.resource.filled("id").unwrap_or_default(),
                name: attributes.required("name"),
                secret: attributes.filled("client_secret").unwrap_or_default(),
                groups: groups.filter(|_| scope == "group"),
            }
        })?;
        Some((node.pointer(), client))
    }
}

/// Creates the resources that are not there yet, by the way of the API.
fn create<R: Create<Options: Default>>(
    db: &mut Conn,
    scope: &Scope,
    rows: &mut Rows<R>,
    known: &HashMap<Id, Id>,
    notes: &Notes,
) -> Result<usize> {
    drop_known(rows, known, scope, notes);
    let items = rows.drain(..).map(|(pointer, _, new)| (pointer, new)).collect();
    let items = Items { items, many: true };
    R::create(db, scope, &items, &R::Options::default(), notes).map(|written| written.len())
}

/// Those of these that are stored already, with their organizations.
fn existing<T>(
    db: &mut Conn,
    rows: &[(String, Seeded, T)],
    find: impl Fn(&mut Conn, Vec<Id>) -> QueryResult<Vec<(Id, Id)>>,
) -> Result<HashMap<Id, Id>> {
    let mut found = HashMap::new();
    for chunk in chunks(rows.iter().map(|(_, row, _)| row.id)) {
        found.extend(find(db, chunk)?);
    }
    Ok(found)
}

fn drop_known<T>(rows: &mut Vec<(String, Seeded, T)>, known: &HashMap<Id, Id>, scope: &Scope, notes: &Notes) {
    rows.retain(|(pointer, row, _)| match known.get(&row.id) {
        Some(owner) => {
            check_owner(*owner, scope, pointer, notes);
            false
        }
        None => true,
    });
}

fn check_owner(owner: Id, scope: &Scope, pointer: &str, notes: &Notes) {
    if owner != scope.organization {
        notes.faults.add(Fault::body(format!("{pointer}/id"), "is the id of something in another organization"));
    }
}

/// Removes an organization with everything in it.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &mut Conn, organization: Id) -> Result<()> {
    let of_patients = || patients::table.filter(patients::organization_id.eq(organization)).select(patients::id);
    let of_clients = || clients::table.filter(clients::organization_id.eq(organization)).select(clients::id);
    let of_coaches = || coaches::table.filter(coaches::organization_id.eq(organization)).select(coaches::id);
    let metrics = patient_health_metrics::table;
    diesel::delete(metrics.filter(patient_health_metrics::organization_id.eq(organization))).execute(db)?;
    diesel::delete(identifiers::table.filter(identifiers::organization_id.eq(organization))).execute(db)?;
    diesel::delete(patient_groups::table.filter(patient_groups::patient_id.eq_any(of_patients()))).execute(db)?;
    diesel::delete(patient_coaches::table.filter(patient_coaches::patient_id.eq_any(of_patients()))).execute(db)?;
    diesel::delete(patients::table.filter(patients::organization_id.eq(organization))).execute(db)?;
    diesel::delete(tokens::table.filter(tokens::client_id.eq_any(of_clients()))).execute(db)?;
    diesel::delete(client_groups::table.filter(client_groups::client_id.eq_any(of_clients()))).execute(db)?;
    diesel::delete(clients::table.filter(clients::organization_id.eq(organization))).execute(db)?;
    diesel::delete(coach_groups::table.filter(coach_groups::coach_id.eq_any(of_coaches()))).execute(db)?;
    diesel::delete(coaches::table.filter(coaches::organization_id.eq(organization))).execute(db)?;
    diesel::delete(groups::table.filter(groups::organization_id.eq(organization))).execute(db)?;
    diesel::delete(organizations::table.find(organization)).execute(db)?;
    Ok(())
}
