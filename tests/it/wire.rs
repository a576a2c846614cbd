//! What only a connection shows: a served gateway, spoken to byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use actix_web::rt;
use actix_web::web::block;
use serde_json::{Value, json};

use crate::support::{TestApp, config, each};

/// A gateway on a port of its own.
struct Served {
    app: TestApp,
    address: SocketAddr,
    token: String,
    server: rt::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Runs a test against a served gateway on each database.
async fn on_each_served(test: impl AsyncFn(&Served)) {
    for database in each() {
        eprintln!("on {}", database.name());
        let app = TestApp::with_config(database, config(&["--workers", "1", "--body-limit", "2000"])).await;
        let token = app.organization().await.token.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = rt::spawn(retwine::server::serve(
            listener,
            None,
            app.app.clone(),
            retwine::server::Stop::listen().unwrap(),
        ));
        test(&Served { app, address, token, server }).await;
    }
}

/// An answer as it came.
struct Raw {
    status: String,
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.head))
    }

    /// The lines of the head that two answers to one question share.
    fn lasting_head(&self) -> Vec<String> {
        let lasting = |line: &&str| !line.starts_with("x-request-id:") && !line.starts_with("date:");
        let mut lines: Vec<_> = self.head.to_lowercase().lines().filter(lasting).map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Served {
    /// Sends all pieces, each after the answer to the one before has begun, and
    /// reads until the server closes the connection.
    async fn exchange(&self, pieces: Vec<Vec<u8>>) -> Vec<u8> {
        let address = self.address;
        let talk = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut received = Vec::new();
            let mut buffer = [0; 4096];
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    let length = stream.read(&mut buffer).unwrap();
                    received.extend_from_slice(&buffer[..length]);
                }
                stream.write_all(piece).unwrap();
            }
            stream.read_to_end(&mut received).unwrap();
            let _ = stream.shutdown(Shutdown::Both);
            received
        };
        block(talk).await.unwrap()
    }

    async fn ask(&self, request: String) -> Raw {
        Raw::parse(&self.exchange(vec![request.into_bytes()]).await)
    }

    /// The head of a request, up to further headers.
    fn head(&self, line: &str) -> String {
        format!("{line}\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n", self.token)
    }

    fn groups(&self) -> String {
        format!("/pub/group?filter[organization]={}", self.app.demo.organization)
    }

    async fn group_names(&self) -> Vec<String> {
        let head = self.head(&format!("GET {} HTTP/1.1", self.groups()));
        let groups = self.ask(format!("{head}\r\n")).await.json();
        let name = |group: &Value| group["attributes"]["name"].as_str().unwrap().to_owned();
        groups["data"].as_array().unwrap().iter().map(name).collect()
    }
}

fn group(name: &str) -> String {
    json!({"data": {"type": "group", "attributes": {"name": name}}}).to_string()
}

#[actix_web::test]
async fn head_is_answered_like_get_without_the_body() {
    on_each_served(async |served| {
        let paths = [
            (served.groups(), "200"),
            (format!("/pub/group/{}", served.app.demo.group), "200"),
            ("/pub/group/1".into(), "404"),
            ("/nothing".into(), "404"),
            ("/pub/openapi.yaml".into(), "200"),
            ("/healthz".into(), "200"),
            ("/readyz".into(), "200"),
        ];
        for (path, status) in paths {
            let [get, head] = ["GET", "HEAD"].map(|method| served.head(&format!("{method} {path} HTTP/1.1")));
            let get = served.ask(format!("{get}\r\n")).await;
            let head = served.ask(format!("{head}\r\n")).await;
            assert_eq!((&*head.status, head.body.len()), (status, 0), "{path}");
            assert_eq!(head.lasting_head(), get.lasting_head(), "{path}");
            let length = format!("content-length: {}", get.body.len());
            assert!(!get.body.is_empty() && head.lasting_head().contains(&length), "{}", head.head);
        }
    })
    .await;
}

#[actix_web::test]
async fn http_1_0_is_served() {
    on_each_served(async |served| {
        let (path, token) = (served.groups(), &served.token);
        let answer = served.ask(format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n")).await;
        assert_eq!(answer.status, "200");
        assert!(!answer.head.to_lowercase().contains("transfer-encoding"), "{}", answer.head);
        assert_eq!(answer.json()["meta"]["count"], 4);
    })
    .await;
}

#[actix_web::test]
async fn a_body_may_come_in_chunks() {
    on_each_served(async |served| {
        let body = group("Night shift");
        let (first, second) = body.split_at(17);
        let head = served.head("POST //pub/group/ HTTP/1.1");
        let request = format!(
            "{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        );
        let answer = served.ask(request).await;
        assert_eq!(answer.status, "201");
        assert_eq!(answer.json()["data"]["attributes"]["name"], "Night shift");
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_expects_100_continue_is_told_to_go_on() {
    on_each_served(async |served| {
        let body = group("Night shift");
        let head = served.head("POST /pub/group HTTP/1.1");
        let head = format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        );
        let received = served.exchange(vec![head.into_bytes(), body.into_bytes()]).await;
        let answer = received.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").expect("100 Continue first");
        assert_eq!(Raw::parse(answer).status, "201");
        assert!(served.group_names().await.contains(&"Night shift".to_owned()));
    })
    .await;
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_answered_413_to_a_client_that_sends_all_of_it_first() {
    on_each_served(async |served| {
        let body = group(&"n".repeat(3_000_000));
        let head = served.head("POST /pub/group HTTP/1.1");
        let announced = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let chunked = format!(
            "{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        for request in [announced, chunked] {
            let answer = served.ask(request).await;
            assert_eq!(answer.status, "413");
            assert_eq!(answer.json()["errors"][0]["status"], "413");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_body_that_breaks_off_stores_nothing() {
    on_each_served(async |served| {
        let body = group("Night shift");
        let head = served.head("POST /pub/group HTTP/1.1");
        let cut = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len() + 1);
        let address = served.address;
        let talk = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(cut.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        };
        block(talk).await.unwrap();
        assert!(!served.group_names().await.contains(&"Night shift".to_owned()));
    })
    .await;
}
