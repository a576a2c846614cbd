//! `kill -9` while requests are carried out: what was acknowledged is there whole
//! after a restart, everything else whole or not at all, and what is derived from
//! it agrees. What was sent with a key is sent again, and is then there once.
//! `KILL_ROUNDS` says how often each database goes through that.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{env, thread};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use retwine::db::Target;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::serving::{Answer, Server};
use crate::support::{Database, each};

const ORGANIZATION: &str = "63dab3ff741e089d927ad216";
const GROUP: &str = "63e1356a741e089d927ad217";
const MARIBEL: &str = "64062e37741e089d927ad224";
const PATIENTS: [&str; 3] = [MARIBEL, "6409ea55741e089d927ad227", "644ae057b46c643c507ad22a"];
/// Of the fixtures: 100 of its 500 points remain.
const POINTS: &str = "68c814d846a2c9c7467ad515";

/// Measurements of one request.
const TOGETHER: usize = 12;
/// Rewards of one round, and what each is worth.
const REWARDS: usize = 120;
const WORTH: f64 = 0.01;

/// What clients know of what they have sent.
#[derive(Default)]
struct Journal {
    /// By the unit of the measurements of a request: whether it was acknowledged.
    metrics: BTreeMap<String, bool>,
    /// By the unit of the measurements of a request with a key: its answer.
    repeatable: BTreeMap<String, Option<String>>,
    /// The units of those that were sent again.
    repeated: Vec<String>,
    /// By the name of a patient that was to be created.
    patients: BTreeMap<String, bool>,
    /// The last acknowledged name of a patient that is renamed again and again.
    renamed: Option<String>,
    /// By two rewards that were said to be earned.
    earnings: BTreeMap<[String; 2], bool>,
}

/// A client that goes on until the server is no more.
struct Sender {
    address: SocketAddr,
    bearer: String,
}

impl Sender {
    /// Whether it was acknowledged; `None` when the server died before.
    fn send(&self, method: &str, path: &str, document: &Value) -> Option<()> {
        let answer = Answer::of_dying(self.address, method, path, &self.bearer, document)?;
        assert!([200, 201].contains(&answer.status()), "{}", answer.json());
        Some(())
    }

    /// Imports with a key for each request, until the server dies; what it answered.
    fn import_with_keys(&self, round: usize) -> BTreeMap<String, Option<String>> {
        let mut answers = BTreeMap::new();
        for number in 0.. {
            let unit = format!("{round}k{number}");
            let headers = with_key(&self.bearer, &unit);
            let answer = Answer::of_dying(self.address, "POST", METRICS, &headers, &metrics(&unit));
            let lost = answer.is_none();
            answers.insert(unit, answer.map(|answer| answer.body().to_owned()));
            if lost {
                break;
            }
        }
        answers
    }

    /// Sends documents, numbered, until the server dies; the keys of those
    /// that were sent, and whether they were acknowledged.
    fn go_on<K: Ord>(
        &self,
        method: &str,
        path: &str,
        mut next: impl FnMut(usize) -> Option<(K, Value)>,
    ) -> BTreeMap<K, bool> {
        let mut sent = BTreeMap::new();
        for number in 0.. {
            let Some((key, document)) = next(number) else { break };
            let acknowledged = self.send(method, path, &document).is_some();
            sent.insert(key, acknowledged);
            if !acknowledged {
                break;
            }
        }
        sent
    }
}

const METRICS: &str = "/pub/patient_health_metric";

fn with_key(bearer: &str, key: &str) -> String {
    format!("{bearer}Idempotency-Key: {key}\r\n")
}

fn metrics(unit: &str) -> Value {
    let metric = |number: usize| {
        json!({
            "type": "patient_health_metric",
            "attributes": {"type": "weight", "value": number, "unit": unit,
                "occurred_at": format!("2026-02-01T08:{number:02}:00Z")},
            "relationships": {"patient": {"data": {"type": "patient", "id": PATIENTS[number % PATIENTS.len()]}}},
        })
    };
    json!({"data": (0..TOGETHER).map(metric).collect::<Vec<_>>()})
}

fn upsert(identifier: &str, name: &str) -> Value {
    json!({
        "data": {
            "type": "patient",
            "attributes": {"first_name": name, "last_name": name},
            "relationships": {"groups": {"data": [{"type": "group", "id": GROUP}]}},
        },
        "meta": {"query": {"identifier": {"system": "killed", "value": identifier}, "groups": [GROUP]}},
    })
}

fn rewards() -> Value {
    let reward = json!({
        "type": "reward",
        "attributes": {"description": "Lights out", "allocated_value": WORTH, "allocated_at": "2026-03-01T12:00:00Z"},
        "relationships": {"reward_program_activation": {"data": {"type": "reward_program_activation", "id": POINTS}}},
    });
    json!({"data": vec![reward; REWARDS]})
}

fn earnings(rewards: &[String; 2]) -> Value {
    let earning = |reward: &String| {
        json!({
            "type": "reward_earning",
            "attributes": {"earned_value": WORTH, "earned_at": "2026-03-01T18:00:00Z"},
            "relationships": {"reward": {"data": {"type": "reward", "id": reward}}},
        })
    };
    json!({"data": rewards.iter().map(earning).collect::<Vec<_>>()})
}

/// Writes all it can until the server is killed.
fn write_until_killed(mut server: Server, round: usize, journal: &mut Journal) {
    let sender = Sender { address: server.address(), bearer: server.authorization() };
    let allocated = server.send("POST", "/pub/reward", &sender.bearer, &rewards()).json();
    let ids: Vec<_> = data(&allocated).iter().map(|reward| text(&reward["id"])).collect();
    let pairs: Vec<_> = ids.chunks_exact(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect();
    thread::scope(|threads| {
        let sender = &sender;
        let imports: Vec<_> = ["a", "b"]
            .map(|who| {
                let next = move |number| {
                    let unit = format!("{round}{who}{number}");
                    let document = metrics(&unit);
                    Some((unit, document))
                };
                threads.spawn(move || sender.go_on("POST", METRICS, next))
            })
            .into();
        let repeatable = threads.spawn(move || sender.import_with_keys(round));
        let creations = threads.spawn(move || {
            sender.go_on("PUT", "/pub/patient", |number| {
                let name = format!("new {round} {number}");
                let document = upsert(&name, &name);
                Some((name, document))
            })
        });
        let renamings = threads.spawn(move || {
            sender.go_on("PUT", "/pub/patient", |number| {
                // Ascending, as a text.
                let name = format!("{round:04} {number:06}");
                let document = upsert("renamed", &name);
                Some((name, document))
            })
        });
        let earned = threads.spawn(move || {
            let next = |number: usize| pairs.get(number).map(|pair| (pair.clone(), earnings(pair)));
            sender.go_on("POST", "/pub/reward_earning", next)
        });
        thread::sleep(Duration::from_millis(200 + (round as u64 * 137) % 400));
        server.kill();
        for import in imports {
            journal.metrics.extend(import.join().unwrap());
        }
        journal.repeatable.extend(repeatable.join().unwrap());
        journal.patients.extend(creations.join().unwrap());
        journal.earnings.extend(earned.join().unwrap());
        let last = renamings.join().unwrap().into_iter().rfind(|(_, acknowledged)| *acknowledged);
        journal.renamed = last.map(|(name, _)| name).or(journal.renamed.take());
    });
}

/// Sends again what was sent with a key, and notes that it is there now. The
/// number of requests that were stored, though nobody was told.
fn repeat(server: &Server, journal: &mut Journal) -> usize {
    let (bearer, mut untold) = (server.authorization(), 0);
    for (unit, first) in std::mem::take(&mut journal.repeatable) {
        let again = server.send("POST", METRICS, &with_key(&bearer, &unit), &metrics(&unit));
        assert_eq!(again.status(), 200, "{}", again.body());
        let replayed = again.head().contains("idempotency-replayed: true");
        match first {
            Some(first) => assert!(replayed && again.body() == first, "{unit}: {first}\n{}", again.body()),
            None => untold += usize::from(replayed),
        }
        journal.repeated.push(unit);
    }
    untold
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn data(document: &Value) -> &[Value] {
    document["data"].as_array().unwrap_or_else(|| panic!("no list: {document}"))
}

/// All of a list, and that as many are there as it says.
fn all(server: &Server, bearer: &str, path: &str) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), Some(format!("{path}&page[limit]=1000")));
    let mut counts = BTreeSet::new();
    while let Some(path) = next {
        let page = server.get(&path, bearer).json();
        counts.insert(page["meta"]["count"].as_u64().unwrap());
        rows.extend_from_slice(data(&page));
        next = page["links"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(counts, BTreeSet::from([rows.len() as u64]), "{path}");
    rows
}

/// Compares what is stored with what was sent.
fn check(server: &Server, journal: &Journal) {
    let bearer = server.authorization();
    check_metrics(server, &bearer, journal);
    check_patients(server, &bearer, journal);
    check_rewards(server, &bearer, journal);
}

fn check_metrics(server: &Server, bearer: &str, journal: &Journal) {
    let mut of_patient: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_unit: BTreeMap<String, usize> = BTreeMap::new();
    for metric in all(server, bearer, &format!("/pub/patient_health_metric?filter[organization]={ORGANIZATION}")) {
        *of_patient.entry(text(&metric["relationships"]["patient"]["data"]["id"])).or_default() += 1;
        *of_unit.entry(metric["attributes"]["unit"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    for (unit, acknowledged) in journal.metrics.iter().chain(journal.repeated.iter().map(|unit| (unit, &true))) {
        let stored = of_unit.get(unit).copied().unwrap_or_default();
        assert!(stored == TOGETHER || (stored == 0 && !acknowledged), "{stored} of {unit}");
    }
    for patient in PATIENTS {
        let path = format!("/pub/patient_health_metric?filter[patient]={patient}&page[size]=0");
        let count = server.get(&path, bearer).json()["meta"]["count"].as_u64();
        assert_eq!(count, Some(of_patient[patient] as u64), "{patient}");
    }
}

fn check_patients(server: &Server, bearer: &str, journal: &Journal) {
    let patients = all(server, bearer, &format!("/pub/patient?filter[organization]={ORGANIZATION}"));
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for patient in &patients {
        let attributes = &patient["attributes"];
        for identifier in attributes["identifiers"].as_array().unwrap() {
            if identifier["system"] == "killed" {
                assert_eq!(attributes["first_name"], attributes["last_name"]);
                names.entry(text(&identifier["value"])).or_default().push(text(&attributes["last_name"]));
            }
        }
    }
    for (name, acknowledged) in &journal.patients {
        match names.get(name) {
            Some(stored) => assert_eq!(stored, std::slice::from_ref(name)),
            None => assert!(!acknowledged, "{name} is lost"),
        }
    }
    if let Some(last) = &journal.renamed {
        let stored = &names["renamed"];
        assert!(stored.len() == 1 && stored[0] >= *last, "{stored:?}, not {last}");
    }
    // A patient is stored with all that belongs to it.
    for kind in ["patient_plan_summary", "health_profile"] {
        let path = format!("/pub/{kind}?filter[organization]={ORGANIZATION}&page[size]=0");
        let count = server.get(&path, bearer).json()["meta"]["count"].as_u64();
        assert_eq!(count, Some(patients.len() as u64), "{kind}");
    }
}

fn check_rewards(server: &Server, bearer: &str, journal: &Journal) {
    let of_activation = |row: &&Value| row["relationships"]["reward_program_activation"]["data"]["id"] == POINTS;
    let listed = |kind: &str| server.get(&format!("/pub/{kind}?filter[patient]={MARIBEL}"), bearer).json();
    let (rewards, earnings) = (listed("reward"), listed("reward_earning"));
    let rewards: Vec<_> = data(&rewards).iter().filter(of_activation).collect();
    let earnings: Vec<_> = data(&earnings).iter().filter(of_activation).collect();
    let earned: Vec<_> =
        earnings.iter().map(|earning| text(&earning["relationships"]["reward"]["data"]["id"])).collect();
    for (pair, acknowledged) in &journal.earnings {
        let stored = pair.iter().map(|reward| earned.iter().filter(|id| *id == reward).count()).collect::<Vec<_>>();
        assert!(stored == [1, 1] || (stored == [0, 0] && !acknowledged), "{stored:?} of {pair:?}");
    }
    let sum = |rows: &[&Value], name: &str| {
        let hundredths = |row: &&Value| (row["attributes"][name].as_f64().unwrap() * 100.0).round();
        rows.iter().map(hundredths).sum::<f64>()
    };
    let activation = server.get(&format!("/pub/reward_program_activation/{POINTS}"), bearer).json();
    let activation = &activation["data"]["attributes"];
    assert_eq!(activation["allocated_count"], rewards.len());
    assert_eq!(activation["earned_count"], earnings.len());
    let total = |name: &str| (activation[name].as_f64().unwrap() * 100.0).round();
    assert!((total("total_allocated_value") - sum(&rewards, "allocated_value")).abs() < 0.5);
    assert!((total("total_earned_value") - sum(&earnings, "earned_value")).abs() < 0.5);
}

/// PostgreSQL finishes what it was told by a gateway that is gone; until then
/// nothing can be counted.
fn settle(database: &Database) {
    if let Target::Sqlite(_) = database.target {
        return;
    }
    let (mut db, began) = (database.connect(), Instant::now());
    let others =
        "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())";
    while diesel::select(sql::<BigInt>(others)).get_result::<i64>(&mut db).unwrap() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "connections of the dead remain");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_whole_and_the_rest_whole_or_not_at_all() {
    let rounds = env::var("KILL_ROUNDS").map_or(2, |rounds| rounds.parse().expect("KILL_ROUNDS is a number"));
    for database in each() {
        eprintln!("on {}", database.name());
        let operator = Operator::of(&database);
        let serve = ["serve", "--bind", "127.0.0.1:0"];
        let (mut journal, mut untold) = (Journal::default(), 0);
        for round in 0..rounds {
            write_until_killed(Server::start(&operator, &serve), round, &mut journal);
            settle(&database);
            let server = Server::start(&operator, &serve);
            untold += repeat(&server, &mut journal);
            check(&server, &journal);
        }
        let acknowledged = |all: Vec<&bool>| all.into_iter().filter(|acknowledged| **acknowledged).count();
        let counts = [
            acknowledged(journal.metrics.values().collect()),
            acknowledged(journal.patients.values().collect()),
            acknowledged(journal.earnings.values().collect()),
        ];
        eprintln!(
            "acknowledged before a kill: {counts:?}, of {} {} {}",
            journal.metrics.len(),
            journal.patients.len(),
            journal.earnings.len()
        );
        let repeated = journal.repeated.len();
        eprintln!("sent again with a key: {repeated}, stored without a word before the kill: {untold}");
        assert!(counts.iter().all(|count| *count > 0) && repeated > rounds, "{counts:?} {repeated}");
    }
}
