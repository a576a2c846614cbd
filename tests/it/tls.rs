//! The program as a server with TLS: what it speaks, what it refuses to start
//! with, and how it follows its certificate.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt;
use actix_web::web::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode, Version};
use retwine::demo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use crate::command_line::{Operator, retwine, run};
use crate::serving::{Answer, Server};
use crate::support::{Authority, Certificate, Database, each};

/// A server with TLS, and what a client needs to trust it.
struct Secure {
    server: Server,
    operator: Operator,
    authority: Authority,
    _database: Database,
}

impl Secure {
    fn start(database: Database) -> Self {
        let (operator, authority) = (Operator::of(&database), Authority::new("Test authority"));
        let [chain, key] = put(&operator, &authority.issue("localhost"));
        let server =
            Server::start(&operator, &["serve", "--bind", "127.0.0.1:0", "--tls-cert", &chain, "--tls-key", &key]);
        Self { server, operator, authority, _database: database }
    }

    /// Puts another certificate in the place of the server's.
    fn replace(&self) -> Certificate {
        let certificate = self.authority.issue("localhost");
        put(&self.operator, &certificate);
        certificate
    }

    fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(self.authority.roots()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(self.client(&[]), name).unwrap(), stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("the server is trusted");
        }
        stream
    }

    /// Whether new connections are shown this certificate.
    fn shows(&self, certificate: &Certificate) -> bool {
        let connection = self.connect();
        let shown = &connection.conn.peer_certificates().unwrap()[0];
        certificate.der() == *shown
    }
}

/// Writes a certificate where the server looks for it.
fn put(operator: &Operator, certificate: &Certificate) -> [String; 2] {
    [operator.file("chain.pem", &certificate.chain), operator.file("key.pem", &certificate.key)]
}

const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Asks on a connection that stays open.
fn ask(connection: &mut (impl Read + Write)) {
    connection.write_all(ALIVE).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"alive\"}") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn http_1_1_is_served_over_tls_and_browsers_are_told_to_stay_there() {
    for database in each() {
        let secure = Secure::start(database);
        let mut connection = secure.connect();
        connection.write_all(b"GET /pub/patient HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let answer = Answer::read(connection);
        assert_eq!(answer.status(), 401);
        assert!(answer.head().contains("strict-transport-security: max-age="), "{}", answer.head());
    }
}

#[test]
fn without_tls_browsers_are_told_nothing_of_it() {
    let database = Database::sqlite();
    let server = Server::start(&Operator::of(&database), &["serve", "--bind", "127.0.0.1:0"]);
    let answer = server.get("/healthz", "");
    assert_eq!(answer.status(), 200);
    assert!(!answer.head().contains("strict-transport-security"), "{}", answer.head());
}

#[actix_web::test]
async fn many_requests_at_once_are_served_on_one_connection_of_http_2() {
    for database in each() {
        let secure = Secure::start(database);
        let stream = rt::net::TcpStream::connect(secure.server.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(secure.client(&["h2", "http/1.1"]));
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        rt::spawn(connection);
        let send = async |request: http::request::Builder, body: String| {
            let mut client = client.clone().ready().await.unwrap();
            let (answer, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
            sending.send_data(body.into(), true).unwrap();
            let answer = answer.await.unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            assert!(answer.headers().contains_key("strict-transport-security"));
            let (parts, mut body) = answer.into_parts();
            let mut text = Vec::new();
            while let Some(part) = body.data().await {
                let part = part.unwrap();
                body.flow_control().release_capacity(part.len()).unwrap();
                text.extend_from_slice(&part);
            }
            (parts.status, serde_json::from_slice::<serde_json::Value>(&text).unwrap())
        };
        let request = |method: &str, path: &str| {
            Request::builder().method(method).uri(format!("https://localhost{path}")).version(Version::HTTP_2)
        };
        let [demo, _] = demo::credentials().unwrap();
        let form =
            format!("grant_type=client_credentials&client_id={}&client_secret={}", demo.client_id, demo.client_secret);
        let token = request("POST", "/pub/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        let (status, token) = send(token, form).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());

        let create = |index: usize| {
            // More than what may be sent at once, so that the server has to ask for it.
            let space = " ".repeat(100_000);
            let body = format!(r#"{{"data":{{"type":"group","attributes":{{"name":"Group {index}"}}}}}}{space}"#);
            let head = request("POST", "/pub/group").header("authorization", &bearer);
            send(head.header("content-type", "application/vnd.api+json"), body)
        };
        for (status, group) in join_all((0..5).map(create)).await {
            assert_eq!(status, StatusCode::CREATED, "{group}");
        }
        let path = format!("/pub/group?filter%5Borganization%5D={}", demo.organization);
        let list = |_| send(request("GET", &path).header("authorization", &bearer), String::new());
        for (status, list) in join_all((0..20).map(list)).await {
            assert_eq!((status, list["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(9)), "{list}");
        }
    }
}

#[actix_web::test]
async fn a_connection_of_http_2_has_a_thousand_requests_in_flight_and_no_more() {
    let secure = Secure::start(Database::sqlite());
    let stream = rt::net::TcpStream::connect(secure.server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(secure.client(&["h2"])).connect(name, stream).await.unwrap();
    let (client, connection) =
        h2::client::Builder::new().initial_max_send_streams(2000).handshake::<_, Bytes>(stream).await.unwrap();
    rt::spawn(connection);
    let begin = async || {
        let mut client = client.clone().ready().await.unwrap();
        let request = Request::post("https://localhost/pub/group").header("content-type", "application/json");
        client.send_request(request.body(()).unwrap(), false).unwrap()
    };
    // None of these is sent whole, so that none is answered.
    let mut unfinished = Vec::new();
    for _ in 0..1000 {
        unfinished.push(begin().await);
    }
    let (answer, _sending) = begin().await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));

    // Who has been answered makes room.
    let (answer, mut sending) = unfinished.pop().unwrap();
    sending.send_data("{}".into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (answer, mut sending) = begin().await;
    sending.send_data("{}".into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let mut secure = Secure::start(Database::sqlite());
    let mut open = secure.connect();
    ask(&mut open);
    let new = secure.replace();
    let began = Instant::now();
    while !secure.shows(&new) {
        assert!(began.elapsed() < Duration::from_secs(20), "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(200));
        ask(&mut open);
    }
    ask(&mut open);

    // What cannot be used is not taken, and is complained of.
    fs::write(secure.operator.folder.path().join("chain.pem"), "a mistake").unwrap();
    let complaint = secure.server.logged("the certificate in use is kept");
    assert!(complaint.contains("chain.pem holds no certificate"), "{complaint}");
    assert!(secure.shows(&new));

    let newer = secure.replace();
    secure.server.signal("-HUP");
    secure.server.logged("new connections get the certificate");
    assert!(secure.shows(&newer));
    ask(&mut secure.connect());
}

#[test]
fn certificates_that_cannot_be_used_are_refused_at_the_start() {
    let database = Database::sqlite();
    let (operator, authority) = (Operator::of(&database), Authority::new("Test authority"));
    let [chain, key] = put(&operator, &authority.issue("localhost"));
    let other = operator.file("other.pem", &authority.issue("localhost").key);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = operator.file("encrypted.pem", encrypted);
    let cut = operator.file("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    let absent = operator.folder.path().join("absent.pem").display().to_string();
    for (chain, key, wanted) in [
        (&absent, &key, "absent.pem cannot be read: No such file"),
        (&chain, &absent, "absent.pem cannot be read: No such file"),
        (&key, &chain, "key.pem holds a private key, but no certificate"),
        (&chain, &chain, "chain.pem holds no private key"),
        (&cut, &key, "cut.pem is no good PEM file"),
        (&chain, &other, "other.pem does not belong to the first certificate in"),
        (&chain, &encrypted, "encrypted.pem is encrypted"),
    ] {
        let complaint =
            operator.run(&["serve", "--bind", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]).refused(1);
        assert!(complaint.contains(wanted), "{complaint}");
        assert!(!complaint.contains("MIIB"), "{complaint}");
    }
    let half = operator.run(&["serve", "--tls-cert", &chain]).refused(2);
    assert!(half.contains("--tls-key <FILE>"), "{half}");
}

#[test]
fn what_is_printed_says_https() {
    let folder = TempDir::new().unwrap();
    let mut command: Command = retwine(&folder, &["demo", "--print-env", "--bind", "127.0.0.1:9"]);
    command.env("TLS_CERT", "chain.pem").env("TLS_KEY", "key.pem");
    let assignments = run(command, "").done();
    assert!(assignments.starts_with("BASE_URL='https://127.0.0.1:9/pub'\n"), "{assignments}");
}
