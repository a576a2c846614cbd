//! Every place of a request that an id goes to, or a text that leads to a
//! resource: found in the contract, not listed. A member or a filter of a name
//! that is not known here stops the test until somebody says what it is.

use serde_json::{Value, json};

use super::shape::Shape;
use crate::contract::JSON_API;
use crate::support::{Operation, follow, operations};

/// What leads to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Id,
    /// The identifier of a person; whether it is to be found, or to become theirs.
    Identifier {
        sought: bool,
    },
    GroupName,
}

/// Fills a place with a text, after its system for identifiers.
type Fill = dyn Fn(&str, &str) -> (String, Value);

/// A place of a request.
pub struct Place {
    pub operation: &'static Operation,
    pub key: Key,
    /// The type of what is to be there.
    pub kind: String,
    /// The parameter or the pointer that a fault of it names; none in a path.
    pub source: Option<String>,
    /// The path and the document with a text there; for identifiers, their value after their system.
    pub fill: Box<Fill>,
}

impl Place {
    pub fn name(&self) -> String {
        format!("{} {}", self.operation.id, self.source.as_deref().unwrap_or("path"))
    }

    /// Whether any text there is granted: an id that a client sends along with
    /// what is to be created, or that is kept as it is.
    pub fn is_ignored(&self) -> bool {
        let source = self.source.as_deref().unwrap_or_default();
        matches!(source, "/data/id" | "/data/1/id") || source.contains("/_actions/")
    }

    fn of_path(operation: &'static Operation, rest: String, document: Value) -> Self {
        let fill = move |id: &str, _: &str| {
            let mut document = document.clone();
            if !document.is_null() {
                document["data"]["id"] = id.into();
            }
            (format!("/pub{}{rest}", operation.path.replace("{id}", id)), document)
        };
        let kind = match operation.path.split('/').nth(1) {
            Some("oauth") => "token",
            kind => kind.expect("a type"),
        };
        Self { operation, key: Key::Id, kind: kind.to_owned(), source: None, fill: Box::new(fill) }
    }

    fn of_filter(
        operation: &'static Operation,
        name: &str,
        (key, kind): (Key, &str),
        (beside, value): (String, String),
    ) -> Self {
        let filter = name.to_owned();
        let fill = move |text: &str, system: &str| {
            let [text, system] =
                [text, system].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
            let filter = match key {
                Key::Identifier { .. } => {
                    format!("filter[identifier][system]={system}&filter[identifier][value]={text}")
                }
                _ => format!("{filter}={}", value.replace("{}", &text)),
            };
            (format!("/pub{}?{beside}{filter}", operation.path), Value::Null)
        };
        Self { operation, key, kind: kind.to_owned(), source: Some(name.to_owned()), fill: Box::new(fill) }
    }

    fn of_document(
        operation: &'static Operation,
        path: String,
        (key, kind): (Key, &str),
        (source, document): (String, Value),
    ) -> Self {
        let place = source.clone();
        let fill = move |text: &str, system: &str| {
            let mut document = document.clone();
            if let Some(identifier) = place.strip_suffix("/value") {
                document.pointer_mut(identifier).expect("an identifier")["system"] = system.into();
            }
            *document.pointer_mut(&place).expect("a place") = text.into();
            (path.clone(), document)
        };
        Self { operation, key, kind: kind.to_owned(), source: Some(source), fill: Box::new(fill) }
    }
}

/// Ids of the caller's own, by type.
pub type Own<'o> = &'o dyn Fn(&str) -> String;

/// The path ids, with nothing else, with all includes, and with documents good and bad.
pub fn of_paths() -> Vec<Place> {
    let mut places = Vec::new();
    for operation in operations().iter().filter(|operation| operation.path.contains("{id}")) {
        if let Some(good) = example(operation) {
            let bad = json!({"data": {"type": good["data"]["type"], "attributes": {"title": 7, "birth_date": "May"}}});
            places.extend([good, bad].map(|document| Place::of_path(operation, String::new(), document)));
        } else {
            places.push(Place::of_path(operation, String::new(), Value::Null));
            places.extend(all_included(operation).map(|all| Place::of_path(operation, format!("?{all}"), Value::Null)));
        }
    }
    places
}

/// The parameter that includes all that can be.
pub fn all_included(operation: &Operation) -> Option<String> {
    let mut parameters = operation.definition["parameters"].as_array().into_iter().flatten().map(follow);
    let include = parameters.find(|parameter| parameter["name"] == "include")?;
    let paths = include["schema"]["items"]["enum"].as_array().expect("paths");
    let paths: Vec<_> = paths.iter().map(|path| path.as_str().expect("a path")).collect();
    Some(format!("include={}", paths.join(",")))
}

/// What a filter is by, and of which type that is.
pub fn filter_key(name: &str) -> Option<(Key, &'static str)> {
    Some(match name {
        "filter[organization]" => (Key::Id, "organization"),
        "filter[groups]" | "filter[group]" => (Key::Id, "group"),
        "filter[patient]" | "filter[receiver]" => (Key::Id, "patient"),
        "filter[sender]" | "filter[attendees]" => (Key::Id, "coach"),
        "filter[actions]" => (Key::Id, "action"),
        "filter[reward_program_activation]" => (Key::Id, "reward_program_activation"),
        "filter[name]" => (Key::GroupName, "group"),
        "filter[identifier][system]" => (Key::Identifier { sought: true }, "patient"),
        // Goes with its system; words that all share, states and times.
        "filter[identifier][value]"
        | "filter[type]"
        | "filter[emailType]"
        | "filter[thread]"
        | "filter[threads]"
        | "filter[completed]"
        | "filter[archived]"
        | "filter[ready_for_fulfillment]"
        | "filter[start_at]"
        | "filter[end_at]"
        | "filter[completed_at]"
        | "filter[created_at]"
        | "filter[updated_at]" => return None,
        other => panic!("{other}: does it take an id? Then of what? Say so here"),
    })
}

/// The filters: each alone, beside each other one with a value of the caller's
/// own, and among values of its own.
pub fn of_filters(own: Own<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for operation in operations().iter().filter(|operation| !operation.path.contains("{id}")) {
        let names: Vec<_> = operation.parameters().into_iter().filter(|name| name.starts_with("filter")).collect();
        let keys: Vec<_> = names.iter().filter_map(|name| Some((*name, filter_key(name)?))).collect();
        for (name, (key, kind)) in &keys {
            let mine = own(kind);
            // Two names are one filter's.
            let is_group = |name: &str| name.starts_with("filter[group");
            let others = keys
                .iter()
                .filter(|(other, (key, _))| *key == Key::Id && other != name && !(is_group(other) && is_group(name)));
            let mut ways: Vec<_> =
                others.map(|(other, (_, kind))| (format!("{other}={}&", own(kind)), "{}".to_owned())).collect();
            if *key == Key::Id {
                ways.push((String::new(), "{}".to_owned()));
            }
            if ["filter[groups]", "filter[group]", "filter[attendees]", "filter[actions]"].contains(name) {
                let beside = ways.first().map(|(beside, _)| beside.clone()).unwrap_or_default();
                ways.extend([format!("{mine},{{}}"), format!("{{}},{mine}")].map(|value| (beside.clone(), value)));
            }
            places.extend(ways.into_iter().map(|way| Place::of_filter(operation, name, (*key, kind), way)));
        }
    }
    places
}

/// A document that is granted to the demo's clients, with one resource.
fn example(operation: &Operation) -> Option<Value> {
    let examples = follow(&operation.definition["requestBody"])["content"][JSON_API]["examples"].as_object()?;
    let mut documents = examples.values().map(|example| &follow(example)["value"]);
    Some(documents.find(|document| document["data"].is_object()).expect("an example of one").clone())
}

/// The places in documents: alone, beside one of the caller's own, and where many
/// can be sent, as the last of them.
pub fn of_documents(own: Own<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for operation in operations().iter().filter(|operation| operation.path != "/oauth/token") {
        let Some(mut example) = example(operation) else { continue };
        let many = operation.method == "POST";
        let mut path = format!("/pub{}", operation.path);
        if path.contains("{id}") {
            let id = own(example["data"]["type"].as_str().expect("a type"));
            path = path.replace("{id}", &id);
            example["data"]["id"] = id.into();
        }
        let shape = Shape::of(&follow(&operation.definition["requestBody"])["content"][JSON_API]["schema"], many);
        for place in &shape.texts {
            let Some(key) = key_of(place) else { continue };
            let document = shape.with_place(&example, place, own);
            let mut ways = vec![(place.clone(), document.clone())];
            if key == Key::Id {
                ways.extend(beside_own(&example, place, &document));
                let together = json!({"data": [example["data"], document["data"]], "meta": document["meta"]});
                ways.extend(many.then(|| (place.replacen("/data", "/data/1", 1), together)));
            }
            let kind = shape.kind_of(place);
            let of_document = |way| Place::of_document(operation, path.clone(), (key, &kind), way);
            places.extend(ways.into_iter().map(of_document));
        }
    }
    places
}

/// The place after what the example has in the same list.
fn beside_own(example: &Value, place: &str, document: &Value) -> Option<(String, Value)> {
    let (list, within) = place.rsplit_once("/0")?;
    let (own, mut document) = (example.pointer(&format!("{list}/0"))?, document.clone());
    document.pointer_mut(list)?.as_array_mut()?.insert(0, own.clone());
    Some((format!("{list}/1{within}"), document))
}

/// What leads to a resource, by the pointer to it.
fn key_of(place: &str) -> Option<Key> {
    let names: Vec<_> = place.split('/').filter(|name| !name.is_empty() && *name != "0").collect();
    match names.as_slice() {
        [.., "id" | "user" | "attendee" | "completed_by" | "organization" | "groups" | "_actions"] => Some(Key::Id),
        [.., "query", "name"] => Some(Key::GroupName),
        [.., within, "value"] if within.starts_with("identifier") => {
            Some(Key::Identifier { sought: names.contains(&"relationships") })
        }
        [
            ..,
            "system" | "label" | "value" | "name" | "title" | "tagline" | "description" | "type" | "time_zone"
            | "location" | "_thread" | "bio" | "first_name" | "last_name" | "email_address" | "birth_date" | "gender"
            | "note" | "lines" | "budget_unit",
        ] => None,
        other => panic!("{other:?}: does it take an id? Say so here"),
    }
}
