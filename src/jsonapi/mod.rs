//! JSON:API 1.0: request documents, query parameters, answers. Nothing in this
//! folder knows what a patient is.

pub mod answer;
pub mod cursor;
pub mod document;
pub mod query;
pub mod read;

pub use answer::{Identifier, Included, Linkage, Relationship, View};
pub use document::{Item, Items};
pub use query::{Filters, Parameters};
pub use read::{Node, Notes, Object, Patch, Read, Reference};
