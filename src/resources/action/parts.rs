//! What an action consists of. Each part has an id of its own, `_id`; one that
//! a client sends back with it keeps it.

use serde::Serialize;

use crate::db::Json;
use crate::id::Id;
use crate::jsonapi::{Node, Object, Read};
use crate::time::Instant;

/// A part with its id.
#[derive(Clone, Debug, Serialize)]
pub struct Part<T> {
    #[serde(flatten)]
    content: T,
    #[serde(rename = "_id")]
    id: Option<Id>,
}

impl<T: Content> Read for Part<T> {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|part| {
            let id: Option<String> = part.optional("_id");
            Some(Self { content: T::read(part)?, id: id.as_deref().and_then(Id::parse) })
        })
        .flatten()
    }
}

impl<T: Clone> Part<T> {
    /// Gives those an id that have none.
    pub fn with_ids(parts: &[Self], now: Instant) -> Vec<Self> {
        parts.iter().map(|part| Self { id: part.id.or_else(|| Some(Id::new(now))), ..part.clone() }).collect()
    }
}

/// The members of a part.
pub trait Content: Sized {
    /// Reads them.
    fn read(part: &Object<'_, '_>) -> Option<Self>;
}

/// By what another system knows the action. Other than those of people, it need
/// not be unique.
#[derive(Clone, Debug, Serialize)]
pub struct Identifier {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    system: String,
    value: String,
}

impl Content for Identifier {
    fn read(part: &Object<'_, '_>) -> Option<Self> {
        let (system, value) = (part.filled("system"), part.filled("value"));
        Some(Self { label: part.optional("label"), system: system?, value: value? })
    }
}

/// A time of day at which it is to be done.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(rename = "type")]
    kind: String,
}

impl Content for Window {
    fn read(part: &Object<'_, '_>) -> Option<Self> {
        Some(Self { title: part.optional("title"), kind: part.filled("type")? })
    }
}

/// What is measured when it is done.
#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    #[serde(rename = "metric_type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validations: Option<Json>,
    accepted_values: Vec<Json>,
}

impl Content for Metric {
    fn read(part: &Object<'_, '_>) -> Option<Self> {
        Some(Self {
            kind: part.optional("metric_type"),
            unit: part.optional("unit"),
            goal: part.optional_with("goal", |node| node.free_object()),
            validations: part.optional_with("validations", |node| node.free_object()),
            accepted_values: part.optional("accepted_values").unwrap_or_default(),
        })
    }
}
