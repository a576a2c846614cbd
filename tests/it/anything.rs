//! Requests that nobody has thought of: any JSON anywhere in a document, any
//! parameters on a list. Each is granted or refused as the contract says, never
//! answered with a fault of ours, and on both databases alike. `PROPTEST_CASES`
//! says how many are tried.

use std::env;

use actix_web::http::Method;
use actix_web::rt::{System, SystemRunner};
use actix_web::test::TestRequest;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::contract::JSON_API;
use crate::support::{Client, Operation, TestApp, each, follow, operations};

const ORGANIZATION: &str = "63dab3ff741e089d927ad216";
const GROUP: &str = "63e1356a741e089d927ad217";
const PATIENT: &str = "64062e37741e089d927ad224";

/// Texts that mean something somewhere, or are hard to store.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "\0",
    "a\0b",
    "é\u{301}",
    "\u{feff}",
    "😀",
    "null",
    "true",
    "-1",
    "1e400",
    "0.00001",
    "50",
    "1000",
    ORGANIZATION,
    GROUP,
    PATIENT,
    "2026-03-02",
    "2026-03-02T08:00:00Z",
    "2026-01-01T00:00:00Z..",
    "+999999-01-01T00:00:00Z",
    "America/New_York",
];

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![select(&TEXTS[..]).prop_map(str::to_owned), any::<String>()]
}

/// Any JSON, with the names of members that are read somewhere.
fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 12] =
        ["system", "value", "type", "id", "data", "unique", "label", "primary", "meta", "query", "identifier", "line1"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop_oneof![select(&NAMES[..]).prop_map(str::to_owned), texts()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// The demo on each database, as one caller sees it.
struct Everywhere {
    system: SystemRunner,
    clients: Vec<Client>,
}

impl Everywhere {
    fn start() -> Self {
        let system = System::new();
        let clients = system.block_on(async {
            let mut clients = Vec::new();
            for database in each() {
                clients.push(TestApp::new(database).await.organization().await);
            }
            clients
        });
        Self { system, clients }
    }

    /// Sends the same everywhere and compares the answers.
    fn send(&self, request: impl Fn(&Client) -> TestRequest) {
        let send = |client: &Client| {
            let answer = self.system.block_on(client.send(request(client)));
            assert!(answer.status < 500, "{}", answer.text);
            (answer.status, answer.text)
        };
        let answers: Vec<_> = self.clients.iter().map(send).collect();
        for (status, text) in &answers {
            assert_eq!(*status, answers[0].0, "{}\n{text}", answers[0].1);
        }
    }
}

/// The same cases each time, so that a run says something about the change that
/// it is of.
fn runner() -> TestRunner {
    let cases = env::var("PROPTEST_CASES").map_or(120, |cases| cases.parse().expect("PROPTEST_CASES is a number"));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// The pointers to all that is in a document.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    let mut add = |name: &str, value: &Value| {
        let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        places(value, &place, found);
        found.push(place);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| add(&index.to_string(), value)),
        _ => {}
    }
}

/// The requests of the contract that send a document with a token.
fn documents() -> Vec<(&'static Operation, Value)> {
    let examples = |operation: &'static Operation| {
        let examples = &follow(&operation.definition["requestBody"])["content"][JSON_API]["examples"];
        let examples = examples.as_object().into_iter().flatten();
        examples.map(move |(_, example)| (operation, follow(example)["value"].clone()))
    };
    operations().iter().filter(|operation| operation.path != "/oauth/token").flat_map(examples).collect()
}

#[test]
fn any_json_anywhere_in_a_document_is_granted_or_refused() {
    let (everywhere, documents) = (Everywhere::start(), documents());
    assert!(documents.len() > 15);
    let case = (select(documents), any::<Index>(), any_json());
    let outcome = runner().run(&case, |((operation, mut document), place, value)| {
        let id = document["data"]["id"].as_str().unwrap_or_default();
        let path = format!("/pub{}", operation.path.replace("{id}", id));
        let mut found = Vec::new();
        places(&document, "", &mut found);
        *document.pointer_mut(&found[place.index(found.len())]).unwrap() = value;
        everywhere.send(|client| {
            let request = client.request(operation.method.clone(), &path);
            request.insert_header(("Content-Type", JSON_API)).set_payload(document.to_string())
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_parameters_of_a_list_are_granted_or_refused() {
    let everywhere = Everywhere::start();
    let list = |operation: &&Operation| operation.method == Method::GET && !operation.path.contains('{');
    let lists: Vec<&'static Operation> =
        operations().iter().filter(list).filter(|operation| !operation.parameters().is_empty()).collect();
    assert!(lists.len() > 10);
    let pair = (any::<Index>(), prop::option::weighted(0.2, texts()), texts());
    let case = (select(lists), any::<bool>(), prop::collection::vec(pair, 0..4));
    let outcome = runner().run(&case, |(operation, filtered, pairs)| {
        let names = operation.parameters();
        let mut query = form_urlencoded::Serializer::new(String::new());
        // Without one of these most lists are refused at once.
        let known = [("filter[organization]", ORGANIZATION), ("filter[groups]", GROUP), ("filter[patient]", PATIENT)];
        query.extend_pairs(known.iter().filter(|(name, _)| filtered && names.contains(name)).take(1));
        for (name, other, value) in &pairs {
            query.append_pair(other.as_deref().unwrap_or(names[name.index(names.len())]), value);
        }
        let path = format!("/pub{}?{}", operation.path, query.finish());
        everywhere.send(|client| client.request(Method::GET, &path));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
