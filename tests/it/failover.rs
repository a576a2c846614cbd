//! A primary of PostgreSQL that fails while requests are carried out, and the
//! standby that takes its place. A gateway whose URL names both goes on by itself,
//! and what was acknowledged is there, once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use retwine::db::{Conn, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::Operator;
use crate::serving::{Answer, Server};
use crate::support::Cluster;

/// What a request may take while there is no primary, at a patience of one second.
const BOUND: Duration = Duration::from_secs(8);

fn admin(cluster: &Cluster, database: &str) -> Conn {
    connect(&cluster.target(database)).expect("the server answers")
}

fn execute(db: &mut Conn, statement: &str) {
    let Conn::Postgres(connection) = db else { unreachable!() };
    connection.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// A primary that acknowledges nothing before its standby has it.
fn pair() -> Option<[Cluster; 2]> {
    let primary = Cluster::if_there(&["listen_addresses=", "fsync=off", "wal_level=replica"], &[])?;
    primary.create("retwine", "template1");
    let standby = primary.standby();
    let mut db = admin(&primary, "postgres");
    execute(&mut db, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    execute(&mut db, "SELECT pg_reload_conf()");
    let (began, synchronous) = (Instant::now(), "(SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync')");
    while diesel::select(sql::<BigInt>(synchronous)).get_result::<i64>(&mut db).unwrap() == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "the standby does not follow");
        thread::sleep(Duration::from_millis(20));
    }
    Some([primary, standby])
}

fn group(name: &str) -> Value {
    json!({"data": {"type": "group", "attributes": {"name": name}}})
}

/// Fails the test unless this came in time, and granted or turned away.
fn expect_in_time(answer: &Answer, granted: u16, began: Instant) -> bool {
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    if answer.status() == granted {
        return true;
    }
    assert_eq!(answer.status(), 503, "{}", answer.head());
    assert!(answer.head().contains("retry-after: "), "{}", answer.head());
    false
}

#[test]
fn a_standby_that_takes_the_place_of_its_primary_is_found_and_has_all_that_was_acknowledged() {
    let Some([primary, standby]) = pair() else { return };
    let hosts = format!("{},{}", primary.host(), standby.host());
    let url = format!("postgres://retwine@/retwine?host={hosts}&target_session_attrs=read-write");
    let operator = Operator { folder: TempDir::new().unwrap(), url };
    let server = Server::start(&operator, &["demo", "--bind", "127.0.0.1:0", "--database-patience", "1"]);
    let (bearer, ended) = (server.authorization(), AtomicBool::new(false));
    let path = "/pub/group?filter[organization]=63dab3ff741e089d927ad216";

    let write = |writer: usize| {
        let mut sent = Vec::new();
        while !ended.load(Ordering::SeqCst) {
            let (name, began) = (format!("Writer {writer}, {}", sent.len()), Instant::now());
            let answer = server.send("POST", "/pub/group", &bearer, &group(&name));
            let acknowledged = expect_in_time(&answer, 201, began);
            let detail = answer.json()["errors"][0]["detail"].as_str().unwrap_or_default().to_owned();
            sent.push((name, acknowledged, detail.contains("may or may not have been stored"), Instant::now()));
        }
        sent
    };
    let read = || {
        let mut answers = Vec::new();
        while !ended.load(Ordering::SeqCst) {
            let began = Instant::now();
            answers.push((expect_in_time(&server.get(path, &bearer), 200, began), Instant::now()));
        }
        answers
    };
    let (sent, read, failed, promoted) = thread::scope(|threads| {
        let writers: Vec<_> = (0..4).map(|writer| threads.spawn(move || write(writer))).collect();
        let readers: Vec<_> = (0..2).map(|_| threads.spawn(read)).collect();
        thread::sleep(Duration::from_secs(1));
        primary.fail();
        let failed = Instant::now();
        // As long as somebody needs to notice.
        thread::sleep(Duration::from_millis(1500));
        let promote = diesel::select(sql::<Bool>("pg_promote()"));
        assert_eq!(promote.get_result(&mut admin(&standby, "retwine")), Ok(true));
        let promoted = Instant::now();
        let answers = || {
            [server.get(path, &bearer).status(), server.send("POST", "/pub/group", &bearer, &group("After")).status()]
        };
        while answers() != [200, 201] {
            assert!(promoted.elapsed() < Duration::from_secs(10), "the standby is not found");
        }
        eprintln!("{:?} after the failure, {:?} after the promotion", failed.elapsed(), promoted.elapsed());
        thread::sleep(Duration::from_millis(500));
        ended.store(true, Ordering::SeqCst);
        let sent: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        let read: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        (sent, read, failed, promoted)
    });

    let mut stored: HashMap<String, usize> = HashMap::new();
    for group in server.get(path, &bearer).json()["data"].as_array().unwrap() {
        *stored.entry(group["attributes"]["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for (name, acknowledged, doubtful, _) in &sent {
        let count = stored.get(name).copied().unwrap_or_default();
        let expected = if *acknowledged { 1..=1 } else { 0..=usize::from(*doubtful) };
        assert!(expected.contains(&count), "{name}: {count}, acknowledged: {acknowledged}, doubtful: {doubtful}");
    }
    let granted: Vec<_> = sent.iter().filter(|write| write.1).map(|write| write.3).collect();
    let refused = sent.iter().filter(|write| !write.1).count();
    eprintln!("acknowledged: {}, turned away: {refused}", granted.len());
    assert!(refused > 0 && granted.iter().any(|at| *at < failed) && granted.iter().any(|at| *at > promoted));
    assert!(read.iter().any(|(granted, at)| *granted && *at > promoted) && read.iter().any(|(granted, _)| !granted));
    operator.run(&["check"]).done();
}
