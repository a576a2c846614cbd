//! Answers: resource objects and documents, from typed rows straight to bytes.
//!
//! Half of a resource object is what all of its type have, and ids, so objects
//! are put together from texts; serde writes their attributes.

use std::collections::HashSet;

use serde::Serialize;
use serde::ser::Serializer;
use uuid::Uuid;

use super::notes::Warning;
use super::read::Members;
use super::tree::Tree;
use crate::db::Json;
use crate::id::Id;

/// What names a resource in a relationship.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// The type.
    pub kind: &'static str,
    /// The id.
    pub id: Id,
    /// Whether it is the main one of several, in its `meta`.
    pub primary: bool,
}

impl Identifier {
    /// Names a resource.
    pub fn new(kind: &'static str, id: Id) -> Self {
        Self { kind, id, primary: false }
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, r#"{"type":"#);
        quote(out, self.kind);
        put(out, r#","id":"#);
        quote(out, self.id.as_str());
        put(out, if self.primary { r#","meta":{"primary":true}}"# } else { "}" });
    }
}

/// Whom a resource is related to.
#[derive(Clone, Debug)]
pub enum Linkage {
    /// One resource, or none.
    One(Option<Identifier>),
    /// Any number of them.
    Many(Vec<Identifier>),
    /// Any number of them, as they are stored.
    Stored(Json),
}

impl Linkage {
    /// As it is written, to be stored.
    pub fn json(&self) -> Json {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out);
        Json::from_text(String::from_utf8(out).unwrap_or_default())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(None) => put(out, "null"),
            Self::One(Some(identifier)) => identifier.write(out),
            Self::Many(identifiers) => {
                put(out, "[");
                put_all(out, identifiers, |out, identifier| identifier.write(out));
                put(out, "]");
            }
            Self::Stored(json) => put(out, json.text()),
        }
    }
}

/// A relationship of a resource. It links to `{self}/{name}`, where the resource
/// has a place.
#[derive(Clone, Debug)]
pub struct Relationship {
    /// Its name.
    pub name: &'static str,
    /// Whom it leads to.
    pub data: Linkage,
}

impl Relationship {
    /// A relationship to one resource.
    pub fn one(name: &'static str, kind: &'static str, id: Id) -> Self {
        Self { name, data: Linkage::One(Some(Identifier::new(kind, id))) }
    }
}

/// The relationships of one resource.
pub type Relationships = Vec<Relationship>;

/// The links of a resource by name.
pub type Links = Vec<(&'static str, String)>;

/// A resource, ready to be written.
pub struct ResourceObject<'a, A> {
    /// Its type.
    pub kind: &'a str,
    /// Its id.
    pub id: Id,
    /// Its attributes.
    pub attributes: &'a A,
    /// Where it is found; `None` when it cannot be.
    pub path: Option<String>,
    /// Its links.
    pub links: Links,
    /// Its relationships.
    pub relationships: &'a [Relationship],
    /// What is asked for of it.
    pub view: &'a View,
}

impl<A: Serialize> ResourceObject<'_, A> {
    /// Writes it.
    ///
    /// # Errors
    /// When its attributes cannot be written.
    pub fn text(&self) -> serde_json::Result<String> {
        let mut out = Vec::with_capacity(1024);
        let named = |(kind, _): &&(String, Vec<String>)| kind == self.kind;
        let fields = self.view.fieldsets.iter().find(named).map(|(_, fields)| fields.as_slice());
        put(&mut out, r#"{"type":"#);
        quote(&mut out, self.kind);
        put(&mut out, r#","id":"#);
        quote(&mut out, self.id.as_str());
        put(&mut out, r#","attributes":"#);
        match fields {
            None => serde_json::to_writer(&mut out, self.attributes)?,
            Some(fields) => serde_json::to_writer(&mut out, &SomeOf { of: self.attributes, fields })?,
        }
        self.write_links(&mut out);
        self.write_relationships(&mut out, fields);
        put(&mut out, "}");
        String::from_utf8(out).map_err(serde::ser::Error::custom)
    }

    fn write_links(&self, out: &mut Vec<u8>) {
        if self.links.is_empty() {
            return;
        }
        put(out, r#","links":{"#);
        put_all(out, &self.links, |out, (name, link)| {
            quote(out, name);
            put(out, ":");
            quote(out, link);
        });
        put(out, "}");
    }

    fn write_relationships(&self, out: &mut Vec<u8>, fields: Option<&[String]>) {
        let asked = |name: &str| fields.is_none_or(|fields| fields.iter().any(|field| field == name));
        let mut shown = self.relationships.iter().filter(|relationship| asked(relationship.name)).peekable();
        if shown.peek().is_none() {
            return;
        }
        put(out, r#","relationships":{"#);
        put_all(out, shown, |out, Relationship { name, data }| {
            quote(out, name);
            put(out, r#":{"data":"#);
            data.write(out);
            if let Some(path) = &self.path {
                put(out, r#","links":{"related":"#);
                quote(out, &[path, "/", name].concat());
                put(out, "}");
            }
            put(out, "}");
        });
        put(out, "}");
    }
}

impl<A: Serialize> Serialize for ResourceObject<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json::from_text(self.text().map_err(serde::ser::Error::custom)?).serialize(serializer)
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Writes items with commas between them.
fn put_all<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            put(out, ",");
        }
        write(out, item);
    }
}

/// Writes a string. Most have nothing to escape, which is seen faster by looking
/// at all of it than by stopping at the first.
fn quote(out: &mut Vec<u8>, text: &str) {
    let special = |byte| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if text.bytes().fold(0, |any, byte| any | special(byte)) == 0 {
        put(out, "\"");
        put(out, text);
        put(out, "\"");
    } else {
        out.extend(serde_json::to_vec(text).unwrap_or_default());
    }
}

/// Pairs, written as an object.
pub struct Pairs<'a, V>(pub &'a [(&'static str, V)]);

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Some of the attributes, for a sparse fieldset.
struct SomeOf<'a, A> {
    of: &'a A,
    fields: &'a [String],
}

impl<A: Serialize> Serialize for SomeOf<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written once in full and cut as text: values keep their exact form.
        let all = serde_json::to_string(self.of).map_err(serde::ser::Error::custom)?;
        let tree = Tree::of(&all);
        let members = Members::of(tree.root()).map_err(serde::ser::Error::custom)?;
        let asked = |name: &str| self.fields.iter().any(|field| field == name);
        serializer.collect_map(
            members.pairs().filter(|(name, _)| asked(name)).map(|(name, value)| (name, Json::raw(value.text()))),
        )
    }
}

/// What is asked for of the resources of an answer.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The fields, by type; a type that is not named shows all.
    pub fieldsets: Vec<(String, Vec<String>)>,
    /// The related resources to send along.
    pub include: Vec<&'static str>,
    /// The base of links to the web application.
    pub web_app: String,
}

/// The related resources of a compound document, each once.
#[derive(Debug, Default)]
pub struct Included {
    /// What is asked for of them.
    pub view: View,
    seen: HashSet<(String, Id)>,
    objects: Vec<Json>,
}

impl Included {
    /// No resources yet.
    pub fn new(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// The types and ids of its resources.
    pub fn identities(&self) -> impl Iterator<Item = (&str, Id)> {
        self.seen.iter().map(|(kind, id)| (kind.as_str(), *id))
    }

    /// Adds a resource unless it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add<A: Serialize>(&mut self, object: &ResourceObject<'_, A>) -> serde_json::Result<()> {
        if self.seen.insert((object.kind.to_owned(), object.id)) {
            self.objects.push(Json::from_text(object.text()?));
        }
        Ok(())
    }
}

impl Serialize for Included {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.objects.serialize(serializer)
    }
}

/// The `meta` of an answer.
#[derive(Debug, Default, Serialize)]
pub struct Meta {
    /// The id of the request.
    pub req_id: String,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// What of the request had no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// What of the request looks like a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Meta {
    /// That of an answer to this request.
    pub fn of(req_id: Uuid) -> Self {
        Self { req_id: req_id.to_string(), ..Self::default() }
    }
}

/// A whole answer.
#[derive(Serialize)]
pub struct Document<'a, D> {
    /// About the answer.
    pub meta: &'a Meta,
    /// Where this and its neighbours are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Pairs<'a, String>>,
    /// The resources.
    pub data: D,
    /// What they relate to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included: Option<&'a Included>,
}

/// An answer without resources.
#[derive(Serialize)]
pub struct MetaDocument<'a> {
    /// About the answer.
    pub meta: &'a Meta,
}

/// Resources in a row.
pub enum Data<T> {
    /// One.
    One(T),
    /// Any number of them.
    Many(Vec<T>),
}

impl<T: Serialize> Serialize for Data<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(object) => object.serialize(serializer),
            Self::Many(objects) => objects.serialize(serializer),
        }
    }
}
