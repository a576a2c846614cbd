//! Guessing of credentials, and clients that ask too often.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Method;
use retwine::admin::{self, NewClient};
use retwine::auth::Scope;
use retwine::db::Weight;
use retwine::id::Id;
use retwine::jsonapi::Notes;
use serde_json::{Value, json};

use crate::support::{Response, TestApp, config, each, on_each_database};

const CHOSEN: (&str, &str) = ("ward8-connector", "correct horse");

/// Somebody at an address who asks for tokens.
struct Guesser<'a> {
    app: &'a TestApp,
    address: &'a str,
    forwarded: &'a str,
}

impl<'a> Guesser<'a> {
    fn at(app: &'a TestApp, address: &'a str) -> Self {
        Self { app, address, forwarded: "" }
    }

    async fn ask(&self, content_type: &str, body: String) -> Response {
        let client = self.app.anonymous();
        let address: IpAddr = self.address.parse().unwrap();
        let mut request = client.request(Method::POST, "/pub/oauth/token").peer_addr(SocketAddr::new(address, 49152));
        if !self.forwarded.is_empty() {
            request = request.insert_header(("X-Forwarded-For", self.forwarded));
        }
        client.send(request.insert_header(("Content-Type", content_type)).set_payload(body)).await
    }

    async fn document(&self, id: &str, secret: &str) -> Response {
        let attributes = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
        let body = json!({"data": {"type": "token", "attributes": attributes}});
        self.ask("application/vnd.api+json", body.to_string()).await
    }

    async fn form(&self, id: &str, secret: &str) -> Response {
        let members = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        self.ask("application/x-www-form-urlencoded", body).await
    }

    /// Fails so many times.
    async fn fail(&self, id: &str, times: usize) {
        for _ in 0..times {
            self.document(id, "a guess").await.expect_status(401);
        }
    }
}

/// Makes a client whose secret somebody chose.
async fn add_chosen(app: &TestApp) {
    let organization = Id::parse(&app.demo.organization).unwrap();
    let now = app.app.clock.now();
    let add = move |db: &mut retwine::db::Conn| {
        let scope = Scope { organization, groups: None, client: CHOSEN.0.into(), now, req_id: None };
        let (id, secret) = (CHOSEN.0.to_owned(), CHOSEN.1.to_owned());
        admin::Client::add(
            db,
            &scope,
            &NewClient { id, name: "Ward 8".to_owned(), secret, groups: None },
            &Notes::default(),
        )
    };
    app.app.pool.write(Weight::Short, add).await.unwrap();
}

#[actix_web::test]
async fn guessing_is_stopped_after_ten_failures_a_minute() {
    on_each_database(async |app| {
        add_chosen(&app).await;
        let guesser = Guesser::at(&app, "192.0.2.1");
        // What succeeds is not counted.
        for _ in 0..3 {
            guesser.document(CHOSEN.0, CHOSEN.1).await.expect_status(201);
        }
        guesser.fail(CHOSEN.0, 10).await;
        let refused = guesser.document(CHOSEN.0, "a guess").await.expect_status(429);
        assert_eq!(
            refused.errors(),
            "429 - -: Too many attempts with wrong credentials came from this address: 60 a minute are looked at, for one \
             client id 10. Check the id and the secret with the operator of this server, and try again after the 6 s that \
             Retry-After names."
        );
        assert_eq!(refused.header("retry-after"), "6");
        assert_eq!(refused.header("cache-control"), "no-store");
        // Not even the right one is looked at.
        guesser.document(CHOSEN.0, CHOSEN.1).await.expect_status(429);
        let form = guesser.form(CHOSEN.0, CHOSEN.1).await.expect_status(429);
        assert_eq!((form.body["error"].as_str(), form.header("retry-after")), (Some("temporarily_unavailable"), "6"));
        assert_eq!(form.header("content-type"), "application/json");

        // Others are not concerned, and neither are other ids.
        Guesser::at(&app, "192.0.2.2").document(CHOSEN.0, CHOSEN.1).await.expect_status(201);
        guesser.fail("another", 1).await;
        app.advance(6);
        guesser.document(CHOSEN.0, CHOSEN.1).await.expect_status(201);
        guesser.fail(CHOSEN.0, 1).await;
        guesser.document(CHOSEN.0, CHOSEN.1).await.expect_status(429);
        app.advance(60);
        guesser.fail(CHOSEN.0, 10).await;
    })
    .await;
}

#[actix_web::test]
async fn guessing_with_many_ids_is_stopped_after_sixty_failures() {
    on_each_database(async |app| {
        let guesser = Guesser::at(&app, "192.0.2.1");
        for index in 0..12 {
            guesser.fail(&format!("id {index}"), 5).await;
        }
        let refused = guesser.document("id 12", "a guess").await.expect_status(429);
        assert_eq!(refused.header("retry-after"), "1");
        // A secret that cannot be guessed proves that this is no guess.
        guesser.document(&app.demo.client_id, &app.demo.client_secret).await.expect_status(201);
        guesser.document(&app.demo.client_id, &app.stranger.client_secret).await.expect_status(429);
    })
    .await;
}

#[actix_web::test]
async fn the_address_is_the_clients_where_proxies_are_trusted() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--trusted-proxies", "10.0.0.0/8"])).await;
        let through = |forwarded| Guesser { app: &app, address: "10.0.0.7", forwarded };
        through("192.0.2.1").fail("somebody", 10).await;
        through("192.0.2.1").document("somebody", "a guess").await.expect_status(429);
        // What the client makes up stands before what the proxy adds.
        through("198.51.100.3, 192.0.2.1").document("somebody", "a guess").await.expect_status(429);
        through("192.0.2.2").fail("somebody", 1).await;
        let made_up = Guesser { app: &app, address: "192.0.2.3", forwarded: "192.0.2.1" };
        made_up.fail("somebody", 1).await;
    }
}

#[actix_web::test]
async fn attempts_are_not_limited_when_that_is_said() {
    for database in each() {
        let off = config(&["--failed-attempts", "0", "--failed-attempts-per-address", "0"]);
        let app = TestApp::with_config(database, off).await;
        Guesser::at(&app, "192.0.2.1").fail("somebody", 70).await;
    }
}

#[actix_web::test]
async fn a_client_is_granted_so_many_requests_a_minute() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--client-rate", "4"])).await;
        // The token is one of them.
        let (client, other) = (app.organization().await, app.group().await);
        let groups = format!("/pub/group?filter[organization]={}", app.demo.organization);
        for _ in 0..3 {
            assert_eq!(client.get(&groups).await.expect_status(200).count(), 4);
        }
        let body = json!({"data": {"type": "group", "attributes": {"name": "Too often"}}});
        for answer in [client.get(&groups).await, client.post("/pub/group", &body).await] {
            let answer = answer.expect_status(429);
            assert_eq!(
                answer.errors(),
                "429 - -: This client has sent more than the 4 requests a minute that it is granted; nothing was stored. \
                 Try again after the 15 s that Retry-After names, and send many resources at a time."
            );
            assert_eq!(answer.header("retry-after"), "15");
        }
        let form = Guesser::at(&app, "192.0.2.1").form(&app.demo.client_id, &app.demo.client_secret).await;
        assert_eq!(form.expect_status(429).body["error"], "temporarily_unavailable");
        other.get(&groups).await.expect_status(200);
        app.anonymous().get(&groups).await.expect_status(401);

        // Large bodies have their token looked up twice, and are still one request.
        app.advance(60);
        let bio = "x".repeat(70_000);
        let large = json!({"data": {"type": "group", "attributes": {"name": "Large", "bio": bio}}});
        for _ in 0..4 {
            client.post("/pub/group", &large).await.expect_status(201);
        }
        client.post("/pub/group", &large).await.expect_status(429);
        app.advance(15);
        assert_eq!(client.get(&groups).await.expect_status(200).count(), 8);
    }
}

#[actix_web::test]
async fn refresh_tokens_are_not_counted_since_they_cannot_be_guessed() {
    on_each_database(async |app| {
        let guesser = Guesser::at(&app, "192.0.2.1");
        let id = &app.demo.client_id;
        let body = json!({"grant_type": "refresh_token", "client_id": id, "refresh_token": "no longer good"});
        for _ in 0..70 {
            let answer = guesser.ask("application/json", body.to_string()).await.expect_status(401);
            assert_eq!(answer.body.get("access_token"), None::<&Value>);
        }
        guesser.document(id, &app.demo.client_secret).await.expect_status(201);
    })
    .await;
}
