//! The examples in the contract: requests that the demo grants, and what it
//! answers. Those are written by `EXAMPLES=write cargo test --test it examples`.

use std::collections::BTreeMap;
use std::{env, fs};

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::contract::{JSON_API, samples};
use crate::support::{Client, Operation, Response, TestApp, faults, follow, on_each_database, operations};

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/openapi.yaml");
const BEGIN: &str = "    # What the demo answers: ";
const END: &str = "    # End of what the demo answers.";

/// What is another in each answer, and what stands there in the examples.
const RANDOM: [(&str, &str); 5] = [
    ("/meta/req_id", "1b0f6a52-7d3e-4c19-8a64-2f95c0e7d381"),
    ("/data/attributes/access_token", "9c27e4d0-5b18-4f6a-b3c9-71d8e02a6f45"),
    ("/data/attributes/refresh_token", "e6a3190b-84cd-4e72-9f05-3bc8d71f2a60"),
    ("/access_token", "9c27e4d0-5b18-4f6a-b3c9-71d8e02a6f45"),
    ("/refresh_token", "e6a3190b-84cd-4e72-9f05-3bc8d71f2a60"),
];

/// The id in the examples of what is made for the answer.
const NEW: &str = "69a5571a3c8e0d42b7f61c95";

/// The examples of a body, by name.
fn examples(media: &Value) -> Vec<(&String, &Value)> {
    let examples = media["examples"].as_object().into_iter().flatten();
    examples.map(|(name, example)| (name, &follow(example)["value"])).collect()
}

/// The bodies of an operation, by media type: of its requests, and of the
/// answers to those that are granted.
fn bodies(operation: &Operation) -> Vec<(String, &Value)> {
    let granted = operation.statuses().into_iter().filter(|status| *status < 300);
    let answers = granted.map(|status| &operation.definition["responses"][status.to_string()]);
    let content = |body| follow(body)["content"].as_object().into_iter().flatten();
    let named = |(name, body): (&String, _)| (format!("{} {name}", operation.id), body);
    answers.chain([&operation.definition["requestBody"]]).flat_map(content).map(named).collect()
}

#[test]
fn every_body_of_the_contract_has_an_example_and_each_is_as_documented() {
    for (name, body) in operations().iter().flat_map(bodies) {
        let examples = examples(body);
        assert!(!examples.is_empty(), "{name} has no example");
        for (example, value) in examples {
            let faults = faults(&body["schema"].to_string(), &body["schema"], value);
            assert!(faults.is_empty(), "{example} of {name}:\n{}", faults.join("\n"));
        }
    }
}

#[actix_web::test]
async fn the_demo_grants_every_request_that_is_an_example() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for operation in operations() {
            let body = &follow(&operation.definition["requestBody"])["content"];
            let mut sent = Vec::new();
            for media_type in [JSON_API, "application/json"] {
                for (name, example) in examples(&body[media_type]) {
                    if sent.contains(&example) {
                        continue;
                    }
                    sent.push(example);
                    let id = example["data"]["id"].as_str().unwrap_or_default();
                    let path = format!("/pub{}", operation.path.replace("{id}", id));
                    let request = client.request(operation.method.clone(), &path);
                    let request = request.insert_header(("Content-Type", media_type)).set_payload(example.to_string());
                    let answer = client.send(request).await;
                    // A refresh token is good once, for whom it was made.
                    let granted = if name == "refresh" { answer.status == 401 } else { answer.status < 300 };
                    assert!(granted, "{name} of {}: {}", operation.id, answer.text);
                    assert!(answer.body["meta"]["ignored"].is_null(), "{name} of {}: {}", operation.id, answer.text);
                }
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn the_answers_that_are_examples_are_the_demos() {
    let write = env::var("EXAMPLES").is_ok_and(|value| value == "write");
    on_each_database(async |app| {
        let answers = answers(&app).await;
        if write {
            let text = fs::read_to_string(CONTRACT).unwrap();
            let (before, rest) = text.split_once(BEGIN).unwrap();
            let (comment, rest) = rest.split_once('\n').unwrap();
            let (_, after) = rest.split_once(END).unwrap();
            let example = |(name, answer)| format!("    {name}:\n      value:{}\n", Yaml(8).block(answer));
            let examples: Vec<_> = answers.iter().map(example).collect();
            fs::write(CONTRACT, format!("{before}{BEGIN}{comment}\n{}{END}{after}", examples.concat())).unwrap();
            return;
        }
        for (name, answer) in answers {
            let reference = json!({"$ref": format!("#/components/examples/{name}")});
            let why = format!("the example {name} is out of date; run EXAMPLES=write cargo test --test it examples");
            assert_eq!(follow(&reference)["value"], answer, "{why}");
        }
    })
    .await;
}

/// What the demo answers, by the names of the contract's responses. The others
/// look alike, and share these examples.
async fn answers(app: &TestApp) -> BTreeMap<String, Value> {
    let (client, mut samples) = samples(app).await;
    // What changes something comes last, a type's own list before those of what is related.
    samples.sort_by_key(|sample| (sample.operation.method != Method::GET, sample.operation.path.matches('/').count()));
    let mut answers = BTreeMap::new();
    for sample in samples {
        let response = &sample.operation.definition["responses"][sample.status.to_string()];
        let example = &follow(response)["content"][JSON_API]["examples"]["demo"]["$ref"];
        let name = |reference: &Value| reference.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let (name, shown) = (name(&response["$ref"]), name(example));
        if name != shown || answers.contains_key(&name) {
            continue;
        }
        let uri = if name.ends_with("List") { sample.with_parameter("page[size]=1") } else { sample.uri() };
        let answer = sample.send(&client, &uri).await.expect_status(sample.status);
        // The id of a token, and of what was made just now.
        let new = match answer.body["data"]["id"].as_str() {
            Some(id) if sample.writes() => id,
            _ if sample.operation.path.starts_with("/oauth") => &sample.id,
            _ => "",
        };
        answers.insert(name, without_chance(&answer, new));
    }
    let token = token_for_form(app).await;
    answers.insert("TokenForForm".to_owned(), without_chance(&token, &token.id()));
    answers
}

async fn token_for_form(app: &TestApp) -> Response {
    let client: Client = app.anonymous();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &app.demo.client_id),
        ("client_secret", &app.demo.client_secret),
    ];
    client.send(client.request(Method::POST, "/pub/oauth/token").set_form(form)).await.expect_status(200)
}

/// An answer without what is another each time.
fn without_chance(answer: &Response, id: &str) -> Value {
    let mut text = answer.text.clone();
    if !id.is_empty() {
        text = text.replace(id, NEW);
    }
    for (pointer, stand_in) in RANDOM {
        if let Some(random) = answer.body.pointer(pointer).and_then(Value::as_str) {
            text = text.replace(random, stand_in);
        }
    }
    serde_json::from_str(&text).unwrap()
}

/// Writes YAML as the rest of the contract is written, at an indentation.
struct Yaml(usize);

impl Yaml {
    const WIDTH: usize = 120;

    /// A value in lines of its own, as far as one line is not enough.
    fn block(&self, value: &Value) -> String {
        let indentation = " ".repeat(self.0);
        let deeper = Self(self.0 + 2);
        match value {
            Value::Object(members) if !members.is_empty() => {
                let member = |(name, value): (&str, &Value)| {
                    let line = format!("\n{indentation}{name}: {}", inline(value));
                    if fits(&line, value) { line } else { format!("\n{indentation}{name}:{}", deeper.block(value)) }
                };
                in_order(members).into_iter().map(member).collect()
            }
            Value::Array(items) if !items.is_empty() => {
                let item = |value: &Value| {
                    let line = format!("\n{indentation}- {}", inline(value));
                    let block = || format!("\n{indentation}- {}", deeper.block(value).trim_start());
                    if fits(&line, value) { line } else { block() }
                };
                items.iter().map(item).collect()
            }
            value => format!(" {}", inline(value)),
        }
    }
}

fn fits(line: &str, value: &Value) -> bool {
    line.chars().count() <= Yaml::WIDTH || !(value.is_object() || value.is_array())
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let members = in_order(members).into_iter().map(|(name, value)| format!("{name}: {}", inline(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.contains(char::is_control) => value.to_string(),
        Value::String(text) => {
            let word = text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_');
            let named = text.starts_with(|first: char| first.is_ascii_lowercase()) && text.len() > 3;
            let is_plain = word && named && !["true", "false", "null"].contains(&text.as_str());
            if is_plain { text.clone() } else { format!("'{}'", text.replace('\'', "''")) }
        }
        value => value.to_string(),
    }
}

/// The members of an object as JSON:API documents have them.
fn in_order(members: &serde_json::Map<String, Value>) -> Vec<(&str, &Value)> {
    const FIRST: [&str; 7] = ["meta", "type", "id", "links", "attributes", "relationships", "data"];
    let mut members: Vec<_> = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
    members.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    members
}
