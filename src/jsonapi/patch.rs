//! The three things that a PATCH can say of an attribute.

use serde::Serialize;

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
