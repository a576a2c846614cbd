//! `calendar_event_response`: an attendee's answer to an invitation.
//!
//! It is not kept: it sets the `response_status` of the attendee, and there it is
//! found from then on.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::calendar_event::attendee::{self, Attendee, RESPONSES};
use super::calendar_event::{self, Event};
use crate::audit::{self, Action, Records};
use crate::auth::Scope;
use crate::db::schema::{calendar_event_attendees as attendees, calendar_events as events};
use crate::db::{Conn, chunks};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Identifier, Linkage, Relationship, Relationships};
use crate::jsonapi::{Item, Items, Notes, Read, Reference};
use crate::resource::{Create, Resource, Written};

/// A response, and its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Response {
    #[serde(skip)]
    id: Id,
    #[serde(skip)]
    event: Id,
    #[serde(skip)]
    user: Identifier,
    attendee: Id,
    #[serde(rename = "response_status")]
    status: String,
}

/// A response as a client describes it.
#[derive(Debug)]
pub struct NewResponse {
    attendee: Option<Reference>,
    status: String,
    event: Option<Reference>,
    /// With the type that it is given.
    user: Option<(&'static str, Reference)>,
}

impl Resource for Response {
    const TYPE: &'static str = "calendar_event_response";
    const LASTING: bool = false;

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, responses: &[Self]) -> Result<Vec<Relationships>> {
        let relationships = |response: &Self| {
            vec![
                Relationship { name: "user", data: Linkage::One(Some(response.user.clone())) },
                Relationship::one("calendar_event", Event::TYPE, response.event),
            ]
        };
        Ok(responses.iter().map(relationships).collect())
    }
}

impl NewResponse {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        let response = Self {
            attendee: attributes.required_with("attendee", Read::read),
            status: attributes.required_with("response_status", |node| node.one_of(&RESPONSES)).unwrap_or_default(),
            event: relationships.required_one("calendar_event", Event::TYPE, |event| event.required_reference()),
            user: relationships.to_one_of("user", &USERS, |kind, user| Some((kind, user.required_reference()?))),
        };
        if response.user.is_none() && !relationships.is_faulty("user") {
            relationships.missing("user");
        }
        response
    }

    /// The response that this leads to, or `None` and faults.
    fn resolve(&self, pointer: &str, scope: &Scope, known: &Known, faults: &Faults) -> Option<Response> {
        let (named, (kind, user)) = (self.event.as_ref()?, self.user.as_ref()?);
        let Some(event) = named.id.filter(|id| known.events.contains(id)) else {
            let detail = "there is no calendar event of this id within the scope of the token";
            faults.add(Fault::named(&named.source, detail));
            return None;
        };
        let named = self.attendee.as_ref()?;
        let is_named = |attendee: &&Attendee| [Some(attendee.id), attendee.user()].contains(&named.id);
        let Some(attendee) = known.attendees.get(&event).and_then(|list| list.iter().find(is_named)) else {
            let detail = "is no attendee of this event; name one by its _id there, or by the id of its user";
            faults.add(Fault::named(&named.source, detail));
            return None;
        };
        if user.id != attendee.user() {
            faults.add(Fault::named(&user.source, "is not the user of this attendee; see the event's attendees"));
        } else if *kind != USER && *kind != attendee.kind() {
            let detail = format!("{kind:?} is not what this user is: a {}; {USER:?} will do too", attendee.kind());
            faults.add(Fault::body(format!("{pointer}/relationships/user/data/type"), detail));
        }
        Some(Response {
            id: Id::new(scope.now),
            event,
            user: Identifier::new(kind, user.id?),
            attendee: attendee.id,
            status: self.status.clone(),
        })
    }
}

/// The type that stands for either kind of people.
const USER: &str = "user";

/// The types that a user may be given.
const USERS: [&str; 3] = [USER, "coach", "patient"];

/// The events that the responses of one request name, and who attends them.
struct Known {
    events: HashSet<Id>,
    attendees: HashMap<Id, Vec<Attendee>>,
}

impl Create for Response {
    const CREATED: StatusCode = StatusCode::CREATED;

    type New = NewResponse;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewResponse {
        NewResponse::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewResponse>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let events = calendar_event::known(db, scope, new.items.iter().filter_map(|(_, new)| new.event.as_ref()))?;
        let attendees = attendee::load(db, events.iter().copied())?;
        let known = Known { events, attendees };
        let resolved = new.items.iter().filter_map(|(at, new)| new.resolve(at, scope, &known, &notes.faults));
        let responses: Vec<Self> = resolved.collect();
        notes.check()?;

        let before = calendar_event::shown(db, scope, known.events.iter().copied())?;
        for response in &responses {
            diesel::update(attendees::table.find(response.attendee))
                .set(attendees::response_status.eq(&response.status))
                .execute(db)?;
        }
        for chunk in chunks(responses.iter().map(|response| response.event)) {
            diesel::update(events::table.filter(events::id.eq_any(chunk)))
                .set((events::updated_at.eq(scope.now), events::updated_by.eq(&scope.client)))
                .execute(db)?;
        }
        let mut after = calendar_event::shown(db, scope, known.events.iter().copied())?;
        for (id, old) in before {
            let event = Records::of(Event::TYPE, [id]);
            audit::enter_values(db, scope, Action::Update, &event, (Some(old), after.remove(&id)))?;
        }
        Ok(responses.into_iter().map(Written::Created).collect())
    }
}
