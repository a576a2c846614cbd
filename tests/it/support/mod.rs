//! What tests stand on: [`on_each_database`] gives a test the application with
//! the demo's organizations in it, on SQLite and again on PostgreSQL; a
//! [`Client`] speaks to it as one caller. Every answer is held against
//! `schema/openapi.yaml` on the way.

mod browser;
mod certificates;
mod client;
mod contract;
mod database;
mod queries;
mod secure;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::body::to_bytes;
use actix_web::dev::Service;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use clap::Parser;
use futures_util::future::LocalBoxFuture;
use retwine::call::App;
use retwine::config::Config;
use retwine::db::Pool;
use retwine::demo::{self, Credentials};
use retwine::time::{Clock, Instant};

pub use browser::Browser;
pub use certificates::{Authority, Certificate};
pub use client::{Client, Response};
pub use contract::{Operation, faults, follow, operation, operations};
pub use database::{Cluster, Database, each};
pub use queries::counted;
pub use secure::SecureServer;

/// The time at which tests begin.
pub const NOW: &str = "2026-03-02T09:30:00.000Z";

/// What was asked and what came back: method, URI, status, headers, body.
type Exchange = (Method, String, u16, HeaderMap, Vec<u8>);

/// The application on a database of its own, with the demo's organizations.
#[derive(Clone)]
pub struct TestApp {
    send: Rc<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Exchange>>,
    /// The application's own state, for what the API does not offer.
    pub app: App,
    /// The demo organization, and the stranger to it.
    pub demo: Credentials,
    pub stranger: Credentials,
    clock: Arc<AtomicI64>,
    /// Kept for as long as the application lives.
    pub database: Rc<Database>,
}

/// Runs a test on SQLite and again on PostgreSQL.
pub async fn on_each_database(test: impl AsyncFn(TestApp)) {
    for database in each() {
        eprintln!("on {}", database.name());
        test(TestApp::new(database).await).await;
    }
}

/// The settings of a command line.
pub fn config(arguments: &[&str]) -> Config {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
    }
    Line::parse_from(std::iter::once(&"retwine").chain(arguments)).config
}

impl TestApp {
    pub async fn new(database: Database) -> Self {
        Self::with_config(database, config(&[])).await
    }

    pub async fn with_config(database: Database, config: Config) -> Self {
        let pool = database.pool();
        Self::with_pool(database, config, pool).await
    }

    /// The application on connections to this database of its own.
    pub async fn with_pool(database: Database, config: Config, pool: Pool) -> Self {
        let start = Instant::parse(NOW).unwrap().milliseconds();
        let clock = Arc::new(AtomicI64::new(start));
        let app = App::new(config, pool, Clock::Set(clock.clone()));
        let service = Rc::new(init_service(retwine::server::app(app.clone())).await);
        let send = move |request: TestRequest| -> LocalBoxFuture<'static, Exchange> {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let request = request.to_request();
                let (method, uri) = (request.method().clone(), request.uri().to_string());
                let response = service.call(request).await.expect("the application answers");
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = to_bytes(response.into_body()).await.map_err(|_| "body").unwrap().to_vec();
                (method, uri, status, headers, body)
            })
        };
        let [demo, stranger] = demo::credentials().unwrap();
        Self { send: Rc::new(send), app, demo, stranger, clock, database: Rc::new(database) }
    }

    /// Sets the clock forward.
    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Client {
        Client::new(self.clone(), None)
    }

    /// The demo's client that sees its whole organization.
    pub async fn organization(&self) -> Client {
        self.client(&self.demo.client_id, &self.demo.client_secret).await
    }

    /// The demo's client that is restricted to its first group.
    pub async fn group(&self) -> Client {
        self.client("3e8b6f92-1c47-4a9d-b5e3-92d07c1f4a68", "b1d5f0a3-7e29-4c86-9f14-5a3c8e6d7b02").await
    }

    /// A client of the other organization.
    pub async fn stranger(&self) -> Client {
        self.client(&self.stranger.client_id, &self.stranger.client_secret).await
    }

    /// A caller with a token of this client.
    pub async fn client(&self, id: &str, secret: &str) -> Client {
        let body = serde_json::json!({"data": {"type": "token", "attributes": {
            "grant_type": "client_credentials", "client_id": id, "client_secret": secret,
        }}});
        let answer = self.anonymous().post("/pub/oauth/token", &body).await.expect_status(201);
        let token = answer.body["data"]["attributes"]["access_token"].as_str().unwrap().to_owned();
        self.caller(token)
    }

    /// A caller with this token.
    pub fn caller(&self, token: String) -> Client {
        Client::new(self.clone(), Some(token))
    }
}
