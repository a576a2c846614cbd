//! The people that an event is for.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::auth::Scope;
use crate::db::schema::calendar_event_attendees as attendees;
use crate::db::{Conn, chunks};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Node, Read, Reference};
use crate::resource::Resource;
use crate::resources::coach::{self, Coach};
use crate::resources::patient::{self, Patient};

/// What an attendee can have answered.
pub const RESPONSES: [&str; 3] = ["accepted", "declined", "tentative"];

/// What stands in place of an answer.
const NEEDS_ACTION: &str = "needsAction";

/// A row: a coach or a patient.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = attendees, treat_none_as_default_value = false)]
pub struct Attendee {
    /// The id, which responses refer to.
    pub id: Id,
    event_id: Id,
    coach_id: Option<Id>,
    patient_id: Option<Id>,
    response_status: String,
    position: i32,
}

impl Attendee {
    /// The coach or the patient; there always is one of them.
    pub fn user(&self) -> Option<Id> {
        self.coach_id.or(self.patient_id)
    }

    /// The type of the user.
    pub fn kind(&self) -> &'static str {
        if self.coach_id.is_some() { Coach::TYPE } else { Patient::TYPE }
    }
}

impl Serialize for Attendee {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut attendee = serializer.serialize_struct("Attendee", 3)?;
        attendee.serialize_field("_id", &self.id)?;
        attendee.serialize_field("user", &self.user())?;
        attendee.serialize_field("response_status", &self.response_status)?;
        attendee.end()
    }
}

/// The attendees of these events, by event and in their order.
///
/// # Errors
/// When the database fails.
pub fn load(db: &mut Conn, events: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Vec<Attendee>>> {
    let mut found: HashMap<Id, Vec<Attendee>> = HashMap::new();
    for chunk in chunks(events) {
        let query = attendees::table.filter(attendees::event_id.eq_any(chunk));
        for attendee in query.order((attendees::event_id, attendees::position)).load::<Attendee>(db)? {
            found.entry(attendee.event_id).or_default().push(attendee);
        }
    }
    Ok(found)
}

/// An attendee as a client describes it.
#[derive(Clone, Debug)]
pub struct NewAttendee {
    /// The coach or the patient.
    pub user: Reference,
    /// What only fixtures say: id and response.
    restored: Option<(Id, String)>,
}

impl NewAttendee {
    /// Reads what a client says; `_id` and `response_status` are not its to say.
    pub fn read(node: &Node<'_, '_>) -> Option<Self> {
        let user = node.object(|attendee| attendee.required_with("user", Reference::read)).flatten()?;
        Some(Self { user, restored: None })
    }

    /// Reads what a fixture says.
    pub fn restore(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|attendee| {
            let user = attendee.required_with("user", Reference::read)?;
            let id = attendee.filled("_id")?;
            let statuses = [RESPONSES.as_slice(), &[NEEDS_ACTION]].concat();
            let status = attendee.required_with("response_status", |node| node.one_of(&statuses))?;
            let Some(id) = Id::parse(&id) else {
                attendee.fault("_id", format!("{id:?} is not an id: 24 lower-case hex digits"));
                return None;
            };
            Some(Self { user, restored: Some((id, status)) })
        })
        .flatten()
    }
}

/// The people within the scope, of those that a request names.
#[derive(Debug)]
pub struct People {
    /// Those who are coaches.
    pub coaches: HashSet<Id>,
    /// Those who are patients.
    pub patients: HashSet<Id>,
}

impl People {
    /// Looks them all up.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_up<'n>(
        db: &mut Conn,
        scope: &Scope,
        named: impl Iterator<Item = &'n Reference> + Clone,
    ) -> Result<Self> {
        let coaches = coach::known(db, scope, named.clone())?;
        let patients = patient::known(db, scope, named.filter_map(|reference| reference.id))?;
        Ok(Self { coaches, patients })
    }

    /// Whether somebody is one of them.
    pub fn has(&self, id: Id) -> bool {
        self.coaches.contains(&id) || self.patients.contains(&id)
    }
}

/// The fault of naming somebody who is unknown or not visible.
pub fn unknown(named: &Reference) -> Fault {
    Fault::named(&named.source, "there is no coach or patient of this id within the scope of the token")
}

/// The attendees that an event is to have. Those who are `present` already keep
/// their ids and responses, whether or not the caller sees them elsewhere.
pub fn invite(
    scope: &Scope,
    event_id: Id,
    invited: &[NewAttendee],
    present: &[Attendee],
    people: &People,
    faults: &Faults,
) -> Vec<Attendee> {
    let present: HashMap<_, _> = present.iter().map(|attendee| (attendee.user(), attendee)).collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(invited.len());
    for (position, new) in (0..).zip(invited) {
        let Some(user) = new.user.id.filter(|id| people.has(*id) || present.contains_key(&Some(*id))) else {
            faults.add(unknown(&new.user));
            continue;
        };
        if !seen.insert(user) {
            faults.add(Fault::named(&new.user.source, "is an attendee of this event already; name each person once"));
        }
        let row = || {
            let restored = new.restored.clone();
            let (id, response_status) = restored.unwrap_or_else(|| (Id::new(scope.now), NEEDS_ACTION.to_owned()));
            let coach_id = people.coaches.get(&user).copied();
            let patient_id = coach_id.is_none().then_some(user);
            Attendee { id, event_id, coach_id, patient_id, response_status, position }
        };
        rows.push(match present.get(&Some(user)) {
            Some(attendee) => Attendee { position, ..(*attendee).clone() },
            None => row(),
        });
    }
    rows
}
