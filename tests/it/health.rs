//! What a supervisor asks: whether the gateway lives and whether it can answer;
//! and what callers hear when the database is gone.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use retwine::db::{Conn, Pool, PoolOptions, Target, connect};
use serde_json::json;

use crate::support::{Database, TestApp, config, on_each_database};

#[actix_web::test]
async fn a_gateway_with_its_database_is_alive_and_ready() {
    on_each_database(async |app| {
        let client = app.anonymous();
        for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
            let answer = client.get(path).await.expect_status(200);
            assert_eq!(answer.body, json!({"status": status}));
            assert_eq!(answer.header("content-type"), "application/json");
            assert!(!answer.header("x-request-id").is_empty());
        }
    })
    .await;
}

#[actix_web::test]
async fn a_gateway_without_tables_is_alive_and_not_ready() {
    for database in std::iter::once(Database::empty_sqlite()).chain(Database::empty_postgres()) {
        let app = TestApp::with_config(database, config(&[])).await;
        let client = app.anonymous();
        client.get("/healthz").await.expect_status(200);
        let answer = client.get("/readyz").await.expect_status(503);
        assert_eq!(answer.body, json!({"status": "the database lacks migrations; run: retwine migrate"}));
    }
}

/// Drops a database of PostgreSQL, whoever uses it.
fn drop_database(target: &Target) {
    let Target::Postgres(url) = target else { unreachable!() };
    let (server, name) = url.rsplit_once('/').unwrap();
    let Conn::Postgres(mut admin) = connect(&Target::Postgres(format!("{server}/postgres"))).unwrap() else {
        unreachable!()
    };
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}

#[actix_web::test]
async fn a_request_that_the_lost_database_cannot_answer_is_503_with_retry_after() {
    if let Some(database) = Database::postgres() {
        let options = PoolOptions { connections: 2, patience: Duration::from_secs(1) };
        let pool = Pool::open(&database.target, options).unwrap();
        let app = TestApp::with_pool(database, config(&[]), pool).await;
        let client = app.organization().await;
        drop_database(&app.database.target);
        let answer = client.get(&format!("/pub/group/{}", app.demo.group)).await.expect_status(503);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert_eq!(
            answer.errors(),
            "503 - -: The database cannot be reached right now; nothing was stored. Try again after the seconds that \
             Retry-After names."
        );
    }
}
