//! What some attributes of a patient consist of.

use serde::Serialize;

use crate::jsonapi::{Node, Read};
use crate::time::Instant;

/// A phone number.
#[derive(Clone, Debug, Serialize)]
pub struct PhoneNumber {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    value: String,
    primary: bool,
}

impl Read for PhoneNumber {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|phone| {
            Some(Self {
                // Quirk: the schema requires a type; the vendor's examples come without one.
                kind: phone.optional_with("type", |node| {
                    node.one_of(&["home", "work", "mobile", "home-fax", "work-fax", "other"])
                }),
                primary: phone.optional("primary").unwrap_or(false),
                value: phone.filled("value")?,
            })
        })
        .flatten()
    }
}

/// A postal address.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#use: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    district: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

impl Read for Address {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|address| Self {
            r#use: address.optional("use"),
            r#type: address.optional("type"),
            text: address.optional("text"),
            lines: address.optional("lines"),
            city: address.optional("city"),
            district: address.optional("district"),
            state: address.optional("state"),
            postal_code: address.optional("postal_code"),
            country: address.optional("country"),
        })
    }
}

/// A change of `archived`.
#[derive(Clone, Debug, Serialize)]
pub struct ArchiveEntry {
    archived: bool,
    modified_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
}

impl Read for ArchiveEntry {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|entry| Self {
            archived: entry.required("archived"),
            modified_at: entry.required("modified_at"),
            reason: entry.optional("reason"),
            notes: entry.optional("notes"),
        })
    }
}

/// What moves a patient, in the patient's words.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

impl Read for Statement {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|statement| Self {
            value: statement.required("value"),
            updated_at: statement.optional("updated_at"),
            updated_by: statement.optional("updated_by"),
        })
    }
}
