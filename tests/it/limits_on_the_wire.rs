//! Limits that only show on real connections: what is slow, idle or too many,
//! and what the framework refuses by itself.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::Database;

const ORGANIZATION: &str = "63dab3ff741e089d927ad216";
const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn serve(arguments: &[&str]) -> (Database, Server) {
    let database = Database::sqlite();
    let server = Server::start(&Operator::of(&database), &[&["serve", "--bind", "127.0.0.1:0"], arguments].concat());
    (database, server)
}

fn connect(server: &Server) -> TcpStream {
    let connection = TcpStream::connect(server.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection
}

/// Sends this and reads to the end of the connection.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut connection = connect(server);
    connection.write_all(request).unwrap();
    read_to_end(&mut connection)
}

fn read_to_end(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match connection.read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the connection does not end: {error}"),
        _ => String::from_utf8(text).unwrap(),
    }
}

/// Sends a probe and reads one answer; false when none comes for a while.
fn is_answered(connection: &mut TcpStream) -> bool {
    connection.write_all(PROBE).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut answer = [0; 4096];
    match connection.read(&mut answer) {
        Ok(length) => String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200"),
        Err(_) => false,
    }
}

#[test]
fn connections_that_are_idle_or_slow_to_begin_are_closed() {
    let (_database, server) = serve(&["--keep-alive", "1", "--head-timeout", "1"]);
    let began = Instant::now();
    let mut idle = connect(&server);
    assert!(is_answered(&mut idle));
    idle.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(read_to_end(&mut idle), "");
    assert!((Duration::from_millis(800)..Duration::from_secs(10)).contains(&began.elapsed()), "{:?}", began.elapsed());

    let slow = exchange(&server, b"GET /healthz HTTP/1.1\r\nHost: loc");
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow:?}");
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    // One for each of the two workers.
    let (_database, server) = serve(&["--max-connections", "2"]);
    let (mut first, mut second) = (connect(&server), connect(&server));
    assert!(is_answered(&mut first) && is_answered(&mut second));
    let mut third = connect(&server);
    assert!(!is_answered(&mut third));
    drop(first);
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = [0; 12];
    third.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn what_the_framework_cannot_read_is_refused_without_a_document() {
    let (_database, server) = serve(&[]);
    let long = |length| "x".repeat(length);
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nHost localhost\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/9\r\n\r\n".into(), 400),
        (format!("GET /healthz?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", long(66_000)), 400),
        (format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)), 431),
        ("POST /pub/group HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400),
        (format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: {}", long(140_000)), 431),
    ] {
        let answer = exchange(&server, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer:?}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer:?}");
    }
    // Up to there it is answered in full.
    for (request, status) in [
        (format!("GET /healthz?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", long(60_000)), 414),
        (format!("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {}\r\n\r\n", long(100_000)), 431),
    ] {
        let answer = exchange(&server, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer:?}");
        assert!(answer.contains(&format!("\"status\":\"{status}\"")), "{answer:?}");
    }
    assert!(is_answered(&mut connect(&server)));
}

/// Kilobytes of memory that a process holds.
fn memory(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn no_memory_is_held_for_the_bodies_of_strangers() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let (_database, server) = serve(&[]);
    let before = memory(server.id());
    let head = format!(
        "POST /pub/patient HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer made-up\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {LENGTH}\r\n\r\n"
    );
    let body = vec![b' '; LENGTH];
    // All but the last byte has arrived.
    let begin = |_| {
        let mut connection = connect(&server);
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&body[1..]).unwrap();
        connection
    };
    let mut connections: Vec<_> = (0..8).map(begin).collect();
    let more = memory(server.id()).saturating_sub(before);
    assert!(more < 64 * 1024, "{more} kB");
    for connection in &mut connections {
        connection.write_all(b" ").unwrap();
        let answer = read_to_end(connection);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

#[test]
fn the_access_log_tells_who_asked_from_where_and_nothing_secret() {
    let database = Database::sqlite();
    let arguments = ["serve", "--bind", "127.0.0.1:0", "--trusted-proxies", "127.0.0.0/8"];
    let mut server = Server::start_logging(&Operator::of(&database), &arguments, "info");
    let authorization = server.authorization();
    let (_, token) = authorization.trim().split_once("Bearer ").unwrap();
    let forwarded = format!("{authorization}X-Forwarded-For: 198.51.100.3, 192.0.2.7, 127.0.0.9\r\n");
    let path = "/pub/patient?filter[identifier][system]=medical-record-number&filter[identifier][value]=204417";
    assert_eq!(server.get(&format!("{path}&filter[organization]={ORGANIZATION}"), &forwarded).status(), 200);
    let log = server.logged("GET /pub/patient");
    let client =
        "address=192.0.2.7 client=7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41 operation=\"GET /pub/patient\" status=200";
    assert!(log.contains(client), "{log}");
    assert!(log.contains("address=127.0.0.1 client=7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41 operation=\"POST "), "{log}");
    let [demo, _] = retwine::demo::credentials().unwrap();
    for secret in [token, &demo.client_secret, "204417"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
