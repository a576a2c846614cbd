//! Lists that a replica of PostgreSQL answers: never older than what was
//! acknowledged, not even when another standby takes the place of the primary.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use retwine::db::{Conn, Target, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::Cluster;

const OSTRANDER: &str = "64062e37741e089d927ad224";

/// One with the demo in it.
fn primary() -> Option<(Cluster, Operator)> {
    let primary = Cluster::if_there(&["listen_addresses=", "fsync=off", "wal_level=replica"], &[])?;
    primary.create("retwine", "template1");
    let Target::Postgres(url) = primary.target("retwine") else { unreachable!() };
    let operator = Operator { folder: TempDir::new().unwrap(), url };
    drop(Server::start(&operator, &["demo", "--bind", "127.0.0.1:0"]));
    Some((primary, operator))
}

fn execute(cluster: &Cluster, statement: &str) {
    let Conn::Postgres(mut db) = connect(&cluster.target("retwine")).unwrap() else { unreachable!() };
    db.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

fn expect_soon(cluster: &Cluster, condition: &str) {
    let mut db = connect(&cluster.target("retwine")).unwrap();
    let began = Instant::now();
    while diesel::select(sql::<Bool>(condition)).get_result(&mut db) != Ok(true) {
        assert!(began.elapsed() < Duration::from_secs(10), "not yet: {condition}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How many lists of measurements its connections have asked it for last.
fn lists(replica: &Cluster) -> i64 {
    let asked = "(SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%patient_health_metrics%' \
                 AND pid <> pg_backend_pid())";
    diesel::select(sql::<BigInt>(asked)).get_result(&mut connect(&replica.target("retwine")).unwrap()).unwrap()
}

fn measurements(how_many: usize) -> Value {
    let metric = json!({"type": "patient_health_metric",
        "attributes": {"type": "weight", "value": 80, "occurred_at": "2026-03-01T08:00:00Z"},
        "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}}});
    json!({"data": vec![metric; how_many]})
}

/// Stores one and looks for it in the next list.
fn expect_fresh(server: &Server, bearer: &str) {
    let stored = server.send("POST", "/pub/patient_health_metric", bearer, &measurements(1));
    assert_eq!(stored.status(), 200, "{}", stored.body());
    let path =
        "/pub/patient_health_metric?filter[organization]=63dab3ff741e089d927ad216&sort=-created_at&page[limit]=1";
    let listed = server.get(path, bearer);
    assert_eq!(listed.json()["data"][0]["id"], stored.json()["data"][0]["id"]);
}

#[test]
fn a_replica_is_asked_only_while_it_follows_the_primary() {
    let Some((primary, operator)) = primary() else { return };
    let [standby, replica] = [primary.standby(), primary.standby()];

    let Target::Postgres(of_replica) = replica.target("retwine") else { unreachable!() };
    let hosts = format!("{},{}", primary.host(), standby.host());
    let url = format!("postgres://retwine@/retwine?host={hosts}&target_session_attrs=read-write");
    let operator = Operator { url, ..operator };
    let server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0", "--database-replica-url", &of_replica]);
    let bearer = server.authorization();
    // On a machine that is busy it may be too late at first, and is left alone for a while.
    let began = Instant::now();
    while lists(&replica) == 0 {
        assert!(began.elapsed() < Duration::from_secs(40), "the replica is not asked");
        expect_fresh(&server, &bearer);
    }
    (0..20).for_each(|_| expect_fresh(&server, &bearer));

    // The standby misses what the replica gets, and becomes the primary.
    execute(&standby, "ALTER SYSTEM SET primary_conninfo = ''");
    execute(&standby, "SELECT pg_reload_conf()");
    expect_soon(&standby, "(SELECT count(*) = 0 FROM pg_stat_wal_receiver)");
    let stored = server.send("POST", "/pub/patient_health_metric", &bearer, &measurements(2000));
    assert_eq!(stored.status(), 200, "{}", stored.body());
    expect_fresh(&server, &bearer);
    primary.fail();
    expect_soon(&standby, "pg_promote()");
    (0..5).for_each(|_| expect_fresh(&server, &bearer));
}

#[test]
fn what_a_replica_misses_or_cannot_answer_the_primary_answers() {
    let Some((primary, operator)) = primary() else { return };
    let replica = primary.standby();
    let Target::Postgres(of_replica) = replica.target("retwine") else { unreachable!() };
    execute(&replica, "SELECT pg_wal_replay_pause()");
    let server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0", "--database-replica-url", &of_replica]);
    let bearer = server.authorization();
    (0..5).for_each(|_| expect_fresh(&server, &bearer));
    replica.fail();
    (0..5).for_each(|_| expect_fresh(&server, &bearer));
}

#[test]
fn only_postgresql_has_replicas() {
    let operator = Operator { folder: TempDir::new().unwrap(), url: "sqlite:retwine.sqlite".into() };
    let refused = operator.run(&["serve", "--database-replica-url", "postgres://localhost/retwine"]).refused(1);
    assert!(refused.contains("only PostgreSQL has replicas"), "{refused}");
}
