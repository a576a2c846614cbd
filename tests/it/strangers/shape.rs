//! What documents look like, by their schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::places::Own;
use crate::support::follow;

/// What a document of a schema looks like.
#[derive(Default)]
pub struct Shape {
    /// The pointers to texts, of the first item of each list.
    pub texts: BTreeSet<String>,
    /// The types of resources, by the pointer to what has one.
    types: BTreeMap<String, Value>,
    required: BTreeMap<String, BTreeSet<String>>,
}

impl Shape {
    /// The shape of what this schema describes; of one resource, where there may be many.
    pub fn of(schema: &Value, creates: bool) -> Self {
        let mut shape = Self::default();
        shape.learn(schema, "");
        if creates {
            shape.texts.insert("/data/id".to_owned());
        }
        shape
    }

    fn learn(&mut self, schema: &Value, place: &str) {
        let schema = follow(schema);
        for choices in ["allOf", "anyOf", "oneOf"] {
            let choices = schema[choices].as_array().into_iter().flatten().map(follow);
            // One resource stands for many.
            for choice in choices.filter(|choice| place != "/data" || choice["type"] != "array") {
                self.learn(choice, place);
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.map(|name| name.as_str().expect("a name").to_owned());
        self.required.entry(place.to_owned()).or_default().extend(required);
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let (member, within) = (follow(member), format!("{place}/{name}"));
            let one = if member["const"].is_null() { &member["enum"][0] } else { &member["const"] };
            if name == "type" && one.is_string() {
                self.types.insert(place.to_owned(), one.clone());
            }
            self.learn(member, &within);
        }
        if schema["items"].is_object() {
            self.learn(&schema["items"], &format!("{place}/0"));
        }
        let text = schema["type"] == "string"
            || schema["type"].as_array().is_some_and(|types| types.contains(&json!("string")));
        if text && schema["format"].is_null() && schema["enum"].is_null() {
            self.texts.insert(place.to_owned());
        }
    }

    /// The type of what an id at this place is of.
    pub fn kind_of(&self, place: &str) -> String {
        let (within, name) = place.rsplit_once('/').expect("a pointer");
        let kind = match name.trim_end_matches("/0") {
            "user" | "completed_by" => "coach",
            "attendee" => "calendar_event _id",
            "organization" => "organization",
            "0" if place.contains("groups") => "group",
            "0" => "action",
            _ => self.types.get(within).and_then(Value::as_str).unwrap_or("patient"),
        };
        kind.to_owned()
    }

    /// The document with everything that leads to a place, and what belongs beside it.
    pub fn with_place(&self, example: &Value, place: &str, own: Own<'_>) -> Value {
        let mut document = example.clone();
        if !place.contains("/identifiers/")
            && let Some(attributes) = document["data"]["attributes"].as_object_mut()
        {
            // They are taken after the first time that it is granted.
            attributes.remove("identifiers");
        }
        let names: Vec<_> = place.split('/').skip(1).collect();
        let (mut node, mut here) = (&mut document, String::new());
        for name in &names {
            self.complete(node, &here, name, own);
            here = format!("{here}/{name}");
            if *name == "0" {
                if !node.is_array() {
                    *node = json!([{}]);
                }
                node = &mut node.as_array_mut().expect("a list")[0];
            } else {
                if !node.is_object() {
                    *node = json!({});
                }
                node = &mut node[*name];
            }
        }
        document
    }

    fn complete(&self, node: &mut Value, here: &str, next: &str, own: Own<'_>) {
        if node.is_null() {
            *node = if next == "0" { json!([{}]) } else { json!({}) };
        }
        let Some(members) = node.as_object_mut() else { return };
        if let Some(kind) = self.types.get(here) {
            members.entry("type").or_insert_with(|| kind.clone());
        }
        if next == "meta" && self.types.contains_key(here) {
            members.remove("id");
        }
        for name in self.required.get(here).into_iter().flatten().filter(|name| *name != next) {
            let known = match name.as_str() {
                "organization" => own("organization").into(),
                "name" => "Diabetes Together".into(),
                "identifier" => json!({"system": "medical-record-number", "value": "204417"}),
                "groups" => json!([own("group")]),
                "system" | "value" => "a text".into(),
                _ => continue,
            };
            members.entry(name).or_insert(known);
        }
    }
}
