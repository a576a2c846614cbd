//! The three things that a PATCH can say of an attribute, and the two of a
//! to-one relationship that is required.

use serde::Serialize;

use super::read::Object;
use crate::db::Json;

/// What a PATCH says of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch<T> {
    /// Nothing: it stays as it is.
    Absent,
    /// It is cleared.
    Null,
    /// It becomes this.
    Value(T),
}

impl<T> Patch<T> {
    /// The value, if one was given.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Serialize> Patch<Vec<T>> {
    /// Applies this to a list that is stored as JSON; cleared, it is empty.
    pub fn apply_list(&self, attribute: &mut Json) {
        match self {
            Self::Absent => {}
            Self::Null => *attribute = Json::empty_list(),
            Self::Value(list) => *attribute = Json::of(list),
        }
    }
}

impl<T: Clone> Patch<T> {
    /// Applies this to an attribute that has a default; cleared, it has that.
    pub fn apply_or(&self, attribute: &mut T, default: T) {
        match self {
            Self::Absent => {}
            Self::Null => *attribute = default,
            Self::Value(value) => attribute.clone_from(value),
        }
    }

    /// Applies this to an attribute that may be without value.
    pub fn apply(&self, attribute: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *attribute = None,
            Self::Value(value) => *attribute = Some(value.clone()),
        }
    }
}

impl<'a> Object<'a, '_> {
    /// The resource identifier of a to-one relationship that a PATCH may replace
    /// but not clear; `None` when it is to stay.
    pub fn kept_one<T>(
        &self,
        name: &'static str,
        kind: &str,
        read: impl Fn(&Object<'a, '_>) -> Option<T>,
    ) -> Option<T> {
        self.optional_with(name, |relationship| {
            relationship.object(|relationship| {
                relationship.skip_rest();
                if relationship.member("data").is_some_and(|data| data.is_null()) {
                    relationship.fault("data", "must not be null: it cannot be cleared; leave it out to keep it");
                }
            })
        });
        self.to_one(name, kind, read)
    }
}
