//! From the path and the method of a request to its operation.
//!
//! The framework's router tries one pattern after the other, most of them by a
//! regular expression, and would need a middleware for repeated slashes before
//! that. Here the segments of a path are looked up one by one: a fixed few
//! look-ups, however many operations there are.

use std::collections::HashMap;

use actix_web::http::Method;

use crate::call::Operation;

/// All operations, by path and method.
pub struct Router {
    root: Node,
    unknown: Place,
}

/// What there is behind a segment.
#[derive(Default)]
struct Node {
    names: HashMap<&'static str, Node>,
    id: Option<Box<Node>>,
    place: Option<Place>,
}

/// What can be done at a path.
pub struct Place {
    /// The path, with `{id}` where it has an id.
    pub pattern: String,
    operations: Vec<(Method, Operation)>,
    /// What answers all other methods.
    otherwise: Operation,
}

impl Place {
    /// A path with its operations.
    pub fn new(pattern: String, operations: Vec<(Method, Operation)>, otherwise: Operation) -> Self {
        Self { pattern, operations, otherwise }
    }

    /// The operation of a method.
    pub fn operation(&self, method: &Method) -> &Operation {
        let found = self.operations.iter().find(|(known, _)| known == method);
        found.map_or(&self.otherwise, |(_, operation)| operation)
    }
}

/// Where a request leads.
pub struct Found<'r> {
    /// The place.
    pub place: &'r Place,
    /// The path without repeated and trailing slashes: a published base URL of
    /// the vendor has some, and clients lose bodies on redirects.
    pub path: String,
    /// The id in the path; empty where there is none.
    pub id: String,
}

impl Router {
    /// A router that leads nowhere but to this.
    pub fn new(unknown: Operation) -> Self {
        Self { root: Node::default(), unknown: Place::new("-".into(), Vec::new(), unknown) }
    }

    /// Adds a path below a base.
    pub fn add(&mut self, base: &'static str, path: &'static str, place: Place) {
        let mut node = &mut self.root;
        for segment in segments(base).chain(segments(path)) {
            node = match segment {
                "{id}" => node.id.get_or_insert_default(),
                name => node.names.entry(name).or_default(),
            };
        }
        node.place = Some(place);
    }

    /// Finds the way.
    pub fn find(&self, requested: &str) -> Found<'_> {
        let mut path = String::with_capacity(requested.len());
        let mut id = "";
        let mut node = Some(&self.root);
        for segment in segments(requested) {
            path.push('/');
            path.push_str(segment);
            node = node.and_then(|node| {
                node.names.get(segment).or_else(|| {
                    id = segment;
                    node.id.as_deref()
                })
            });
        }
        let place = node.and_then(|node| node.place.as_ref()).unwrap_or(&self.unknown);
        Found { place, path, id: id.to_owned() }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}
