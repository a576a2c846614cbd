//! Answers: resource objects and documents, from typed rows straight to bytes.

use std::collections::HashSet;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::notes::Warning;
use super::read::Members;
use super::tree::Tree;
use crate::db::Json;
use crate::id::Id;

/// What names a resource in a relationship.
#[derive(Clone, Debug, Serialize)]
pub struct Identifier {
    /// The type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id.
    pub id: Id,
    /// More about the relation to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<PrimaryMeta>,
}

/// Whether it is the main one of several.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PrimaryMeta {
    /// Whether it is.
    pub primary: bool,
}

impl Identifier {
    /// Names a resource.
    pub fn new(kind: &'static str, id: Id) -> Self {
        Self { kind, id, meta: None }
    }
}

/// Whom a resource is related to.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Linkage {
    /// One resource, or none.
    One(Option<Identifier>),
    /// Any number of them.
    Many(Vec<Identifier>),
    /// Any number of them, as they are stored.
    Stored(Json),
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

/// A relationship as it is written.
#[derive(Serialize)]
pub struct RelationshipObject<'a> {
    data: &'a Linkage,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Related>,
}

#[derive(Serialize)]
struct Related {
    related: String,
}

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

impl<A: Serialize> Serialize for ResourceObject<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields =
            self.view.fieldsets.iter().find(|(kind, _)| kind == self.kind).map(|(_, fields)| fields.as_slice());
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("type", self.kind)?;
        object.serialize_entry("id", &self.id)?;
        match fields {
            None => object.serialize_entry("attributes", self.attributes)?,
            Some(fields) => object.serialize_entry("attributes", &SomeOf { of: self.attributes, fields })?,
        }
        if !self.links.is_empty() {
            object.serialize_entry("links", &Pairs(&self.links))?;
        }
        let shown = self
            .relationships
            .iter()
            .filter(|relationship| fields.is_none_or(|fields| fields.iter().any(|field| field == relationship.name)));
        let shown: Vec<_> = shown
            .map(|relationship| {
                let related = |path: &String| Related { related: [path, "/", relationship.name].concat() };
                let links = self.path.as_ref().map(related);
                (relationship.name, RelationshipObject { data: &relationship.data, links })
            })
            .collect();
        if !shown.is_empty() {
            object.serialize_entry("relationships", &Pairs(&shown))?;
        }
        object.end()
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
    objects: Vec<Box<RawValue>>,
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
            self.objects.push(serde_json::value::to_raw_value(object)?);
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
