//! Three gateways on one PostgreSQL, asked in turn: to a client they are one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use retwine::demo;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::serving::{Answer, Server};
use crate::support::Database;

const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// Of the fixtures: 100 of its 500 points remain.
const POINTS: &str = "68c814d846a2c9c7467ad515";

/// Gateways, and whose turn it is.
struct Gateways {
    servers: Vec<Server>,
    turn: AtomicUsize,
    operator: Operator,
    _database: Database,
}

impl Gateways {
    /// `None` where there is no PostgreSQL.
    fn start() -> Option<Self> {
        let database = Database::postgres()?;
        let operator = Operator::of(&database);
        let serve = ["serve", "--bind", "127.0.0.1:0"];
        let servers = (0..3).map(|_| Server::start(&operator, &serve)).collect();
        Some(Self { servers, turn: AtomicUsize::new(0), operator, _database: database })
    }

    fn next(&self) -> &Server {
        &self.servers[self.turn.fetch_add(1, Ordering::SeqCst) % self.servers.len()]
    }

    /// What each of so many equal requests is answered, all sent at once.
    fn send_at_once(&self, count: usize, method: &str, path: &str, headers: &str, document: &Value) -> Vec<Answer> {
        thread::scope(|threads| {
            let send = || self.next().send(method, path, headers, document);
            let answers: Vec<_> = (0..count).map(|_| threads.spawn(send)).collect();
            answers.into_iter().map(|answer| answer.join().unwrap()).collect()
        })
    }
}

fn token_request(attributes: &Value) -> Value {
    json!({"data": {"type": "token", "attributes": attributes}})
}

#[test]
fn a_token_of_one_gateway_is_good_and_is_revoked_at_all() {
    let Some(gateways) = Gateways::start() else { return };
    let [demo, _] = demo::credentials().unwrap();
    let credentials = json!({"grant_type": "client_credentials", "client_id": demo.client_id,
        "client_secret": demo.client_secret});
    let token = gateways.next().send("POST", "/pub/oauth/token", "", &token_request(&credentials)).json();
    let attributes = &token["data"]["attributes"];
    let bearer = format!("Authorization: Bearer {}\r\n", attributes["access_token"].as_str().unwrap());
    let group = format!("/pub/group/{}", demo.group);
    for server in &gateways.servers {
        assert_eq!(server.get(&group, &bearer).status(), 200);
    }

    // A refresh token works once, wherever it is used; the second use ends its family.
    let refresh = json!({"grant_type": "refresh_token", "client_id": demo.client_id,
        "refresh_token": attributes["refresh_token"]});
    let answers = gateways.send_at_once(6, "POST", "/pub/oauth/token", "", &token_request(&refresh));
    let mut statuses: Vec<_> = answers.iter().map(Answer::status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401, 401, 401, 401, 401]);
    // The bound that is stated for what a gateway has looked up.
    thread::sleep(Duration::from_secs(1));
    for server in &gateways.servers {
        assert_eq!(server.get(&group, &bearer).status(), 401);
    }

    let bearer = gateways.next().authorization();
    for server in &gateways.servers {
        assert_eq!(server.get(&group, &bearer).status(), 200);
    }
    gateways.operator.run(&["client", "revoke", &demo.client_id]).done();
    thread::sleep(Duration::from_secs(1));
    for server in &gateways.servers {
        assert_eq!(server.get(&group, &bearer).status(), 401);
    }
}

#[test]
fn what_is_unique_is_unique_across_gateways() {
    let Some(gateways) = Gateways::start() else { return };
    let [demo, _] = demo::credentials().unwrap();
    let bearer = gateways.next().authorization();
    let groups = json!({"data": [{"type": "group", "id": demo.group}]});
    let patient = json!({"data": {
        "type": "patient",
        "attributes": {"last_name": "Okonkwo", "identifiers": [{"system": "emr", "value": "scale-1"}]},
        "relationships": {"groups": groups},
    }});
    let created = gateways.send_at_once(9, "POST", "/pub/patient", &bearer, &patient);
    assert_eq!(created.iter().filter(|answer| answer.status() == 201).count(), 1);
    assert_eq!(created.iter().filter(|answer| answer.status() == 409).count(), 8);

    let upsert = json!({
        "data": {"type": "patient", "attributes": {"last_name": "Okonkwo"}, "relationships": {"groups": groups}},
        "meta": {"query": {"identifier": {"system": "emr", "value": "scale-2"}, "groups": [demo.group]}},
    });
    let upserted = gateways.send_at_once(9, "PUT", "/pub/patient", &bearer, &upsert);
    let id = |answer: &Answer| answer.json()["data"]["id"].as_str().unwrap().to_owned();
    let first = id(&upserted[0]);
    assert!(upserted.iter().all(|answer| answer.status() == 200 && id(answer) == first));

    let metric = json!({
        "data": {
            "type": "patient_health_metric",
            "attributes": {"type": "weight", "value": 81.5, "unit": "kg", "occurred_at": "2026-03-02T08:00:00Z"},
            "relationships": {"patient": {"data": {"type": "patient", "id": ACHTERBERG}}},
        },
        "meta": {"ignore_duplicates": true},
    });
    let path = format!("/pub/patient_health_metric?filter[patient]={ACHTERBERG}&page[size]=0");
    let count = |server: &Server| server.get(&path, &bearer).json()["meta"]["count"].as_i64().unwrap();
    let before = count(gateways.next());
    let posted = gateways.send_at_once(9, "POST", "/pub/patient_health_metric", &bearer, &metric);
    assert!(posted.iter().all(|answer| answer.status() == 200));
    for server in &gateways.servers {
        assert_eq!(count(server), before + 1);
    }
}

#[test]
fn a_write_with_a_key_is_carried_out_once_whichever_gateway_it_reaches() {
    let Some(gateways) = Gateways::start() else { return };
    let bearer = gateways.next().authorization();
    let headers = format!("{bearer}Idempotency-Key: scale-3\r\n");
    let group = json!({"data": {"type": "group", "attributes": {"name": "Once"}}});
    let created = gateways.send_at_once(9, "POST", "/pub/group", &headers, &group);
    assert!(created.iter().all(|answer| answer.status() == 201 && answer.body() == created[0].body()));
    let replayed = |answer: &&Answer| answer.head().contains("idempotency-replayed: true");
    assert_eq!(created.iter().filter(replayed).count(), 8);

    // Their tags are the same, too.
    let path = format!("/pub/group/{}", created[0].json()["data"]["id"].as_str().unwrap());
    let tag = |head: &str| head.lines().find(|line| line.starts_with("etag: ")).unwrap().to_owned();
    for server in &gateways.servers {
        assert_eq!(tag(server.get(&path, &bearer).head()), tag(created[0].head()));
    }
}

#[test]
fn a_budget_is_not_overdrawn_across_gateways() {
    let Some(gateways) = Gateways::start() else { return };
    let bearer = gateways.next().authorization();
    let reward = json!({"data": {
        "type": "reward",
        "attributes": {"description": "Lights out", "allocated_value": 30, "allocated_at": "2026-03-01T12:00:00Z"},
        "relationships": {"reward_program_activation": {
            "data": {"type": "reward_program_activation", "id": POINTS},
        }},
    }});
    let answers = gateways.send_at_once(9, "POST", "/pub/reward", &bearer, &reward);
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status() == 409).count(), 6);
}
