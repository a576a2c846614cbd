//! Connections to PostgreSQL that are cut, as by a server that restarts: between
//! requests, during them, and at the very commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use futures_util::future::{join, join_all};
use retwine::db::Conn;
use serde_json::{Value, json};

use crate::support::{Client, Database, Response, TestApp};

/// Another client of the database, who may do anything to it.
struct Admin(Conn);

impl Admin {
    fn of(database: &Database) -> Self {
        Self(database.connect())
    }

    fn execute(&mut self, statements: &str) {
        let Conn::Postgres(connection) = &mut self.0 else { unreachable!() };
        connection.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Cuts all other connections to this database of which this holds, and says
    /// how many there were.
    fn cut(&mut self, which: &str) -> i64 {
        self.count("pg_terminate_backend(pid)", which)
    }

    /// How many connections there are to this database besides its own.
    fn others(&mut self) -> i64 {
        self.count("*", "true")
    }

    fn count(&mut self, what: &str, which: &str) -> i64 {
        let count = format!(
            "(SELECT count({what}) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which})"
        );
        diesel::select(sql::<BigInt>(&count)).get_result(&mut self.0).expect("the server answers")
    }
}

/// The application on PostgreSQL, where there is one.
async fn start() -> Option<(TestApp, Client, Admin)> {
    let app = TestApp::new(Database::postgres()?).await;
    let admin = Admin::of(&app.database);
    let client = app.organization().await;
    Some((app, client, admin))
}

fn group(name: &str) -> Value {
    json!({"data": {"type": "group", "attributes": {"name": name}}})
}

/// The names of all groups.
async fn names(client: &Client, app: &TestApp) -> Vec<String> {
    let groups = client.get(&format!("/pub/group?filter[organization]={}", app.demo.organization)).await;
    let groups = groups.expect_status(200).body;
    let name = |group: &Value| group["attributes"]["name"].as_str().unwrap().to_owned();
    groups["data"].as_array().unwrap().iter().map(name).collect()
}

/// How often there is a group of this name.
async fn stored(client: &Client, app: &TestApp, name: &str) -> usize {
    names(client, app).await.iter().filter(|stored| *stored == name).count()
}

/// Fails the test unless this is a 503 of a write that says what became of it:
/// nothing, or that nobody knows. True for the latter.
fn doubtful(answer: &Response) -> bool {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    let doubtful = answer.text.contains("it may or may not have been stored");
    assert_ne!(doubtful, answer.text.contains("nothing was stored"), "{}", answer.text);
    doubtful
}

#[actix_web::test]
async fn connections_that_are_cut_between_requests_are_noticed_by_nobody() {
    let Some((app, client, mut admin)) = start().await else { return };
    let one = format!("/pub/group/{}", app.demo.group);
    let list = format!("/pub/patient?filter[organization]={}", app.demo.organization);
    for round in 0..3 {
        // All connections of the pool are there, and are dead.
        while admin.others() < 2 {
            join_all((0..8).map(|_| client.get(&list))).await;
        }
        assert!(admin.cut("true") >= 2);
        client.get(&one).await.expect_status(200);
        admin.cut("true");
        client.get(&list).await.expect_status(200);
        assert!(admin.cut("true") >= 1);
        client.post("/pub/group", &group(&format!("Round {round}"))).await.expect_status(201);
        assert!(admin.cut("true") >= 1);
        app.organization().await;
        assert!(admin.cut("true") >= 1);
        app.anonymous().get("/readyz").await.expect_status(200);
        assert_eq!(stored(&client, &app, &format!("Round {round}")).await, 1);
    }
}

/// Cuts all connections of a database every now and then.
async fn cut_for_a_while(app: &TestApp, ended: Arc<AtomicBool>) -> i64 {
    let (mut admin, mut cut) = (Admin::of(&app.database), 0);
    for _ in 0..8 {
        sleep(Duration::from_millis(250)).await;
        // Its answer must not hold up those whose connections it cuts.
        let (back, count) = actix_web::web::block(move || {
            let count = admin.cut("true");
            (admin, count)
        })
        .await
        .unwrap();
        (admin, cut) = (back, cut + count);
    }
    ended.store(true, Ordering::SeqCst);
    cut
}

#[actix_web::test]
async fn readers_are_answered_while_connections_are_cut() {
    let Some((app, client, _)) = start().await else { return };
    let organization = &app.demo.organization;
    let paths = [
        format!("/pub/group/{}", app.demo.group),
        format!("/pub/patient?filter[organization]={organization}&page[size]=50"),
        format!("/pub/patient_plan_summary?filter[organization]={organization}"),
    ];
    let ended = Arc::new(AtomicBool::new(false));
    let reader = async |index: usize| {
        let mut answered = 0;
        while !ended.load(Ordering::SeqCst) {
            client.get(&paths[(index + answered) % paths.len()]).await.expect_status(200);
            answered += 1;
        }
        answered
    };
    let (answered, cut) = join(join_all((0..16).map(reader)), cut_for_a_while(&app, ended.clone())).await;
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
    assert!(cut >= 16, "only {cut} connections were cut");
}

#[actix_web::test]
async fn what_is_acknowledged_while_connections_are_cut_is_stored_once() {
    let Some((app, client, _)) = start().await else { return };
    let ended = Arc::new(AtomicBool::new(false));
    let writer = async |index: usize| {
        let mut answers = Vec::new();
        while !ended.load(Ordering::SeqCst) {
            let name = format!("Writer {index}, {}", answers.len());
            let answer = client.post("/pub/group", &group(&name)).await;
            answers.push((name, answer));
        }
        answers
    };
    let (answers, cut) = join(join_all((0..8).map(writer)), cut_for_a_while(&app, ended.clone())).await;
    assert!(cut >= 16, "only {cut} connections were cut");
    let mut counts: HashMap<_, usize> = HashMap::new();
    for name in names(&client, &app).await {
        *counts.entry(name).or_default() += 1;
    }
    for (name, answer) in answers.into_iter().flatten() {
        let stored = counts.get(&name).copied().unwrap_or_default();
        match answer.status {
            201 => assert_eq!(stored, 1, "{name}"),
            _ if doubtful(&answer) => assert!(stored <= 1, "{name}"),
            _ => assert_eq!(stored, 0, "{name}"),
        }
    }
}

#[actix_web::test]
async fn a_write_whose_connection_is_cut_before_the_commit_is_run_again() {
    let Some((app, client, mut admin)) = start().await else { return };
    // Sequences count on when a transaction is undone.
    admin.execute(
        "CREATE SEQUENCE cuts;
         CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('cuts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER cut AFTER INSERT ON groups FOR EACH ROW EXECUTE FUNCTION cut();",
    );
    client.post("/pub/group", &group("Second try")).await.expect_status(201);
    assert_eq!(stored(&client, &app, "Second try").await, 1);
    assert_eq!(diesel::select(sql::<BigInt>("nextval('cuts')")).get_result(&mut admin.0), Ok(3_i64));
}

#[actix_web::test]
async fn a_write_whose_commit_is_cut_is_not_run_again_and_said_to_be_doubtful() {
    let Some((app, client, mut admin)) = start().await else { return };
    // Cut before it is stored: deferred triggers run within the commit.
    admin.execute(
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_terminate_backend(pg_backend_pid());
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON groups DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION cut();",
    );
    assert!(doubtful(&client.post("/pub/group", &group("Cut before")).await));
    admin.execute("DROP TRIGGER cut ON groups");
    assert_eq!(stored(&client, &app, "Cut before").await, 0);

    // Cut after it is stored: the commit waits for a replica that does not exist.
    let name: String =
        diesel::select(sql::<diesel::sql_types::Text>("current_database()::text")).get_result(&mut admin.0).unwrap();
    admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    admin.execute(&format!("SELECT pg_reload_conf(); ALTER DATABASE {name} SET synchronous_commit = on"));
    admin.cut("true");
    let cutter = thread::spawn(move || {
        let began = Instant::now();
        while admin.cut("wait_event = 'SyncRep'") == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "no commit has waited");
            thread::sleep(Duration::from_millis(20));
        }
        admin
    });
    let answer = client.post("/pub/group", &group("Cut after")).await;
    let mut admin = cutter.join().unwrap();
    admin.execute("ALTER SYSTEM RESET synchronous_standby_names");
    admin.execute(&format!("SELECT pg_reload_conf(); ALTER DATABASE {name} RESET synchronous_commit"));
    assert!(doubtful(&answer));
    assert_eq!(stored(&client, &app, "Cut after").await, 1);
}
