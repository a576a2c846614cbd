//! `calendar_event`: something that takes place for a patient at a certain
//! time, such as a call or a check-in.
//!
//! This file is what an event looks like and how events are found; `write` is how
//! they come to be and change, [`attendee`] who takes part. An event belongs to
//! its owner, a patient: who sees the one sees the other.

pub mod attendee;
mod write;

use std::collections::{BTreeMap, HashSet};

use diesel::prelude::*;
use serde::Serialize;

use self::attendee::{Attendee, People};
use super::lookup;
use super::patient::{self, Patient, in_groups, of_groups};
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::{calendar_event_attendees as attendees, calendar_events as events};
use crate::db::{Backend, Conn, Json, Page, Sort, Window, Within, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Included, Instants, PagingRules, Reference, View};
use crate::loaded::Loaded;
use crate::resource::{Delete, Fetch, HasOne, List, Resource, by_instant};
use crate::time::Instant;

/// The types of events.
const KINDS: [&str; 5] = [CHECK_IN, "reminder", "telephone-call", "office-visit", "video-call"];

/// The type that takes a day, never a time.
const CHECK_IN: &str = "plan-check-in";

/// A row, and its attributes but for the attendees.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = events, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Row {
    #[serde(skip)]
    id: Id,
    #[serde(skip)]
    organization_id: Id,
    /// The patient.
    #[serde(skip)]
    owner_id: Id,
    /// One of [`KINDS`].
    #[serde(rename = "type")]
    kind: String,
    /// The IANA name of the zone whose days count.
    time_zone: String,
    all_day: bool,
    start_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<Instant>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Instant>,
    /// The coach who saw to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_by: Option<Id>,
    created_at: Instant,
    updated_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

/// An event: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    #[serde(flatten)]
    row: Row,
    attendees: Vec<Attendee>,
}

impl From<Row> for Event {
    fn from(row: Row) -> Self {
        Self { row, attendees: Vec::new() }
    }
}

impl Resource for Event {
    const TYPE: &'static str = "calendar_event";
    const INCLUDES: &'static [&'static str] = &["owner"];

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, events: &[Self]) -> Result<Vec<Relationships>> {
        let of = |event: &Self| vec![Relationship::one("owner", Patient::TYPE, event.row.owner_id)];
        Ok(events.iter().map(of).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, events: &[Self], _: &str, included: &mut Included) -> Result<()> {
        let owners = patient::load(db, scope, events.iter().map(|event| event.row.owner_id))?;
        included.add_all(db, scope, &owners)
    }
}

fn visible<'q>(scope: &Scope) -> events::BoxedQuery<'q, Backend> {
    let mine = rows_of(events::table).filter(events::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(events::owner_id, ids)),
    }
}

/// Those of these events that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(db: &mut Conn, scope: &Scope, named: impl IntoIterator<Item = &'n Reference>) -> Result<HashSet<Id>> {
    lookup::collect(named.into_iter().filter_map(|reference| reference.id), |ids| {
        visible(scope).filter(events::id.eq_any(ids)).select(events::id).load(db)
    })
}

/// How those of these events are shown that are within the scope.
///
/// # Errors
/// When the database fails.
pub fn shown(db: &mut Conn, scope: &Scope, ids: impl IntoIterator<Item = Id>) -> Result<BTreeMap<Id, Json>> {
    let mut events: Vec<Event> = lookup::collect(ids, |ids| {
        let rows: Vec<Row> = visible(scope).filter(events::id.eq_any(ids)).load(db)?;
        Ok(rows.into_iter().map(Event::from).collect())
    })?;
    load_attendees(db, &mut events)?;
    Loaded::load(db, scope, events, View::default())?.each()
}

// Quirk: nobody is left out, not even who is outside the caller's groups: a client sends the list back to change it,
// and who is missing there is uninvited.
fn load_attendees(db: &mut Conn, events: &mut [Event]) -> Result<()> {
    let mut found = attendee::load(db, events.iter().map(Event::id))?;
    for event in events {
        event.attendees = found.remove(&event.id()).unwrap_or_default();
    }
    Ok(())
}

impl Fetch for Event {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row: Option<Row> = visible(scope).filter(events::id.eq(id)).first(db).optional()?;
        let mut event = Self::from(row.ok_or_else(Fault::not_found)?);
        load_attendees(db, std::slice::from_mut(&mut event))?;
        Ok(event)
    }
}

impl HasOne<Patient> for Event {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let event = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, event.row.owner_id)
    }
}

/// What a list of events is filtered by.
#[derive(Debug)]
pub struct EventFilter {
    reach: Reach,
    attendees: Option<Vec<Reference>>,
    kind: Option<String>,
    completed: Option<bool>,
    /// With the columns that they are about.
    ranges: Vec<(&'static str, Instants)>,
}

impl List for Event {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "calendar_events.created_at", |event| event.row.created_at),
        by_instant("updated_at", "calendar_events.updated_at", |event| event.row.updated_at),
        by_instant("start_at", "calendar_events.start_at", |event| event.row.start_at),
        // One without an end stands where it begins.
        by_instant("end_at", "coalesce(calendar_events.end_at, calendar_events.start_at)", |event| {
            event.row.end_at.unwrap_or(event.row.start_at)
        }),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = EventFilter;

    fn filter(filters: &Filters<'_>) -> EventFilter {
        let range = |name, column| filters.instants(name).map(|range| (column, range));
        let ranges = [
            range("filter[start_at]", "calendar_events.start_at"),
            range("filter[end_at]", "calendar_events.end_at"),
            range("filter[completed_at]", "calendar_events.completed_at"),
            range("filter[created_at]", "calendar_events.created_at"),
            range("filter[updated_at]", "calendar_events.updated_at"),
        ];
        let filter = EventFilter {
            reach: Reach::read(filters),
            attendees: filters.references("filter[attendees]"),
            kind: filters.one_of("filter[type]", &KINDS),
            completed: filters.flag("filter[completed]"),
            ranges: ranges.into_iter().flatten().collect(),
        };
        filters.require_one_of(&["filter[patient]", "filter[groups]", "filter[organization]", "filter[attendees]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &EventFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.reach.check(db, scope, faults)?;
        if let Some(named) = &filter.attendees {
            let people = People::look_up(db, scope, named.iter())?;
            let outside = |named: &&Reference| named.id.is_none_or(|id| !people.has(id));
            faults.extend(named.iter().filter(outside).map(attendee::unknown));
        }
        faults.check()?;
        let users =
            filter.attendees.as_ref().map(|named| named.iter().filter_map(|named| named.id).collect::<Vec<_>>());
        let mut page = load_page::<Row, _, _>(db, window, "calendar_events", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(events::owner_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(events::owner_id.eq_any(of_groups(groups.clone())));
            }
            if let Some(users) = &users {
                let coaches = attendees::table.filter(attendees::coach_id.eq_any(users.clone()));
                let patients = attendees::table.filter(attendees::patient_id.eq_any(users.clone()));
                let with_coach = events::id.eq_any(coaches.select(attendees::event_id));
                query = query.filter(with_coach.or(events::id.eq_any(patients.select(attendees::event_id))));
            }
            if let Some(kind) = &filter.kind {
                query = query.filter(events::kind.eq(kind.clone()));
            }
            match filter.completed {
                None => {}
                Some(true) => query = query.filter(events::completed_at.is_not_null()),
                Some(false) => query = query.filter(events::completed_at.is_null()),
            }
            for (column, Instants { start, end }) in &filter.ranges {
                query = query.filter(Within { column, start: *start, end: *end });
            }
            query
        })?;
        load_attendees(db, &mut page.rows)?;
        Ok(page)
    }
}

impl Delete for Event {
    fn delete(db: &mut Conn, _: &Scope, event: Self) -> Result<()> {
        diesel::delete(attendees::table.filter(attendees::event_id.eq(event.row.id))).execute(db)?;
        diesel::delete(events::table.find(event.row.id)).execute(db)?;
        Ok(())
    }
}
