//! Fixtures: organizations with everything in them, as JSON:API documents.
//!
//! A fixture goes through the same readers and the same rules as the API; on
//! top it says what the API gives itself (ids) or keeps read-only. One file is
//! one transaction together with all files of the same call.

mod as_of;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::QueryResult;

use self::as_of::{Written, shift_of, weeks_of};
use crate::admin::Client;
use crate::audit::{self, Action as Audited, Records};
use crate::auth::Scope;
use crate::db::{Conn, chunks};
use crate::error::{Error, Fault, Result, Source};
use crate::id::Id;
use crate::jsonapi::document::{ClientId, Shape, parse, read_item};
use crate::jsonapi::{Item, Items, Node, Notes, Pointer, Tree, Value};
use crate::resource::{Fetch, Resource as _};
use crate::resources::action::Action;
use crate::resources::bundle::Bundle;
use crate::resources::calendar_event::Event;
use crate::resources::coach::Coach;
use crate::resources::email_history::Email;
use crate::resources::group::Group;
use crate::resources::health_profile::HealthProfile;
use crate::resources::health_profile_answer::Answer;
use crate::resources::health_profile_question::Question;
use crate::resources::health_question_definition::Definition;
use crate::resources::organization::Organization;
use crate::resources::patient::Patient;
use crate::resources::patient_health_metric::Metric;
use crate::resources::patient_plan_summary::Plan;
use crate::resources::result::HealthResult;
use crate::resources::reward::Reward;
use crate::resources::reward_earning::Earning;
use crate::resources::reward_earning_fulfillment::Fulfillment;
use crate::resources::reward_program::Program;
use crate::resources::reward_program_activation::Activation;
use crate::time::Instant;

/// A type of fixtures.
pub trait Seed {
    /// Its name.
    const NAME: &'static str;

    /// Whether each organization numbers its own, so that ids are unique in an
    /// organization only.
    const NUMBERED: bool = false;

    /// A resource to be, as a fixture describes it.
    type New: 'static;

    /// Reads a resource.
    fn read_seed(item: &Item<'_, '_>) -> Self::New;

    /// Those of these ids that are stored, with their organizations.
    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>>;

    /// Stores resources, or notes what stands against it.
    fn store(db: &mut Conn, scope: &Scope, new: &Items<Self::New>, notes: &Notes) -> Result<()>;

    /// Removes all that an organization has of this type.
    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()>;
}

/// The types of fixtures, in the order in which they are stored: each after
/// those that it refers to.
const TYPES: [Type; 21] = [
    Type::of::<Organization>(),
    Type::of::<Group>(),
    Type::of::<Coach>(),
    Type::of::<Client>(),
    Type::of::<Patient>(),
    Type::of::<Program>(),
    Type::of::<Activation>(),
    Type::of::<Reward>(),
    Type::of::<Earning>(),
    Type::of::<Fulfillment>(),
    Type::of::<Metric>(),
    Type::of::<Event>(),
    Type::of::<Definition>(),
    Type::of::<HealthProfile>(),
    Type::of::<Question>(),
    Type::of::<Answer>(),
    Type::of::<Email>(),
    Type::of::<Plan>(),
    Type::of::<Action>(),
    Type::of::<Bundle>(),
    Type::of::<HealthResult>(),
];

/// A resource's place in `data`, and its text.
type Unread<'a> = (usize, Value<'a>);

/// One type of fixtures.
struct Type {
    name: &'static str,
    /// Reads resources, at these places in `data`, and returns how to store
    /// them.
    read: fn(&[Unread<'_>], &Notes) -> Store,
    remove: fn(&mut Conn, Id) -> QueryResult<()>,
}

/// Stores what was read. The numbers are those of [`Report::counts`].
type Store = Box<dyn FnOnce(&mut Conn, &Scope, &Notes) -> Result<(usize, usize)>>;

impl Type {
    const fn of<T: Seed>() -> Self {
        Self { name: T::NAME, read: read::<T>, remove: T::remove }
    }
}

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

    /// Reads it from a resource.
    pub fn read(item: &Item<'_, '_>) -> Self {
        let text: String = item.resource.optional("id").unwrap_or_default();
        let id = Id::parse_made(&text);
        if id.is_none() && !item.resource.is_faulty("id") {
            item.resource.fault("id", format!("{text:?} is not an id: 24 lower-case hex digits"));
        }
        let by_id = || item.resource.moved("id", id?.made_at()?);
        let created_at = item.attributes.optional("created_at").or_else(by_id).unwrap_or_default();
        let updated_at = item.attributes.optional("updated_at").unwrap_or(created_at);
        Self { id: id.unwrap_or_default(), created_at, updated_at }
    }
}

/// How fixtures are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    /// Whether to remove first what their organizations have.
    pub reset: bool,
    /// The day that they are told as of; `None` for as they are written.
    pub as_of: Option<NaiveDate>,
    /// The present moment.
    pub now: Instant,
}

/// What was done with a fixture.
#[derive(Debug)]
pub struct Report {
    /// The name of the organization.
    pub organization: String,
    /// Places of the fixture that have no effect.
    pub ignored: Vec<String>,
    /// For each type: its name, how many were stored, how many were there
    /// already and were left as they are.
    pub counts: Vec<(&'static str, usize, usize)>,
}

/// Stores a fixture. Resources that are there already stay as they are, unless
/// the organization is to be reset: then everything it has is removed first.
///
/// # Errors
/// With everything that is wrong with the fixture; the places are named as
/// `file#pointer`.
pub fn load(db: &mut Conn, file: &str, text: &str, loading: Loading) -> Result<Report> {
    let notes = Notes::default();
    store(db, text, loading, &notes).map_err(|error| match error {
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

fn store(db: &mut Conn, text: &str, loading: Loading, notes: &Notes) -> Result<Report> {
    let tree = parse(text.as_bytes(), notes);
    let Fixture { organization, written, resources } = by_type(tree.as_ref(), notes);
    if let (Some(as_of), Some((organization, resource))) = (loading.as_of, organization) {
        let already = if loading.reset { None } else { weeks_of(db, organization, resource)? };
        notes.shift.set(written.shift(as_of, already, notes));
    }
    let steps: Vec<_> =
        TYPES.iter().zip(&resources).map(|(kind, unread)| (kind.name, (kind.read)(unread, notes))).collect();
    notes.check()?;
    let Some((organization, _)) = organization else {
        return Err(Fault::body(
            "/data",
            "holds no organization; a fixture is one organization with all that is in it",
        )
        .into());
    };
    let scope = Scope { organization, groups: None, client: "fixture".into(), now: loading.now, req_id: None };
    db.serialize(organization)?;
    let itself = Records::of(Organization::TYPE, [organization]);
    if loading.reset {
        remove(db, organization)?;
        audit::enter(db, &scope, Audited::Reset, &itself)?;
    }
    let mut counts = Vec::with_capacity(steps.len());
    for (name, store) in steps {
        let (stored, there) = store(db, &scope, notes)?;
        counts.push((name, stored, there));
    }
    notes.check()?;
    if counts.iter().any(|(_, stored, _)| *stored > 0) {
        audit::enter(db, &scope, Audited::Seed, &itself)?;
    }
    Ok(Report { organization: Organization::fetch(db, &scope, organization)?.name, ignored: notes.ignored(), counts })
}

/// A fixture, its resources unread.
struct Fixture<'a> {
    /// Its only organization.
    organization: Option<(Id, Value<'a>)>,
    written: Written,
    /// For each of [`TYPES`].
    resources: Vec<Vec<Unread<'a>>>,
}

fn by_type<'a>(tree: Option<&'a Tree<'a>>, notes: &Notes) -> Fixture<'a> {
    let mut resources: Vec<Vec<Unread<'_>>> = TYPES.iter().map(|_| Vec::new()).collect();
    let (mut data, mut written) = (Vec::new(), Written::default());
    if let Some(tree) = tree {
        Node::root(tree, notes).object(|document| {
            document.skip(&["jsonapi", "links"]);
            written = Written::read(document);
            data = document.required_with("data", |node| node.list(|item| Some(item.value))).unwrap_or_default();
        });
    }
    let mut organization = None;
    let mut seen = HashSet::new();
    for (index, value) in data.into_iter().enumerate() {
        let pointer = Pointer::Index(&DATA, index);
        let node = Node::at(value, pointer, notes);
        let Some((kind, id)) = node.object(|resource| {
            let (kind, id) = (resource.peek("type").unwrap_or_default(), resource.peek("id"));
            if id.as_ref().is_some_and(|id| !seen.insert((kind.clone(), id.clone()))) {
                resource.fault("id", "is that of another resource of this type in the fixture");
            }
            (kind, id)
        }) else {
            continue;
        };
        let Some((_, resources)) = TYPES.iter().zip(&mut resources).find(|(known, _)| known.name == kind) else {
            let known = TYPES.map(|known| known.name).join(", ");
            node.fault(format!("{kind:?} is not a type of fixtures; those are {known}"));
            continue;
        };
        resources.push((index, value));
        if kind == Organization::NAME {
            if organization.is_some() {
                node.fault("is a second organization; a fixture is one organization with all that is in it");
            }
            organization = id.as_deref().and_then(Id::parse_made).map(|id| (id, value));
        }
    }
    Fixture { organization, written, resources }
}

const DATA: Pointer<'static> = Pointer::Member(&Pointer::Root, "data");

fn read<T: Seed>(resources: &[Unread<'_>], notes: &Notes) -> Store {
    let mut rows: Vec<(String, String, T::New)> = Vec::with_capacity(resources.len());
    for (index, value) in resources {
        let node = Node::at(*value, Pointer::Index(&DATA, *index), notes);
        let everywhere = notes.shift.get();
        notes.shift.set(shift_of(value.text(), everywhere));
        let shape = Shape { kind: T::NAME, id: ClientId::Kept, many: true };
        let read = read_item(&node, shape, |item| (item.resource.filled("id").unwrap_or_default(), T::read_seed(item)));
        rows.extend(read.map(|(id, new)| (node.pointer(), id, new)));
        notes.shift.set(everywhere);
    }
    Box::new(move |db, scope, notes| {
        let mut owners: HashMap<String, HashSet<Id>> = HashMap::new();
        for chunk in chunks(rows.iter().map(|(_, id, _)| id.clone())) {
            for (id, owner) in T::stored(db, chunk)? {
                owners.entry(id).or_default().insert(owner);
            }
        }
        let (mut items, mut there) = (Vec::with_capacity(rows.len()), 0);
        for (pointer, id, new) in rows {
            match owners.get(&id) {
                Some(owners) if owners.contains(&scope.organization) => there += 1,
                Some(_) if !T::NUMBERED => notes
                    .faults
                    .add(Fault::body(format!("{pointer}/id"), "is the id of something in another organization")),
                _ => items.push((pointer, new)),
            }
        }
        let stored = items.len();
        T::store(db, scope, &Items { items, many: true }, notes)?;
        Ok((stored, there))
    })
}

/// Removes an organization with everything in it.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &mut Conn, organization: Id) -> Result<()> {
    for kind in TYPES.iter().rev() {
        (kind.remove)(db, organization)?;
    }
    Ok(())
}
