//! `health_question_definition`: a question that patients are asked, and whom it
//! is for. Read-only over the API.
//!
//! The people who write them number them, each organization its own: the id is
//! unique in an organization only, and the key of the table is both. This file
//! is what a definition looks like and where it comes from, `audience.rs` whom
//! it is for.

mod audience;

use diesel::prelude::*;
use serde::Serialize;

pub use self::audience::Audience;
use self::audience::Requirement;
use super::{health_profile, health_profile_question as question};
use crate::auth::Scope;
use crate::db::schema::health_question_definitions as definitions;
use crate::db::{Backend, Conn, Json, KeyValue, Page, Paging, Sort, SortKey, Window, insert_all, load_page, rows_of};
use crate::error::{Error, Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::{Filters, Item, Items, Node, Notes, Read};
use crate::resource::{Fetch, List, Resource, by_instant, by_text};
use crate::seed::Seed;
use crate::time::Instant;

/// The categories, in the order in which a profile counts them.
pub const CATEGORIES: [&str; 3] = ["lifestyle_behaviors", "mental_wellbeing", "preventative_care"];

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = definitions, treat_none_as_default_value = false)]
pub struct Definition {
    /// The organization it belongs to.
    #[serde(skip)]
    pub organization_id: Id,
    /// Its number.
    #[serde(skip)]
    pub id: Id,
    /// One of [`CATEGORIES`].
    pub category: String,
    /// A [`Format`].
    pub format: Json,
    /// `Requirement`s, all of which a patient must meet to be asked.
    pub requirements: Json,
    /// The question.
    pub text: String,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
}

/// How a question is answered.
#[derive(Clone, Debug, Serialize)]
pub struct Format {
    data: Vec<Choice>,
    #[serde(rename = "type")]
    kind: String,
}

impl Read for Format {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|format| {
            Some(Self { data: format.optional("data").unwrap_or_default(), kind: format.filled("type")? })
        })
        .flatten()
    }
}

/// An answer to choose.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    label: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
}

impl Read for Choice {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|choice| {
            let (label, value) = (choice.filled("label"), choice.filled("value"));
            Some(Self { icon: choice.optional("icon"), label: label?, value: value? })
        })
        .flatten()
    }
}

impl Resource for Definition {
    const TYPE: &'static str = "health_question_definition";

    fn id(&self) -> Id {
        self.id
    }
}

fn visible<'q>(scope: &Scope) -> definitions::BoxedQuery<'q, Backend> {
    rows_of(definitions::table).filter(definitions::organization_id.eq(scope.organization)).into_boxed()
}

impl Fetch for Definition {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(definitions::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl List for Definition {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "health_question_definitions.created_at", |row| row.created_at),
        by_instant("updated_at", "health_question_definitions.updated_at", |row| row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = ();

    fn filter(_: &Filters<'_>) {}

    fn list(db: &mut Conn, scope: &Scope, (): &(), window: &Window<Self>, faults: &Faults) -> Result<Page<Self>> {
        faults.check()?;
        load_page::<Self, _, _>(db, &by_number(window), "health_question_definitions", || visible(scope))
    }
}

/// The ids as numbers: as texts, 10 would come before 2.
static NUMBER: Sort<Definition> = by_text(
    "number",
    "substr('000000000' || health_question_definitions.id, length(health_question_definitions.id) + 1)",
    |row| row.id.padded(),
);

/// The same window with the number as its last key. Cursors need not hold it,
/// since they hold the id.
fn by_number(window: &Window<Definition>) -> Window<Definition> {
    let mut order: Vec<_> =
        window.order.iter().map(|SortKey { sort, descending }| SortKey { sort, descending: *descending }).collect();
    let descending = order.last().is_some_and(|key| key.descending);
    order.push(SortKey { sort: &NUMBER, descending });
    let mut paging = window.paging.clone();
    if let Paging::Cursor { after: Some((values, id)), .. } = &mut paging {
        values.push(KeyValue::Text(id.padded().to_owned()));
    }
    Window { order, paging }
}

/// All definitions of the organization, by their numbers.
///
/// # Errors
/// When the database fails.
pub fn all(db: &mut Conn, scope: &Scope) -> Result<Vec<Definition>> {
    let mut all: Vec<Definition> = visible(scope).load(db)?;
    all.sort_by_key(|definition| definition.id);
    Ok(all)
}

/// Who is asked which question today.
///
/// # Errors
/// When the database fails.
pub fn audiences(db: &mut Conn, scope: &Scope) -> Result<Vec<Audience>> {
    let audience = |definition: Definition| {
        let requirements: Vec<Requirement> = definition.requirements.value().map_err(|error| {
            Error::Internal(format!("the requirements of health question definition {}: {error}", definition.id))
        })?;
        Ok(Audience::of(definition.id, &requirements, scope.now.date()))
    };
    let audiences = all(db, scope)?.into_iter().map(audience).collect::<Result<Vec<_>>>()?;
    Ok(audiences.into_iter().flatten().collect())
}

/// A definition to be, as a fixture describes it.
#[derive(Debug)]
pub struct NewDefinition {
    id: Id,
    category: String,
    format: Option<Format>,
    requirements: Vec<Requirement>,
    text: String,
    created_at: Option<Instant>,
    updated_at: Option<Instant>,
}

impl Seed for Definition {
    const NAME: &'static str = Self::TYPE;
    const NUMBERED: bool = true;

    type New = NewDefinition;

    fn read_seed(item: &Item<'_, '_>) -> NewDefinition {
        let attributes = item.attributes;
        let text: String = item.resource.optional("id").unwrap_or_default();
        let id = Id::parse(&text).filter(|_| Id::parse_made(&text).is_none());
        if id.is_none() && !item.resource.is_faulty("id") {
            item.resource.fault("id", format!("{text:?} is not the number of a definition, written as text"));
        }
        NewDefinition {
            id: id.unwrap_or_default(),
            category: attributes.required_with("category", |node| node.one_of(&CATEGORIES)).unwrap_or_default(),
            format: attributes.required_with("format", Format::read),
            requirements: attributes.optional("requirements").unwrap_or_default(),
            text: attributes.required("text"),
            created_at: attributes.optional("created_at"),
            updated_at: attributes.optional("updated_at"),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        let known = definitions::table.filter(definitions::id.eq_any(ids));
        known.select((definitions::id, definitions::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewDefinition>, notes: &Notes) -> Result<()> {
        notes.check()?;
        let row = |new: &NewDefinition| {
            let created_at = new.created_at.unwrap_or(scope.now);
            Self {
                organization_id: scope.organization,
                id: new.id,
                category: new.category.clone(),
                format: Json::of(&new.format),
                requirements: Json::of(&new.requirements),
                text: new.text.clone(),
                created_at,
                updated_at: new.updated_at.unwrap_or(created_at),
            }
        };
        let rows: Vec<_> = new.items.iter().map(|(_, new)| row(new)).collect();
        insert_all::<_, Definition>(db, definitions::table, &rows)?;
        let patients: Vec<_> = health_profile::all(db, scope)?.into_iter().map(|(_, patient)| patient).collect();
        question::add(db, scope, &patients, &rows)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(definitions::table.filter(definitions::organization_id.eq(organization))).execute(db).map(drop)
    }
}
