//! How events come to be and change: create, update.

use actix_web::http::StatusCode;
use chrono_tz::Tz;
use diesel::prelude::*;

use super::attendee::{self, Attendee, NewAttendee, People};
use super::{CHECK_IN, Event, KINDS, Row};
use crate::auth::Scope;
use crate::db::schema::{calendar_event_attendees as attendees, calendar_events as events};
use crate::db::{Conn, insert_all};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Item, Items, Node, Notes, Patch, Read, Reference};
use crate::resource::{Create, Resource, Update, Written};
use crate::resources::patient::{self, Patient};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// An event as a client describes it, new or changed.
#[derive(Debug)]
pub struct Changes {
    kind: Patch<String>,
    time_zone: Patch<String>,
    all_day: Patch<bool>,
    start_at: Patch<Instant>,
    end_at: Patch<Instant>,
    title: Patch<String>,
    location: Patch<String>,
    description: Patch<String>,
    completed_at: Patch<Instant>,
    completed_by: Patch<Reference>,
    attendees: Patch<Vec<NewAttendee>>,
    owner: Option<patient::Target>,
    /// What only fixtures say.
    restored: Option<Seeded>,
}

impl Changes {
    fn read(
        item: &Item<'_, '_>,
        read_attendee: fn(&Node<'_, '_>) -> Option<NewAttendee>,
        owner: Option<patient::Target>,
    ) -> Self {
        let attributes = item.attributes;
        Self {
            kind: attributes.patch_with("type", |node| node.one_of(&KINDS)),
            time_zone: attributes.patch_with("time_zone", |node| Tz::read(node).map(|zone| zone.name().to_owned())),
            all_day: attributes.patch("all_day"),
            start_at: attributes.patch("start_at"),
            end_at: attributes.patch("end_at"),
            title: attributes.patch_with("title", |node| node.filled()),
            location: attributes.patch("location"),
            description: attributes.patch("description"),
            completed_at: attributes.patch("completed_at"),
            completed_by: attributes.patch("completed_by"),
            attendees: attributes.patch_with("attendees", |node| node.list(read_attendee)),
            owner,
            restored: None,
        }
    }

    fn read_new(item: &Item<'_, '_>, read_attendee: fn(&Node<'_, '_>) -> Option<NewAttendee>) -> Self {
        for name in ["type", "start_at", "title", "attendees"] {
            if !item.attributes.has(name) {
                item.attributes.missing(name);
            }
        }
        let owner = item.relationships.required_one("owner", Patient::TYPE, patient::Target::read);
        Self::read(item, read_attendee, owner)
    }

    /// The people that are named, the owner aside.
    fn people(&self) -> impl Iterator<Item = &Reference> + Clone {
        let attendees = self.attendees.value().into_iter().flatten();
        attendees.map(|attendee| &attendee.user).chain(self.completed_by.value())
    }

    /// Applies this to an event whose attributes stand at `place` in the
    /// request, and notes what stands against it.
    fn apply(&self, event: &mut Event, place: &str, scope: &Scope, known: &Known, faults: &Faults) {
        let row = &mut event.row;
        if let Some(kind) = self.kind.value() {
            row.kind.clone_from(kind);
        }
        self.time_zone.apply_or(&mut row.time_zone, Tz::UTC.name().to_owned());
        self.all_day.apply_or(&mut row.all_day, false);
        if let Some(start_at) = self.start_at.value() {
            row.start_at = *start_at;
        }
        self.end_at.apply(&mut row.end_at);
        if let Some(title) = self.title.value() {
            row.title.clone_from(title);
        }
        self.location.apply(&mut row.location);
        self.description.apply(&mut row.description);
        self.completed_at.apply(&mut row.completed_at);
        match &self.completed_by {
            Patch::Absent => {}
            Patch::Null => row.completed_by = None,
            Patch::Value(named) if named.id.is_some() && named.id == row.completed_by => {}
            Patch::Value(named) => {
                row.completed_by = named.id.filter(|id| known.people.coaches.contains(id));
                if row.completed_by.is_none() {
                    let detail = "there is no coach of this id within the scope of the token";
                    faults.add(Fault::named(&named.source, detail));
                }
            }
        }
        if let Some(owner) = self.owner.as_ref().and_then(|owner| known.owners.resolve(scope, owner, faults)) {
            row.owner_id = owner;
        }
        check(row, place, faults);
        match &self.attendees {
            Patch::Absent => {}
            Patch::Null => event.attendees = Vec::new(),
            Patch::Value(list) => {
                event.attendees = attendee::invite(scope, row.id, list, &event.attendees, &known.people, faults);
            }
        }
    }
}

/// Notes where the attributes of an event do not go together. Those that have a
/// fault already are not held against others.
fn check(row: &Row, place: &str, faults: &Faults) {
    let sound = |names: &[&str]| !names.iter().any(|name| faults.any_within(&format!("{place}/{name}")));
    let fault = |name: &str, detail: String| faults.add(Fault::body(format!("{place}/{name}"), detail));
    let zone: Tz = row.time_zone.parse().unwrap_or(Tz::UTC);
    let check_in = row.kind == CHECK_IN;
    let end_at = row.end_at.filter(|_| !check_in);

    if check_in && row.end_at.is_some() {
        fault("end_at", format!("must be left out of a {CHECK_IN}"));
    }
    if sound(&["type", "all_day"]) {
        if check_in || row.all_day {
            // Quirk: midnight UTC will do in any time zone, since the vendor's own example starts there.
            for (name, at) in [("start_at", Some(row.start_at)), ("end_at", end_at)] {
                let begins_day = |at: Instant| at.begins_day_in(zone) || at.begins_day_in(Tz::UTC);
                if sound(&[name, "time_zone"]) && !at.is_none_or(begins_day) {
                    let detail =
                        format!("must be the beginning of a day, in {zone} or in UTC, as the event lasts all day");
                    fault(name, detail);
                }
            }
        } else if let Some(end_at) = end_at
            && sound(&["start_at", "end_at", "time_zone"])
            && end_at.date_in(zone) != row.start_at.date_in(zone)
        {
            fault("end_at", format!("must be on the day of start_at, in {zone}, unless all_day is true"));
        }
        if check_in && !row.all_day {
            fault("all_day", format!("must be true of a {CHECK_IN}"));
        }
    }
    if end_at.is_some_and(|end_at| end_at < row.start_at) && sound(&["start_at", "end_at"]) {
        fault("end_at", "must not be before start_at".into());
    }
    // Quirk: the schema has completion for plan-check-in only; the vendor's example completes a telephone call.
    if row.completed_at.is_some() != row.completed_by.is_some() && sound(&["completed_at", "completed_by"]) {
        let (missing, other) = match row.completed_at {
            Some(_) => ("completed_by", "completed_at"),
            None => ("completed_at", "completed_by"),
        };
        fault(missing, format!("is set and cleared together with {other}; send both, or null for both"));
    }
}

/// What is known of those whom a request names.
struct Known {
    owners: patient::Targets,
    people: People,
}

impl Known {
    fn look_up<'c>(db: &mut Conn, scope: &Scope, all: impl Iterator<Item = &'c Changes> + Clone) -> Result<Self> {
        let owners = patient::Targets::look_up(db, scope, all.clone().filter_map(|changes| changes.owner.as_ref()))?;
        Ok(Self { owners, people: People::look_up(db, scope, all.flat_map(Changes::people))? })
    }
}

impl Create for Event {
    const CREATED: StatusCode = StatusCode::CREATED;

    type New = Changes;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> Changes {
        Changes::read_new(item, NewAttendee::read)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<Changes>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let known = Known::look_up(db, scope, new.items.iter().map(|(_, changes)| changes))?;
        let create = |(pointer, changes): &(String, Changes)| {
            let mut event = Self::from(blank(scope, changes.restored));
            changes.apply(&mut event, &format!("{pointer}/attributes"), scope, &known, &notes.faults);
            event
        };
        let created: Vec<Self> = new.items.iter().map(create).collect();
        notes.check()?;
        let rows: Vec<_> = created.iter().map(|event| event.row.clone()).collect();
        insert_all::<_, Row>(db, events::table, &rows)?;
        let invited: Vec<_> = created.iter().flat_map(|event| event.attendees.clone()).collect();
        insert_all::<_, Attendee>(db, attendees::table, &invited)?;
        Ok(created.into_iter().map(Written::Created).collect())
    }
}

fn blank(scope: &Scope, restored: Option<Seeded>) -> Row {
    let Seeded { id, created_at, updated_at } = restored.unwrap_or_else(|| Seeded::now(scope));
    Row {
        id,
        organization_id: scope.organization,
        // Stands in for one that cannot be told, which is a fault.
        owner_id: id,
        kind: String::new(),
        time_zone: Tz::UTC.name().to_owned(),
        all_day: false,
        start_at: created_at,
        end_at: None,
        title: String::new(),
        location: None,
        description: None,
        completed_at: None,
        completed_by: None,
        created_at,
        updated_at,
        created_by: Some(scope.client.clone()),
        updated_by: Some(scope.client.clone()),
    }
}

impl Update for Event {
    type Changes = Changes;

    fn changes(item: &Item<'_, '_>) -> Changes {
        let owner = item.relationships.kept_one("owner", Patient::TYPE, patient::Target::read);
        let changes = Changes::read(item, NewAttendee::read, owner);
        let cleared = [
            ("type", changes.kind == Patch::Null),
            ("start_at", changes.start_at == Patch::Null),
            ("title", changes.title == Patch::Null),
        ];
        for (name, _) in cleared.iter().filter(|(_, cleared)| *cleared) {
            item.attributes.missing(name);
        }
        changes
    }

    fn update(db: &mut Conn, scope: &Scope, mut event: Self, changes: &Changes, notes: &Notes) -> Result<Self> {
        if changes.kind.value().is_some_and(|kind| *kind != event.row.kind) {
            let detail = format!("cannot be changed; this event is and remains a {}", event.row.kind);
            notes.faults.add(Fault::body("/data/attributes/type", detail));
        }
        let known = Known::look_up(db, scope, std::iter::once(changes))?;
        changes.apply(&mut event, "/data/attributes", scope, &known, &notes.faults);
        notes.check()?;

        event.row.updated_at = scope.now;
        event.row.updated_by = Some(scope.client.clone());
        diesel::update(events::table.find(event.row.id)).set(&event.row).execute(db)?;
        if !matches!(changes.attendees, Patch::Absent) {
            diesel::delete(attendees::table.filter(attendees::event_id.eq(event.row.id))).execute(db)?;
            insert_all::<_, Attendee>(db, attendees::table, &event.attendees)?;
        }
        Ok(event)
    }
}

impl Seed for Event {
    const NAME: &'static str = Self::TYPE;

    type New = Changes;

    fn read_seed(item: &Item<'_, '_>) -> Changes {
        Changes { restored: Some(Seeded::read(item)), ..Changes::read_new(item, NewAttendee::restore) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        events::table.filter(events::id.eq_any(ids)).select((events::id, events::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Changes>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = events::table.filter(events::organization_id.eq(organization));
        diesel::delete(attendees::table.filter(attendees::event_id.eq_any(own.select(events::id)))).execute(db)?;
        diesel::delete(events::table.filter(events::organization_id.eq(organization))).execute(db).map(drop)
    }
}
