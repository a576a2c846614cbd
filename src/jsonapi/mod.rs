//! JSON:API 1.0: request documents, query parameters, answers. Nothing in this
//! folder knows what a patient is.

pub mod answer;
pub mod cursor;
pub mod document;
pub mod filters;
pub mod notes;
pub mod paging;
pub mod patch;
pub mod query;
pub mod read;
mod tree;
mod values;

pub use answer::{Identifier, Included, Linkage, Relationship, View};
pub use document::{Item, Items};
pub use filters::{Filters, Instants};
pub use notes::{Notes, Pointer};
pub use paging::{PageLinks, PagingRules};
pub use patch::Patch;
pub use query::Parameters;
pub use read::{Node, Object, Read, Reference};
pub use tree::{Tree, Value};
