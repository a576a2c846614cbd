//! Who has what in the demo, by its fixtures alone: what the program says of that
//! is what is to be tested.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// An id with the type of what has it; `TYPE _id` for a part of a resource.
pub type Named = (String, String);

/// The resources of one organization.
pub struct Fixture(BTreeMap<Named, Value>);

impl Fixture {
    pub fn demo() -> Self {
        Self::read(include_str!("../../../fixtures/demo.json"))
    }

    pub fn stranger() -> Self {
        Self::read(include_str!("../../../fixtures/stranger.json"))
    }

    fn read(text: &str) -> Self {
        let fixture: Value = serde_json::from_str(text).unwrap();
        let named = |resource: &Value| ((text_of(resource, "type"), text_of(resource, "id")), resource.clone());
        Self(fixture["data"].as_array().unwrap().iter().map(named).collect())
    }

    /// All ids.
    pub fn ids(&self) -> BTreeSet<Named> {
        self.ids_of(|_| true)
    }

    /// The ids of what a client of this group alone does not see.
    pub fn hidden_from(&self, group: &str) -> BTreeSet<Named> {
        self.ids_of(|resource| self.hides(resource, group))
    }

    fn ids_of(&self, which: impl Fn(&Value) -> bool) -> BTreeSet<Named> {
        let mut found = BTreeSet::new();
        for ((kind, id), resource) in self.0.iter().filter(|(_, resource)| which(resource)) {
            found.insert((kind.clone(), id.clone()));
            parts(&resource["attributes"], &format!("{kind} _id"), &mut found);
        }
        found
    }

    /// Of the group is what hangs on it, or on a patient who is in it.
    fn hides(&self, resource: &Value, group: &str) -> bool {
        match resource["type"].as_str().unwrap() {
            "group" => resource["id"] != group,
            "patient" => !related(resource, "groups").contains(group),
            "coach" => {
                let cared_for = |patient: &Value| {
                    related(patient, "groups").contains(group)
                        && related(patient, "coaches").contains(&text_of(resource, "id"))
                };
                !related(resource, "groups").contains(group) && !self.0.values().any(cared_for)
            }
            _ => {
                let relationships = resource["relationships"].as_object().into_iter().flatten();
                let decisive =
                    relationships.filter(|(name, _)| !["sender", "question_definition"].contains(&name.as_str()));
                let targets = decisive.map(|(_, relationship)| &relationship["data"]).filter(|data| data.is_object());
                targets.filter_map(|target| self.find(target)).any(|target| self.hides(target, group))
            }
        }
    }

    /// What is related. A plan has the id of its patient, and not each is in the fixture.
    fn find(&self, target: &Value) -> Option<&Value> {
        let id = text_of(target, "id");
        let find = |kind: String| self.0.get(&(kind, id.clone()));
        find(text_of(target, "type")).or_else(|| find("patient".to_owned()))
    }

    /// The system and the value of each identifier of patients of whom this holds.
    pub fn identifiers(&self, of: impl Fn(&str) -> bool) -> BTreeSet<(String, String)> {
        let patients = self.0.iter().filter(|((kind, id), _)| kind == "patient" && of(id));
        let identifiers =
            patients.flat_map(|(_, patient)| patient["attributes"]["identifiers"].as_array().into_iter().flatten());
        identifiers.map(|identifier| (text_of(identifier, "system"), text_of(identifier, "value"))).collect()
    }

    /// The names of groups.
    pub fn group_names(&self) -> BTreeSet<String> {
        let groups = self.0.iter().filter(|((kind, _), _)| kind == "group");
        groups.map(|(_, group)| text_of(&group["attributes"], "name")).collect()
    }

    /// The first of a type that is none of these.
    pub fn first(&self, kind: &str, but: &BTreeSet<Named>) -> Option<String> {
        let mut known = self.0.keys().filter(|named| named.0 == kind && !but.contains(*named));
        known.next().map(|(_, id)| id.clone())
    }
}

fn text_of(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn related(resource: &Value, name: &str) -> BTreeSet<String> {
    let data = resource["relationships"][name]["data"].as_array().into_iter().flatten();
    data.map(|identifier| text_of(identifier, "id")).collect()
}

/// The ids of parts.
fn parts(value: &Value, kind: &str, found: &mut BTreeSet<Named>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("_id").and_then(Value::as_str).map(|id| (kind.to_owned(), id.to_owned())));
            members.values().for_each(|member| parts(member, kind, found));
        }
        Value::Array(items) => items.iter().for_each(|item| parts(item, kind, found)),
        _ => {}
    }
}
