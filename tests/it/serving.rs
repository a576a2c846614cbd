//! The program as a server: how it starts, what it refuses to serve, HTTP as
//! clients really send it, and how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use retwine::demo;
use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::{Operator, retwine, run, watch};
use crate::support::{Database, each};

/// A server that is killed when it goes out of scope.
pub struct Server {
    process: Child,
    address: SocketAddr,
    log: BufReader<ChildStderr>,
    out: BufReader<ChildStdout>,
    /// What it has printed and logged until it served.
    said: String,
    _watch: Sender<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts `retwine serve` or `retwine demo` and waits until it says where
    /// it serves.
    pub fn start(operator: &Operator, arguments: &[&str]) -> Self {
        // Nobody reads the access log, and a pipe that is full would hold requests up.
        Self::start_logging(operator, arguments, "info,access=off")
    }

    /// The same, with this log.
    pub fn start_logging(operator: &Operator, arguments: &[&str], log: &str) -> Self {
        let mut command = operator.command(arguments);
        command.env("RUST_LOG", log);
        Self::start_with(command, arguments[0] == "demo")
    }

    /// Starts it by a command of one's own.
    pub fn start_with(mut command: Command, is_demo: bool) -> Self {
        command.args(["--shutdown-timeout", "10", "--workers", "2"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let log = BufReader::new(process.stderr.take().unwrap());
        let out = BufReader::new(process.stdout.take().unwrap());
        let (address, said, watch) = (([127, 0, 0, 1], 0).into(), String::new(), watch(&process));
        let mut server = Self { process, address, log, out, said, _watch: watch };
        let place = if is_demo { server.printed("  client id") } else { server.logged("serving http") };
        let (_, place) = place.split_once("://").expect("an address");
        server.address = place.split_once("/pub").expect("a base URL").0.parse().expect("an address");
        server
    }

    /// Reads what it prints up to a line with this in it.
    fn printed(&mut self, wanted: &str) -> String {
        let said = read_until(&mut self.out, wanted);
        self.said.push_str(&said);
        said
    }

    /// Reads what it logs up to a line with this in it.
    pub fn logged(&mut self, wanted: &str) -> String {
        let said = read_until(&mut self.log, wanted);
        self.said.push_str(&said);
        said
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).expect("the server listens");
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection
    }

    /// Sends this and reads the answer to the end of the connection.
    fn exchange(&self, request: &str) -> Answer {
        let mut connection = self.connect();
        connection.write_all(request.as_bytes()).unwrap();
        Answer::read(connection)
    }

    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
    }

    /// Sends a document.
    pub fn send(&self, method: &str, path: &str, headers: &str, document: &Value) -> Answer {
        self.exchange(&request(method, path, headers, document))
    }

    /// The header of a client of the demo organization.
    pub fn authorization(&self) -> String {
        let [demo, _] = demo::credentials().unwrap();
        let form =
            format!("grant_type=client_credentials&client_id={}&client_secret={}", demo.client_id, demo.client_secret);
        let answer = self.exchange(&format!(
            "POST /pub/oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ));
        assert_eq!(answer.status(), 200, "{}", answer.head);
        format!("Authorization: Bearer {}\r\n", answer.json()["access_token"].as_str().unwrap())
    }

    pub fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it without any warning.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until it ends by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

fn read_until(lines: &mut impl BufRead, wanted: &str) -> String {
    let mut said = String::new();
    loop {
        let begin = said.len();
        let ended = lines.read_line(&mut said).unwrap() == 0;
        assert!(!ended, "{wanted:?} was never said, only:\n{said}");
        if said[begin..].contains(wanted) {
            return said;
        }
    }
}

/// A request that sends a document.
fn request(method: &str, path: &str, headers: &str, document: &Value) -> String {
    let body = document.to_string();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: application/vnd.api+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer as it came.
pub struct Answer {
    head: String,
    body: String,
}

impl Answer {
    pub fn read(mut connection: impl Read) -> Self {
        let mut text = String::new();
        connection.read_to_string(&mut text).expect("an answer, and the end of the connection");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        Self { head: head.to_lowercase(), body: body.to_owned() }
    }

    /// Sends a document to a server that may die at any time; `None` unless its
    /// answer came whole.
    pub fn of_dying(address: SocketAddr, method: &str, path: &str, headers: &str, document: &Value) -> Option<Self> {
        let mut connection = TcpStream::connect(address).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.write_all(request(method, path, headers, document).as_bytes()).ok()?;
        let mut text = String::new();
        connection.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let answer = Self { head: head.to_lowercase(), body: body.to_owned() };
        answer.head.contains(&format!("content-length: {}", body.len())).then_some(answer)
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The status line and the headers, in lower case.
    pub fn head(&self) -> &str {
        &self.head
    }

    pub fn body(&self) -> &str {
        &self.body
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}\r\n\r\n{}", self.head, self.body))
    }
}

const LIST: &str = "/pub/patient?filter[organization]=63dab3ff741e089d927ad216&page[size]=2";

fn new_group(name: &str) -> String {
    format!(r#"{{"data": {{"type": "group", "attributes": {{"name": "{name}"}}}}}}"#)
}

fn each_empty() -> impl Iterator<Item = Database> {
    std::iter::once(Database::empty_sqlite()).chain(Database::empty_postgres())
}

#[test]
fn the_demo_is_served_from_nothing_and_again_from_what_it_left() {
    for database in each_empty() {
        let operator = Operator::of(&database);
        for start in ["34 stored", "0 stored, 34 there already"] {
            let mut server = Server::start(&operator, &["demo", "--bind", "127.0.0.1:0"]);
            let line = server.said.lines().find(|line| line.trim().starts_with("patient ")).unwrap();
            assert!(line.ends_with(&format!(" {start}")), "{line}");
            for path in ["/healthz", "/readyz"] {
                assert_eq!(server.get(path, "").status(), 200, "{path}");
            }
            assert_eq!(server.get(LIST, "").status(), 401);
            let list = server.get(LIST, &server.authorization()).json();
            assert_eq!((list["meta"]["count"].as_i64(), list["data"].as_array().map(Vec::len)), (Some(34), Some(2)));
            // Operators work beside it.
            assert_eq!(operator.run(&["organization", "list"]).done().lines().count(), 2);
            server.signal("-TERM");
            assert_eq!(server.ended(), Some(0));
        }
    }
}

#[test]
fn the_welcome_holds_lines_that_can_be_pasted() {
    let database = Database::empty_sqlite();
    let mut server = Server::start(&Operator::of(&database), &["demo", "--bind", "127.0.0.1:0"]);
    let lines = server.printed("curl -g -H");
    let [demo, _] = demo::credentials().unwrap();
    for known in [&demo.client_id, &demo.client_secret, &demo.organization, &demo.group] {
        assert!(server.said.contains(known), "{known}: {}", server.said);
    }
    assert!(server.said.contains(&format!("http://{}/docs\n", server.address)), "{}", server.said);
    assert_eq!(server.get("/docs", "").status(), 200);
    let (_, uri) = lines.rsplit_once(&format!("http://{}", server.address)).expect("the base URL");
    let answer = server.get(uri.trim().trim_end_matches('"'), &server.authorization());
    assert_eq!(answer.status(), 200, "{uri}: {}", answer.body);
}

#[test]
fn http_1_0_chunked_bodies_and_expectations_are_understood() {
    let database = Database::sqlite();
    let server = Server::start(&Operator::of(&database), &["serve", "--bind", "127.0.0.1:0"]);
    let authorization = server.authorization();

    // Without Host, and the connection is closed without being asked for it.
    let answer = server.exchange(&format!("GET {LIST} HTTP/1.0\r\n{authorization}\r\n"));
    assert_eq!((answer.status(), answer.json()["meta"]["count"].as_i64()), (200, Some(34)), "{}", answer.head);

    let answer = server
        .exchange(&format!("HEAD {LIST} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\r\n"));
    assert_eq!((answer.status(), answer.body.as_str()), (200, ""), "{}", answer.head);
    assert!(answer.head.contains("content-type: application/vnd.api+json"), "{}", answer.head);

    let (first, second) = (r#"{"data": {"type": "group", "attri"#, r#"butes": {"name": "In pieces"}}}"#);
    let answer = server.exchange(&format!(
        "POST /pub/group HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\
         Content-Type: application/vnd.api+json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{first}\r\n{:X};note=x\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    ));
    assert_eq!(answer.json()["data"]["attributes"]["name"], "In pieces", "{}", answer.head);

    let body = new_group("Expected");
    let mut connection = server.connect();
    let head = format!(
        "POST /pub/group HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    await_continue(&mut connection);
    connection.write_all(body.as_bytes()).unwrap();
    let answer = Answer::read(connection);
    assert_eq!(answer.json()["data"]["attributes"]["name"], "Expected", "{}", answer.head);
}

/// Reads the interim answer, byte by byte so as to leave the rest.
fn await_continue(connection: &mut TcpStream) {
    let mut interim = Vec::new();
    while !interim.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("an interim answer");
        interim.extend(byte);
    }
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&interim));
}

#[test]
fn a_request_in_flight_is_finished_before_the_server_stops() {
    for database in each() {
        let operator = Operator::of(&database);
        let mut server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
        let (authorization, body) = (server.authorization(), new_group("Just in time"));
        let mut connection = server.connect();
        let head = format!(
            "POST /pub/group HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        await_continue(&mut connection);
        server.signal("-TERM");
        server.logged("stopping");
        connection.write_all(body.as_bytes()).unwrap();
        let answer = Answer::read(connection);
        assert_eq!(answer.json()["data"]["attributes"]["name"], "Just in time", "{}", answer.head);
        assert_eq!(server.ended(), Some(0));
        let groups = operator.run(&["group", "list", "--organization", "63dab3ff741e089d927ad216"]).done();
        assert!(groups.contains("Just in time"), "{groups}");
    }
}

#[test]
fn an_interrupt_stops_the_server_too() {
    let database = Database::sqlite();
    let mut server = Server::start(&Operator::of(&database), &["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(server.get("/readyz", "").status(), 200);
    server.signal("-INT");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn the_demo_is_reset_when_asked() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    operator.run(&["client", "revoke", "7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41"]).done();
    let server = Server::start(&operator, &["demo", "--reset", "--bind", "127.0.0.1:0"]);
    server.authorization();
}

#[test]
fn postgresql_is_migrated_by_serve_when_asked() {
    if let Some(database) = Database::empty_postgres() {
        let server = Server::start(&Operator::of(&database), &["serve", "--migrate", "--bind", "127.0.0.1:0"]);
        assert_eq!(server.get("/readyz", "").status(), 200);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let database = Database::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let complaint = Operator::of(&database).run(&[command, "--bind", &taken]).refused(1);
        assert!(complaint.contains(&taken) && complaint.contains("--bind"), "{complaint}");
    }
}

#[test]
fn credentials_that_everybody_knows_are_served_on_loopback_only() {
    for database in each() {
        let operator = Operator::of(&database);
        let complaint = operator.run(&["demo", "--bind", "0.0.0.0:0"]).refused(1);
        assert!(complaint.contains("loopback only") && complaint.contains("0.0.0.0:0"), "{complaint}");

        let serve = ["serve", "--bind", "0.0.0.0:0"];
        let clients = [
            "7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41",
            "3e8b6f92-1c47-4a9d-b5e3-92d07c1f4a68",
            "a4c0e6d8-92b3-4f57-8d1e-6b7a5c3f0e19",
            "c91f7e24-6d0b-4b3a-a58c-27e4d90b1f6e",
        ];
        for (revoked, client) in clients.iter().enumerate() {
            let complaint = operator.run(&serve).refused(1);
            for (index, other) in clients.iter().enumerate() {
                let named = complaint.contains(&format!("retwine client revoke {other}"));
                assert_eq!(named, index >= revoked, "{other}: {complaint}");
            }
            operator.run(&["client", "revoke", client]).done();
        }
        let mut server = Server::start(&operator, &serve);
        server.address.set_ip([127, 0, 0, 1].into());
        assert_eq!(server.get("/readyz", "").status(), 200);
    }
}

#[test]
fn the_demos_credentials_are_printed_as_shell_assignments() {
    let folder = TempDir::new().unwrap();
    let assignments = run(retwine(&folder, &["demo", "--print-env", "--bind", "127.0.0.1:9"]), "").done();
    let names = "BASE_URL CLIENT_ID CLIENT_SECRET ORG_ID GROUP_ID CLIENT2_ID CLIENT2_SECRET";
    let script = format!("set -eu\n{assignments}\nfor name in {names}; do eval \"echo \\$$name\"; done");
    let output = Command::new("sh").arg("-c").arg(script).env_clear().output().unwrap();
    let [demo, stranger] = demo::credentials().unwrap();
    let expected = [
        "http://127.0.0.1:9/pub",
        &demo.client_id,
        &demo.client_secret,
        &demo.organization,
        &demo.group,
        &stranger.client_id,
        &stranger.client_secret,
    ];
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a database was made");
}
