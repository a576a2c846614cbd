//! Who is who in the demo, and the bodies that add to it.

use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp};

/// Groups of the demo; its restricted client sees the first alone.
pub const DIABETES: &str = "63e1356a741e089d927ad217";
pub const HEART: &str = "63e27027741e089d927ad218";
pub const WEIGHT: &str = "643ebbbeb46c643c507ad219";
pub const EASTSIDE: &str = "659d8885fa867d8b7c7ad21a";

/// Coaches of the demo. The restricted client sees the first two, not the third.
pub const CASTELLANOS: &str = "63e3cad7741e089d927ad21c";
pub const WHITCOMBE: &str = "63e52bcc741e089d927ad21d";
pub const DRAGUSIN: &str = "644183f7b46c643c507ad21f";

/// In Diabetes Together and Heart & Blood Pressure, with two coaches.
pub const OSTRANDER: &str = "64062e37741e089d927ad224";
/// In Heart & Blood Pressure alone.
pub const ODWYER: &str = "6419ae7b741e089d927ad228";

/// Of the other organization.
pub const STRANGE_GROUP: &str = "646249ff86f89266d12f13ec";
pub const STRANGE_COACH: &str = "646ba77b86f89266d12f13f2";
pub const STRANGE_PATIENT: &str = "647e09d486f89266d12f13f6";

/// An id that nothing has.
pub const UNKNOWN: &str = "ffffffffffffffffffffffff";

/// The data of a relationship to these groups.
pub fn groups(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({"type": "group", "id": id})).collect()
}

/// The data of a relationship to these coaches, none of them primary.
pub fn coaches(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({"type": "coach", "id": id})).collect()
}

/// A new patient in Diabetes Together.
pub fn patient(attributes: &Value) -> Value {
    patient_in(&groups(&[DIABETES]), attributes)
}

/// A new patient in these groups.
pub fn patient_in(groups: &Value, attributes: &Value) -> Value {
    json!({"type": "patient", "attributes": attributes, "relationships": {"groups": {"data": groups}}})
}

/// A new patient whom another system knows by this.
pub fn patient_known_as(system: &str, value: &str) -> Value {
    patient(&json!({"identifiers": [{"system": system, "value": value}]}))
}

/// A document with this in `data`.
pub fn document(data: &Value) -> Value {
    json!({ "data": data })
}

/// A change of the patient of this id.
pub fn change(id: &str, attributes: &Value) -> Value {
    json!({"data": {"type": "patient", "id": id, "attributes": attributes}})
}

/// A change of the groups of the patient of this id.
pub fn change_of_groups(id: &str, groups: &Value) -> Value {
    json!({"data": {"type": "patient", "id": id, "relationships": {"groups": {"data": groups}}}})
}

/// How many patients the demo has.
pub async fn count_patients(app: &TestApp) -> i64 {
    let path = format!("/pub/patient?filter[organization]={}&page[size]=0", app.demo.organization);
    app.organization().await.get(&path).await.expect_status(200).count()
}

/// The attributes of the patient of this id.
pub async fn attributes(client: &Client, id: &str) -> Value {
    client.get(&format!("/pub/patient/{id}")).await.expect_status(200).body["data"]["attributes"].clone()
}

/// The ids that a resource's relationship names.
pub fn related(resource: &Value, relationship: &str) -> Vec<String> {
    let data = resource["relationships"][relationship]["data"].as_array().expect("a relationship to many");
    data.iter().map(|identifier| identifier["id"].as_str().unwrap().to_owned()).collect()
}

/// Status and place of each error, without its words.
pub fn places(response: &Response) -> Vec<String> {
    response.errors().lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
}

/// `meta.ignored`, sorted.
pub fn ignored(response: &Response) -> Vec<String> {
    let ignored = response.body["meta"]["ignored"].as_array().cloned().unwrap_or_default();
    let mut ignored: Vec<_> = ignored.iter().map(|pointer| pointer.as_str().unwrap().to_owned()).collect();
    ignored.sort();
    ignored
}
