//! The contract as data: its operations, and whether an answer is as it says.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use actix_web::http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::Response;

/// An operation of `schema/openapi.yaml`.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// Its path, with `{id}` in it where one is needed.
    pub path: String,
    pub definition: Value,
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let yaml = include_str!("../../../schema/openapi.yaml");
    serde_saphyr::from_str(yaml).expect("schema/openapi.yaml is YAML")
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// All operations, in the order of the contract's paths.
pub fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(read_operations);
    &OPERATIONS
}

/// The operation that a request is, by its path below `/pub`.
pub fn operation(method: &Method, uri: &str) -> Option<&'static Operation> {
    let (path, _) = uri.split_once('?').unwrap_or((uri, ""));
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let ["pub", parts @ ..] = parts.as_slice() else { return None };
    operations().iter().find(|operation| operation.fits(method, parts))
}

fn read_operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, definition) in item.as_object().expect("a path") {
            if let Some(id) = definition["operationId"].as_str() {
                operations.push(Operation {
                    id: id.to_owned(),
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    definition: definition.clone(),
                });
            }
        }
    }
    operations
}

impl Operation {
    /// The statuses that it documents.
    pub fn statuses(&self) -> Vec<u16> {
        let responses = self.definition["responses"].as_object().expect("responses");
        responses.keys().filter_map(|status| status.parse().ok()).collect()
    }

    /// The names of its parameters.
    pub fn parameters(&self) -> Vec<&str> {
        let parameters = self.definition["parameters"].as_array().into_iter().flatten();
        parameters.map(|parameter| follow(parameter)["name"].as_str().expect("a name")).collect()
    }

    fn fits(&self, method: &Method, path: &[&str]) -> bool {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let ours: Vec<_> = self.path.split('/').skip(1).collect();
        *method == self.method
            && ours.len() == path.len()
            && ours.iter().zip(path).all(|(ours, theirs)| ours.starts_with('{') || ours == theirs)
    }
}

/// Fails the test unless the answer is one that the contract documents.
pub fn check(method: &Method, uri: &str, response: &Response) {
    // Sparse fieldsets leave out what the schema requires; other paths and methods are nobody's operation.
    let sparse = uri.split_once('?').is_some_and(|(_, query)| query.contains("fields"));
    let (Some(operation), false) = (operation(method, uri), sparse || *method == Method::HEAD) else { return };

    let status = response.status.to_string();
    let documented = follow(&operation.definition["responses"][&status]);
    assert!(documented.is_object(), "{} does not document {status}: {}", operation.id, response.text);
    for (name, header) in documented["headers"].as_object().into_iter().flatten() {
        let (header, sent) = (follow(header), response.headers.contains_key(name));
        let value = Value::from(response.header(name));
        let fits = header["schema"]["type"] == "integer" || faults(name, &header["schema"], &value).is_empty();
        assert!(if sent { fits } else { header["required"] != true }, "{} {status} has {name}: {value}", operation.id);
    }
    if documented["content"].is_null() {
        assert_eq!(response.text, "", "{} documents no body with {status}", operation.id);
        return;
    }
    let media_type = response.header("content-type");
    let schema = &documented["content"][media_type]["schema"];
    assert!(schema.is_object(), "{} does not document {media_type:?} with {status}", operation.id);

    let key = format!("{} {status} {media_type}", operation.id);
    let faults = faults(&key, schema, &response.body);
    assert!(faults.is_empty(), "{key} is not as documented:\n{}\n{}", faults.join("\n"), response.text);
}

/// What a schema of the contract finds wrong with a value; `key` is the schema's alone.
pub fn faults(key: &str, schema: &Value, value: &Value) -> Vec<String> {
    let validator = {
        let mut validators = VALIDATORS.lock().unwrap();
        let make = || {
            let root = json!({ "allOf": [schema], "components": {"schemas": DOCUMENT["components"]["schemas"]} });
            Arc::new(jsonschema::draft202012::new(&root).unwrap_or_else(|error| panic!("{key}: {error}")))
        };
        validators.entry(key.to_owned()).or_insert_with(make).clone()
    };
    let errors = validator.iter_errors(value);
    errors.map(|error| format!("  {} {error} (schema {})", error.instance_path(), error.schema_path())).collect()
}

/// A part of the contract, or what it refers to.
pub fn follow(node: &Value) -> &Value {
    match node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => DOCUMENT.pointer(pointer).expect("a reference leads somewhere"),
        None => node,
    }
}
