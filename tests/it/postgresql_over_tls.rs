//! PostgreSQL over TLS: whom the program connects to, whom it does not and what
//! it says then, and what becomes of connections that end.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::{Authority, SecureServer};

/// An operator of a database by this URL.
fn operator(url: String) -> Operator {
    Operator { folder: TempDir::new().unwrap(), url }
}

/// An operator, a file beside whom says whom to trust.
fn trusting(server: &SecureServer, authority: &Authority, place: &str, parameters: &str) -> Operator {
    let mut operator = operator(String::new());
    let root = operator.file("root.crt", &authority.pem());
    let (user, rest) = place.split_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    operator.url = server.url(user, host, name, &format!("sslrootcert={root}&{parameters}"));
    operator
}

#[test]
fn everything_works_over_tls_and_nothing_goes_in_the_clear() {
    let Some(server) = SecureServer::start() else { return };
    server.create("records");
    let authority = &server.authority;
    let operator = trusting(&server, authority, "retwine:secret@localhost/records", "sslmode=verify-full");
    assert_eq!(operator.run(&["migrate"]).done(), "The database is up to date.");
    assert_eq!(operator.run(&["organization", "list"]).done().lines().count(), 2);
    operator.run(&["check"]).done();
    let gateway = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
    let bearer = gateway.authorization();
    let list = gateway.get("/pub/patient?filter[organization]=63dab3ff741e089d927ad216&page[size]=50", &bearer);
    assert_eq!(list.json()["data"].as_array().map(Vec::len), Some(34));
    let group = json!({"data": {"type": "group", "attributes": {"name": "Behind the tunnel"}}});
    assert_eq!(gateway.send("POST", "/pub/group", &bearer, &group).status(), 201);
    let connections = "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE datname = 'records'";
    assert!(server.count(connections) > 0);
    assert_eq!(server.count(&format!("{connections} AND NOT ssl")), 0);

    // The name is checked when it is asked for; any server is good enough for `require`.
    for (place, parameters) in [
        ("retwine:secret@127.0.0.1/records", "sslmode=verify-ca"),
        ("retwine:secret@127.0.0.1/records", "sslmode=require"),
        ("retwine:secret@/records", "sslmode=verify-full&host=localhost"),
        ("retwine:secret@nowhere.invalid/records", "sslmode=verify-full&host=localhost&hostaddr=127.0.0.1"),
        ("retwine:secret@localhost:1,localhost/records", "sslmode=verify-full"),
    ] {
        trusting(&server, authority, place, parameters).run(&["organization", "list"]).done();
    }
    let url = server.url("retwine:secret", "127.0.0.1", "records", "sslmode=require");
    self::operator(url).run(&["organization", "list"]).done();

    let certificate = authority.issue("certified");
    let mut operator = trusting(&server, authority, "certified@localhost/records", "sslmode=verify-full");
    let chain = operator.file("client.crt", &certificate.chain);
    let key = operator.file("client.key", &certificate.key);
    operator.url = format!("{}&sslcert={chain}&sslkey={key}", operator.url);
    operator.run(&["organization", "list"]).done();
}

#[test]
fn who_cannot_be_trusted_is_not_connected_to_and_it_is_said_why() {
    let Some(server) = SecureServer::start() else { return };
    let (authority, stranger) = (&server.authority, Authority::new("Somebody else"));
    let place = "retwine:secret@localhost/postgres";
    let (full, ca) = ("sslmode=verify-full", "sslmode=verify-ca");
    for (authority, place, parameters, wanted) in [
        (authority, "retwine:secret@127.0.0.1/postgres", full, "not valid for name \"127.0.0.1\""),
        (&stranger, place, full, "an issuer whom sslrootcert does not name"),
        (&stranger, place, ca, "an issuer whom sslrootcert does not name"),
        (&stranger, place, "sslmode=require", "an issuer whom sslrootcert does not name"),
        (authority, "retwine:wrong@localhost/postgres", full, "password authentication failed for user \"retwine\""),
        (authority, "certified@localhost/postgres", full, "requires a valid client certificate"),
    ] {
        let complaint = trusting(&server, authority, place, parameters).run(&["migrate"]).refused(3);
        assert!(complaint.contains(wanted), "{complaint}");
        assert!(complaint.contains(" port ") && !complaint.contains("socket"), "{complaint}");
        assert!(!complaint.contains("secret") && !complaint.contains("wrong"), "{complaint}");
    }

    // A server that refuses the client's certificate says so under TLS only.
    let mut operator = trusting(&server, authority, "certified@localhost/postgres", full);
    let certificate = stranger.issue("certified");
    let chain = operator.file("client.crt", &certificate.chain);
    let key = operator.file("client.key", &certificate.key);
    operator.url = format!("{}&sslcert={chain}&sslkey={key}", operator.url);
    let complaint = operator.run(&["migrate"]).refused(3);
    assert!(complaint.contains("the server broke TLS off"), "{complaint}");

    server.execute(&["ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()"]);
    let operator = trusting(&server, authority, place, full);
    let refused = "the server does not speak TLS (ssl = off)";
    soon("a server without TLS is taken", || operator.run(&["migrate"]).err.contains(refused));
}

#[test]
fn a_certificate_that_has_expired_is_not_trusted() {
    let authority = Authority::new("Authority of the database");
    let expired = authority.issue_until("localhost", 2025);
    let Some(server) = SecureServer::start_with(authority, &expired) else { return };
    let place = "retwine:secret@localhost/postgres";
    let complaint = trusting(&server, &server.authority, place, "sslmode=verify-full").run(&["migrate"]).refused(3);
    assert!(complaint.contains("its certificate has expired"), "{complaint}");
    let url = server.url("retwine:secret", "localhost", "postgres", "sslmode=require");
    assert!(operator(url).run(&["migrate"]).done().contains("migrated"));
}

#[test]
fn a_server_that_never_answers_is_waited_for_as_long_as_stated() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://retwine@127.0.0.1:{port}/records?sslmode=require&connect_timeout=1");
    let began = Instant::now();
    let complaint = operator(url).run(&["migrate"]).refused(3);
    assert!(complaint.contains("does not answer in time"), "{complaint}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Nothing was said before it was known that nobody can listen.
    let mut said = Vec::new();
    silent.accept().unwrap().0.read_to_end(&mut said).unwrap();
    assert_eq!(said, [0, 0, 0, 8, 4, 210, 22, 47]);
}

/// How many connections a gateway has by TLS.
fn tunnels(gateway: &Server) -> i64 {
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.id())).unwrap();
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.flatten().map(name).filter(|name| name.trim() == "postgresql tls").map(|_| 1).sum()
}

/// Waits until this is so.
#[track_caller]
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn connections_that_are_cut_are_noticed_by_nobody_and_leave_nothing_behind() {
    let Some(server) = SecureServer::start() else { return };
    server.create("records");
    let place = "retwine:secret@localhost/records";
    let operator = trusting(&server, &server.authority, place, "sslmode=verify-full");
    let mut gateway = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
    let bearer = gateway.authorization();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'records' AND usename = 'retwine'";
    let cut = open.replace("count(*)", "count(pg_terminate_backend(pid))");
    for round in 0..5 {
        assert!(server.count(&cut) > 0);
        soon("tunnels outlive their connections", || tunnels(&gateway) <= server.count(open));
        assert_eq!(gateway.get("/pub/group/63e1356a741e089d927ad217", &bearer).status(), 200);
        server.count(&cut);
        let group = json!({"data": {"type": "group", "attributes": {"name": format!("Round {round}")}}});
        assert_eq!(gateway.send("POST", "/pub/group", &bearer, &group).status(), 201);
    }
    assert!(tunnels(&gateway) > 0);
    gateway.kill();
    soon("connections outlive their gateway", || server.count(open) == 0);
}
