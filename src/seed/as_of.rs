//! Fixtures that are loaded as of another day than they were written for.
//!
//! Their instants are moved by whole weeks, so that what was about to happen
//! is about to happen again, on the same days of the week, at the same times of
//! day. Dates (of birth) stay.

use chrono::NaiveDate;
use chrono_tz::Tz;
use diesel::prelude::*;
use serde::Deserialize;

use super::{Seed, Seeded};
use crate::db::Conn;
use crate::db::schema::organizations;
use crate::error::{Fault, Result};
use crate::id::Id;
use crate::jsonapi::document::{ClientId, Shape, read_item};
use crate::jsonapi::{Node, Notes, Object, Pointer, Value};
use crate::resources::organization::Organization;
use crate::time::{Instant, Shift};

const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;

/// What the `meta` of a fixture says about its time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// The day that it was written for.
    as_of: Option<NaiveDate>,
    /// The time zone of instants that have none of their own.
    time_zone: Tz,
}

impl Written {
    pub(super) fn read(document: &Object<'_, '_>) -> Self {
        let read = |node: &Node<'_, '_>| {
            node.object(|meta| Self {
                as_of: meta.optional("as_of"),
                time_zone: meta.optional("time_zone").unwrap_or_default(),
            })
        };
        document.optional_with("meta", read).unwrap_or_default()
    }

    /// How far to move an organization: up to this day, or as far as it was
    /// moved before if it is there `already`, for what is added must fit to that.
    pub(super) fn shift(self, as_of: NaiveDate, already: Option<i64>, notes: &Notes) -> Shift {
        let Some(written) = self.as_of else {
            let detail = "is needed to load the fixture as of another day: the day that it was written for";
            notes.faults.add(Fault::body("/meta/as_of", detail));
            return Shift::default();
        };
        let weeks = already.unwrap_or_else(|| (as_of - written).num_days().div_euclid(7));
        Shift::new(weeks, self.time_zone)
    }
}

/// The weeks that a stored organization was moved by; `None` when it is not stored.
pub(super) fn weeks_of(db: &mut Conn, organization: Id, resource: Value<'_>) -> Result<Option<i64>> {
    let stored = organizations::table.find(organization).select(organizations::created_at);
    let Some(stored) = stored.first::<Instant>(db).optional()? else { return Ok(None) };
    let shape = Shape { kind: Organization::NAME, id: ClientId::Kept, many: true };
    // As it was written: these notes move nothing.
    let read = read_item(&Node::at(resource, Pointer::Root, &Notes::default()), shape, Seeded::read);
    let written = read.map_or(stored, |row| row.created_at);
    // Rounded: daylight saving time may make an hour's difference.
    Ok(Some((stored.milliseconds() - written.milliseconds() + WEEK / 2).div_euclid(WEEK)))
}

/// The members of a resource that say where its instants belong.
#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    attributes: PlaceAttributes,
}

#[derive(Default, Deserialize)]
struct PlaceAttributes {
    #[serde(default)]
    all_day: bool,
    #[serde(alias = "occurred_at_time_zone")]
    time_zone: Option<String>,
}

/// The shift of one resource. What is wrong with it is found when it is read.
pub(super) fn shift_of(resource: &str, shift: Shift) -> Shift {
    if shift.is_none() {
        return shift;
    }
    let Place { attributes } = serde_json::from_str(resource).unwrap_or_default();
    let zone = attributes.time_zone.and_then(|name| name.parse().ok());
    shift.of_place(zone, attributes.all_day)
}
