//! Databases that others are in the way of: locked, or without a connection to
//! spare. Requests are turned away in time, and all is well when it is over.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use futures_util::future::join_all;
use retwine::db::{Conn, Target, connect};
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::{Database, TestApp};

fn group(name: &str) -> Value {
    json!({"data": {"type": "group", "attributes": {"name": name}}})
}

fn execute(db: &mut Conn, statements: &str) {
    let Conn::Postgres(connection) = db else { unreachable!() };
    connection.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

#[actix_web::test]
async fn writes_to_a_sqlite_file_that_another_process_has_locked_are_turned_away_together() {
    let app = TestApp::new(Database::sqlite()).await;
    let client = app.organization().await;
    let Target::Sqlite(file) = &app.database.target else { unreachable!() };
    let list = format!("/pub/group?filter[organization]={}", app.demo.organization);
    let before = client.get(&list).await.expect_status(200).count();

    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let bodies: Vec<_> = (0..6).map(|index| group(&format!("Locked out {index}"))).collect();
    for answer in join_all(bodies.iter().map(|body| client.post("/pub/group", body))).await {
        let answer = answer.expect_status(503);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(answer.text.contains("nothing was stored"), "{}", answer.text);
    }
    // One patience, not one for each.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(client.get(&list).await.expect_status(200).count(), before);

    other.execute_batch("ROLLBACK").unwrap();
    client.post("/pub/group", &group("Let in")).await.expect_status(201);
    assert_eq!(client.get(&list).await.expect_status(200).count(), before + 1);
}

/// The role that a server connects as, of which the database takes so many
/// connections.
fn limited(database: &Database, role: &str, connections: u32) -> Operator {
    let mut admin = database.connect();
    execute(&mut admin, &format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}"));
    execute(&mut admin, &format!("GRANT pg_read_all_data, pg_write_all_data TO {role}"));
    execute(&mut admin, &format!("GRANT CREATE ON SCHEMA public TO {role}"));
    let operator = Operator::of(database);
    let url = operator.url.replace("retwine@", &format!("{role}@"));
    Operator { url, ..operator }
}

#[test]
fn a_database_without_a_connection_to_spare_is_waited_for_as_long_as_stated() {
    let Some(database) = Database::postgres() else { return };
    let operator = limited(&database, "crowded", 3);
    let server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0", "--database-patience", "1"]);
    let bearer = server.authorization();
    let path = "/pub/group/63e1356a741e089d927ad217";
    assert_eq!(server.get(path, &bearer).status(), 200);

    let mut admin = database.connect();
    let cut = "(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'crowded')";
    assert!(diesel::select(sql::<BigInt>(cut)).get_result::<i64>(&mut admin).unwrap() > 0);
    let mut others = Vec::new();
    let began = Instant::now();
    while others.len() < 3 {
        others.extend(connect(&Target::Postgres(operator.url.clone())).ok());
        assert!(began.elapsed() < Duration::from_secs(20), "others have {} connections", others.len());
    }
    for answer in [server.get(path, &bearer), server.send("POST", "/pub/group", &bearer, &group("Crowded out"))] {
        assert_eq!(answer.status(), 503);
        assert!(answer.head().contains("retry-after: "), "{}", answer.head());
        assert!(answer.json()["errors"][0]["detail"].as_str().unwrap().contains("nothing was stored"));
    }

    let began = Instant::now();
    server.get(path, &bearer);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    drop(others);
    let began = Instant::now();
    while server.get(path, &bearer).status() != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not recover");
    }
    assert_eq!(server.send("POST", "/pub/group", &bearer, &group("Let in")).status(), 201);
}

#[test]
fn a_lock_is_waited_for_as_long_as_the_url_says() {
    let Some(database) = Database::postgres() else { return };
    let operator = Operator::of(&database);
    let operator = Operator { url: format!("{}?options=-c%20lock_timeout%3D300ms", operator.url), ..operator };
    let server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
    let bearer = server.authorization();
    let path = "/pub/group/63e1356a741e089d927ad217";

    let mut other = database.connect();
    execute(&mut other, "BEGIN; LOCK TABLE groups IN ACCESS EXCLUSIVE MODE");
    let began = Instant::now();
    for answer in [server.get(path, &bearer), server.send("POST", "/pub/group", &bearer, &group("Locked out"))] {
        assert_eq!(answer.status(), 503);
        assert!(answer.head().contains("retry-after: "), "{}", answer.head());
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    execute(&mut other, "ROLLBACK");
    assert_eq!(server.get(path, &bearer).status(), 200);
}

#[test]
fn nothing_is_waited_for_without_end() {
    let Some(database) = Database::postgres() else { return };
    let mut db = database.connect();
    for (name, value) in
        [("statement_timeout", "1min"), ("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min")]
    {
        let setting = sql::<Text>(&format!("current_setting('{name}')"));
        assert_eq!(diesel::select(setting).get_result::<String>(&mut db).unwrap(), value, "{name}");
    }
    // A migration takes as long as it takes; afterwards all is as before.
    retwine::db::migrate(&mut db).unwrap();
    let setting = sql::<Text>("current_setting('statement_timeout')");
    assert_eq!(diesel::select(setting).get_result::<String>(&mut db).unwrap(), "1min");
}
