//! Request documents: one resource object or many of them.

use serde_json::value::RawValue;

use super::notes::Notes;
use super::read::{Node, Object, Read, Reference};
use super::tree::Tree;
use crate::error::Fault;

/// A resource object as a client wrote it, while it is read.
pub struct Item<'a, 'p> {
    /// The object itself.
    pub resource: &'p Object<'a, 'p>,
    /// Its attributes; empty when it has none.
    pub attributes: &'p Object<'a, 'p>,
    /// Its relationships; empty when it has none.
    pub relationships: &'p Object<'a, 'p>,
}

/// What a request document holds, read.
#[derive(Debug)]
pub struct Items<T> {
    /// The resources, with their places (`/data` or `/data/3`).
    pub items: Vec<(String, T)>,
    /// Whether they came as an array.
    pub many: bool,
}

/// What an `id` in a resource object means.
#[derive(Clone, Copy, Debug)]
pub enum ClientId<'i> {
    /// The server gives ids; one that is sent has no effect.
    Ignored,
    /// The server gives ids; JSON:API wants one that is sent refused with 403.
    Refused,
    /// It must be this one.
    Is(&'i str),
    /// It is kept; the reader of the resource looks at it.
    Kept,
}

/// What a request document must look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'i> {
    /// The type of its resources.
    pub kind: &'static str,
    /// What an id means.
    pub id: ClientId<'i>,
    /// Whether `data` may be an array.
    pub many: bool,
}

/// Reads a request document. `read_meta` is given the document's `meta`, where
/// there is one; `read` each resource object. What cannot be read is noted and
/// left out.
pub fn read_document<T, M>(
    body: &[u8],
    shape: Shape<'_>,
    notes: &Notes,
    read_meta: impl FnOnce(&Object<'_, '_>) -> M,
    read: impl Fn(&Item<'_, '_>) -> T,
) -> (Items<T>, Option<M>) {
    let mut items = Vec::new();
    let mut meta = None;
    let mut many = false;
    let Some(tree) = parse(body, notes) else { return (Items { items, many }, meta) };
    Node::root(&tree, notes).object(|document| {
        document.skip(&["jsonapi", "links", "included", "errors"]);
        meta = document.optional_with("meta", |node| {
            node.object(|meta| {
                // Members of our own answers, which clients send back.
                meta.skip(&["req_id", "count", "ignored", "warnings"]);
                read_meta(meta)
            })
        });
        let read_one = |node: &Node<'_, '_>| Some((node.pointer(), read_item(node, shape, &read)?));
        many = document.member("data").is_some_and(|node| node.text().starts_with('['));
        if many && !shape.many {
            document.fault("data", "must be one resource object, not an array");
        } else if many {
            items = document.optional_with("data", |node| node.list(read_one)).unwrap_or_default();
        } else {
            items = document.required_with("data", read_one).into_iter().collect();
        }
    });
    (Items { items, many }, meta)
}

/// The JSON of a body, taken apart; where it is none, that is noted.
pub fn parse<'a>(body: &'a [u8], notes: &Notes) -> Option<Tree<'a>> {
    let fault = |detail: String| notes.faults.add(Fault::body("", detail));
    let text = std::str::from_utf8(body)
        .inspect_err(|error| fault(format!("is not UTF-8: see byte {}", error.valid_up_to())))
        .ok()?;
    // Some clients begin with a byte order mark, though JSON forbids it.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        fault("is empty; a JSON:API document, {\"data\": ...}, is expected".into());
        return None;
    }
    let checked: serde_json::Result<&RawValue> = serde_json::from_str(text);
    let json = checked.inspect_err(|error| fault(format!("is not JSON: {error}"))).ok()?.get();
    if json.len() > Tree::LONGEST {
        fault(format!("is longer than {} bytes; send it in parts", Tree::LONGEST));
        return None;
    }
    Some(Tree::of(json))
}

/// Reads one resource object.
pub fn read_item<T>(node: &Node<'_, '_>, shape: Shape<'_>, read: impl Fn(&Item<'_, '_>) -> T) -> Option<T> {
    node.object(|resource| {
        resource.skip(&["links", "meta"]);
        check_type(resource, shape.kind);
        check_id(resource, shape.id, node);
        or_empty(resource, "attributes", |attributes| {
            or_empty(resource, "relationships", |relationships| read(&Item { resource, attributes, relationships }))
        })
    })
}

/// Reads an object that may be left out as if it were empty.
fn or_empty<'a, T>(parent: &Object<'a, '_>, name: &'static str, read: impl Fn(&Object<'a, '_>) -> T) -> T {
    let value = parent.optional_with(name, |node| node.object(&read));
    value.unwrap_or_else(|| read(&parent.empty(name)))
}

/// Checks the `type` of a resource object or identifier.
pub fn check_type(object: &Object<'_, '_>, kind: &str) {
    let sent: Option<String> = object.filled("type");
    if let Some(sent) = sent.filter(|sent| sent != kind) {
        object.fault("type", format!("{sent:?} does not belong here; the type must be {kind:?}"));
    }
}

fn check_id(resource: &Object<'_, '_>, expected: ClientId<'_>, node: &Node<'_, '_>) {
    if matches!(expected, ClientId::Kept) {
        return;
    }
    let sent: Option<String> = resource.optional("id");
    let sent = sent.filter(|id| !id.is_empty());
    match (expected, sent) {
        (ClientId::Ignored, Some(_)) => node.ignore("id"),
        (ClientId::Refused, Some(_)) => node.refuse("id", "must be left out: the server gives a new resource its id"),
        (ClientId::Is(id), Some(sent)) if sent != id => {
            resource.fault("id", format!("{sent:?} is not the id in the path, {id:?}"));
        }
        _ => {}
    }
}

impl<'a> Object<'a, '_> {
    /// The resource identifiers of a to-many relationship; `None` when the
    /// relationship is absent or has no `data`.
    pub fn to_many<T>(
        &self,
        name: &'static str,
        kind: &str,
        read: impl Fn(&Object<'a, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.linkage(name, |node| node.list(|item| identifier(item, kind, &read)))
    }

    /// The resource identifier of a to-one relationship; `None` when the
    /// relationship is absent or has no `data`, or none but `null`.
    pub fn to_one<T>(&self, name: &'static str, kind: &str, read: impl Fn(&Object<'a, '_>) -> Option<T>) -> Option<T> {
        self.linkage(name, |node| if node.is_null() { None } else { identifier(node, kind, &read) })
    }

    /// The resource identifier of a to-one relationship to a resource of any of
    /// these types; `read` is told which.
    pub fn to_one_of<T>(
        &self,
        name: &'static str,
        kinds: &[&'static str],
        read: impl Fn(&'static str, &Object<'a, '_>) -> Option<T>,
    ) -> Option<T> {
        let read = |identifier: &Object<'a, '_>| {
            let sent = identifier.required_with("type", |node| node.one_of(kinds));
            let kind = kinds.iter().find(|kind| sent.as_deref() == Some(**kind))?;
            read(kind, identifier)
        };
        self.linkage(name, |node| if node.is_null() { None } else { node.object(read).flatten() })
    }

    /// The resource identifier of a to-one relationship that must be there.
    pub fn required_one<T>(
        &self,
        name: &'static str,
        kind: &str,
        read: impl Fn(&Object<'a, '_>) -> Option<T>,
    ) -> Option<T> {
        let found = self.to_one(name, kind, read);
        if found.is_none() && !self.is_faulty(name) {
            self.missing(name);
        }
        found
    }

    fn linkage<T>(&self, name: &'static str, read: impl FnOnce(&Node<'a, '_>) -> Option<T>) -> Option<T> {
        self.optional_with(name, |relationship| {
            relationship.object(|relationship| {
                relationship.skip(&["links", "meta"]);
                relationship.member("data").and_then(|data| read(&data))
            })
        })
        .flatten()
    }

    /// The `id` of a resource identifier; empty or `null` counts as absent.
    pub fn reference(&self) -> Option<Reference> {
        self.optional_with("id", |node| (node.text() != "\"\"").then(|| Read::read(node)).flatten())
    }

    /// The `id` of a resource identifier that can name its resource in no other
    /// way.
    pub fn required_reference(&self) -> Option<Reference> {
        let reference = self.reference();
        if reference.is_none() && !self.is_faulty("id") {
            self.missing("id");
        }
        reference
    }
}

fn identifier<'a, T>(node: &Node<'a, '_>, kind: &str, read: impl Fn(&Object<'a, '_>) -> Option<T>) -> Option<T> {
    node.object(|identifier| {
        check_type(identifier, kind);
        read(identifier)
    })
    .flatten()
}
