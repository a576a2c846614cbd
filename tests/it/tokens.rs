//! What a token opens, and for how long: expiry, refresh, revocation, storage.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::rt;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use futures_util::future::join_all;
use retwine::admin;
use retwine::db::{Conn, Target, Weight};
use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database};

/// The demo's client that is restricted to its first group.
const GROUP_CLIENT: (&str, &str) = ("3e8b6f92-1c47-4a9d-b5e3-92d07c1f4a68", "b1d5f0a3-7e29-4c86-9f14-5a3c8e6d7b02");

/// How long refresh tokens are good, in seconds, when nothing is configured.
const REFRESH_LIFETIME: i64 = 30 * 24 * 3600;

/// A token as a client keeps it.
#[derive(Debug)]
struct Token {
    id: String,
    access: String,
    refresh: String,
}

impl Token {
    fn of(answer: &Response) -> Self {
        let member = |name: &str| answer.body["data"]["attributes"][name].as_str().unwrap().to_owned();
        Self { id: answer.id(), access: member("access_token"), refresh: member("refresh_token") }
    }
}

async fn ask(app: &TestApp, attributes: Value) -> Response {
    app.anonymous().post("/pub/oauth/token", &json!({"data": {"type": "token", "attributes": attributes}})).await
}

/// A new token of a client.
async fn token(app: &TestApp, id: &str, secret: &str) -> Token {
    let attributes = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    Token::of(&ask(app, attributes).await.expect_status(201))
}

/// A new token of the demo's client.
async fn demo_token(app: &TestApp) -> Token {
    token(app, &app.demo.client_id, &app.demo.client_secret).await
}

/// Asks for the next token of the demo's client.
async fn refresh(app: &TestApp, refresh_token: &str) -> Response {
    let client_id = &app.demo.client_id;
    ask(app, json!({"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token})).await
}

async fn get(app: &TestApp, access: &str, path: &str) -> Response {
    Client::new(app.clone(), Some(access.to_owned())).get(path).await
}

/// The status that a token opens the demo organization with.
async fn status_with(app: &TestApp, access: &str) -> u16 {
    get(app, access, &format!("/pub/organization/{}", app.demo.organization)).await.status
}

const SPENT: &str = "401 InvalidCredentials -: The refresh token is unknown, expired, revoked or was used before. Each \
                     works once; get a new token with the grant type client_credentials.";

#[actix_web::test]
async fn a_token_shows_its_groups_and_its_organization() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        let other = demo_token(&app).await;
        for id in [&own.id, &other.id] {
            let path = format!("/pub/oauth/token/{id}/groups");
            let groups = get(&app, &own.access, &path).await.expect_status(200);
            let listed = format!("/pub/group?filter[organization]={}", app.demo.organization);
            let listed = get(&app, &own.access, &listed).await.expect_status(200);
            assert_eq!(groups.body["data"], listed.body["data"]);
            assert_eq!((groups.count(), groups.link("self")), (4, Some(path)));

            let path = format!("/pub/oauth/token/{id}/organization");
            let organization = get(&app, &own.access, &path).await.expect_status(200);
            let fetched = get(&app, &own.access, &format!("/pub/organization/{}", app.demo.organization)).await;
            assert_eq!(organization.body["data"], fetched.expect_status(200).body["data"]);
            assert_eq!(organization.body["data"]["attributes"]["name"], "Riverbend Health Partners");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_token_of_another_client_is_not_found_like_one_that_is_not_there() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        let stranger = token(&app, &app.stranger.client_id, &app.stranger.client_secret).await;
        let colleague = token(&app, GROUP_CLIENT.0, GROUP_CLIENT.1).await;
        let unknown = ["69a55d10fa867d8b7c7ad2ff", "1", "undefined", &own.id.to_uppercase()].map(str::to_owned);
        for relationship in ["groups", "organization"] {
            for id in [&stranger.id, &colleague.id].into_iter().chain(&unknown) {
                let path = format!("/pub/oauth/token/{id}/{relationship}");
                assert_eq!(
                    get(&app, &own.access, &path).await.expect_status(404).errors(),
                    "404 ResourceNotFound -: There is no such resource, or it is not within the scope of this token; check the path and the id in it."
                );
            }
        }
        let path = format!("/pub/oauth/token/{}/groups", own.id);
        app.anonymous().get(&path).await.expect_status(401);
        get(&app, &colleague.access, &path).await.expect_status(404);
    })
    .await;
}

#[actix_web::test]
async fn a_client_of_the_scope_group_sees_its_groups_alone() {
    on_each_database(async |app| {
        let body = json!({"data": {"type": "token", "attributes": {
            "grant_type": "client_credentials", "client_id": GROUP_CLIENT.0, "client_secret": GROUP_CLIENT.1,
        }}});
        let answer = app.anonymous().post("/pub/oauth/token?include=groups", &body).await.expect_status(201);
        let only = json!([{"type": "group", "id": app.demo.group}]);
        assert_eq!(answer.body["data"]["relationships"]["groups"]["data"], only);
        let organization = &answer.body["data"]["relationships"]["organization"]["data"];
        assert_eq!(organization, &json!({"type": "organization", "id": app.demo.organization}));
        let included = answer.body["included"].as_array().unwrap();
        assert_eq!(included.len(), 1);
        assert_eq!(included[0]["attributes"]["name"], "Diabetes Together");

        let token = Token::of(&answer);
        for path in [
            format!("/pub/oauth/token/{}/groups", token.id),
            format!("/pub/group?filter[organization]={}", app.demo.organization),
        ] {
            let groups = get(&app, &token.access, &path).await.expect_status(200);
            assert_eq!((groups.ids(), groups.count()), (vec![app.demo.group.clone()], 1), "{path}");
        }
        get(&app, &token.access, "/pub/group/63e27027741e089d927ad218").await.expect_status(404);
        assert_eq!(status_with(&app, &token.access).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn the_scope_is_named_beside_a_plain_answer() {
    on_each_database(async |app| {
        let clients = [
            (app.demo.client_id.as_str(), app.demo.client_secret.as_str(), "organization"),
            (GROUP_CLIENT.0, GROUP_CLIENT.1, "group"),
        ];
        for (id, secret, scope) in clients {
            let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=group");
            let client = app.anonymous();
            let request = client.request(Method::POST, "/pub/oauth/token").set_payload(body);
            let request = request.insert_header(("Content-Type", "application/x-www-form-urlencoded"));
            assert_eq!(client.send(request).await.expect_status(200).body["scope"], scope);
        }
    })
    .await;
}

#[actix_web::test]
async fn an_access_token_works_for_an_hour() {
    on_each_database(async |app| {
        let token = demo_token(&app).await;
        app.advance(3599);
        assert_eq!(status_with(&app, &token.access).await, 200);
        app.advance(1);
        let path = format!("/pub/organization/{}", app.demo.organization);
        let answer = get(&app, &token.access, &path).await.expect_status(401);
        assert_eq!(
            answer.errors(),
            "401 Unauthorized -: The bearer token has expired. Get a new one from POST /pub/oauth/token, with the \
             refresh token or the client's credentials."
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_gets_a_new_pair_and_leaves_the_old_access_token_alone() {
    on_each_database(async |app| {
        let first = demo_token(&app).await;
        app.advance(3000);
        let answer = refresh(&app, &first.refresh).await.expect_status(201);
        assert_eq!(answer.header("cache-control"), "no-store");
        let second = Token::of(&answer);
        assert!(second.id != first.id && second.access != first.access && second.refresh != first.refresh);
        assert_eq!(status_with(&app, &first.access).await, 200);
        app.advance(3000);
        assert_eq!(status_with(&app, &first.access).await, 401);
        assert_eq!(status_with(&app, &second.access).await, 200);
        refresh(&app, &second.refresh).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_works_in_every_form_of_request() {
    on_each_database(async |app| {
        let (id, secret) = (app.demo.client_id.clone(), app.demo.client_secret.clone());
        let send = async |content_type: &str, body: String| {
            let client = app.anonymous();
            let request = client.request(Method::POST, "/oauth/token").insert_header(("Content-Type", content_type));
            client.send(request.set_payload(body)).await
        };
        let spend = demo_token(&app).await.refresh;
        let flat =
            json!({"grant_type": "refresh_token", "client_id": id, "client_secret": secret, "refresh_token": spend});
        let answer = send("application/json", flat.to_string()).await.expect_status(201);
        assert_eq!(status_with(&app, answer.body["access_token"].as_str().unwrap()).await, 200);
        let reused = send("application/json", flat.to_string()).await.expect_status(401);
        assert_eq!((&reused.body["error"], reused.errors()), (&json!("invalid_grant"), SPENT.to_owned()));

        let spend = demo_token(&app).await.refresh;
        let form = format!("grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token={spend}");
        let answer = send("application/x-www-form-urlencoded", form).await.expect_status(200);
        assert_eq!(status_with(&app, answer.body["access_token"].as_str().unwrap()).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn a_spent_refresh_token_is_400_invalid_grant_to_a_form() {
    on_each_database(async |app| {
        let spend = demo_token(&app).await.refresh;
        refresh(&app, &spend).await.expect_status(201);
        let client = app.anonymous();
        let body = format!("grant_type=refresh_token&client_id={}&refresh_token={spend}", app.demo.client_id);
        let request = client.request(Method::POST, "/pub/oauth/token").set_payload(body);
        let request = request.insert_header(("Content-Type", "application/x-www-form-urlencoded"));
        let answer = client.send(request).await.expect_status(400);
        assert_eq!(answer.body["error"], "invalid_grant");
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_that_is_used_twice_ends_its_whole_family() {
    on_each_database(async |app| {
        let first = demo_token(&app).await;
        let second = Token::of(&refresh(&app, &first.refresh).await.expect_status(201));
        let third = Token::of(&refresh(&app, &second.refresh).await.expect_status(201));
        let bystander = demo_token(&app).await;

        assert_eq!(refresh(&app, &first.refresh).await.expect_status(401).errors(), SPENT);
        for token in [&first, &second, &third] {
            assert_eq!(status_with(&app, &token.access).await, 401);
        }
        assert_eq!(refresh(&app, &third.refresh).await.expect_status(401).errors(), SPENT);
        assert_eq!(status_with(&app, &bystander.access).await, 200);
        refresh(&app, &bystander.refresh).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn of_concurrent_uses_of_a_refresh_token_one_wins_and_the_family_ends() {
    on_each_database(async |app| {
        let first = demo_token(&app).await;
        let answers = join_all((0..6).map(|_| refresh(&app, &first.refresh))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_eq!(answer.expect_status(401).errors(), SPENT);
        }
        let second = Token::of(&won[0]);
        for token in [&first, &second] {
            assert_eq!(status_with(&app, &token.access).await, 401);
        }
        refresh(&app, &second.refresh).await.expect_status(401);
    })
    .await;
}

/// Two requests to run at once, in the order in which they shall reach a row of
/// the tokens. On PostgreSQL that row is held back until both wait for it or for
/// each other; SQLite has one writer at a time.
async fn collide(app: &TestApp, row: &str, requests: [(TestApp, String); 2]) -> Vec<Response> {
    #[derive(QueryableByName)]
    struct Waiting {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let (mut holder, mut watcher) = (app.database.connect(), app.database.connect());
    if let Conn::Postgres(holder) = &mut holder {
        let hold = format!("BEGIN; SELECT id FROM tokens WHERE id = '{row}' FOR UPDATE");
        holder.batch_execute(&hold).unwrap();
    }
    let mut running = Vec::new();
    let began = Instant::now();
    for (app, refresh_token) in requests {
        running.push(rt::spawn(async move { refresh(&app, &refresh_token).await }));
        while let Conn::Postgres(watcher) = &mut watcher {
            let sql = "SELECT count(*) AS count FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting: Waiting = diesel::sql_query(sql).get_result(watcher).unwrap();
            if waiting.count == i64::try_from(running.len()).unwrap() {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "the requests do not meet");
            rt::task::yield_now().await;
        }
    }
    drop(holder);
    join_all(running).await.into_iter().map(|answer| answer.unwrap()).collect()
}

#[actix_web::test]
async fn a_family_ends_even_while_its_newest_token_is_being_refreshed() {
    on_each_database(async |app| {
        for newest_first in [true, false] {
            let first = demo_token(&app).await;
            let second = Token::of(&refresh(&app, &first.refresh).await.expect_status(201));
            let mut requests = [&second.refresh, &first.refresh].map(|token| (app.clone(), token.clone()));
            if !newest_first {
                requests.reverse();
            }
            let answers = collide(&app, &second.id, requests).await;
            let mut family = vec![first, second];
            family.extend(answers.iter().filter(|answer| answer.status == 201).map(Token::of));
            assert!(family.len() <= 3, "a spent token was refreshed");
            for token in family.iter().rev() {
                assert_eq!(status_with(&app, &token.access).await, 401, "newest first: {newest_first}");
                refresh(&app, &token.refresh).await.expect_status(401);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_is_of_no_use_to_another_client_and_unharmed_by_it() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        for (id, secret) in [GROUP_CLIENT, (&*app.stranger.client_id, &*app.stranger.client_secret)] {
            for secret in [json!(secret), Value::Null] {
                let attributes = json!({
                    "grant_type": "refresh_token",
                    "client_id": id,
                    "client_secret": secret,
                    "refresh_token": own.refresh,
                });
                assert_eq!(ask(&app, attributes).await.expect_status(401).errors(), SPENT);
            }
        }
        refresh(&app, &own.refresh).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_needs_its_client_and_no_wrong_secret() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        let wrong = [
            (app.demo.client_id.clone(), json!(app.stranger.client_secret)),
            ("0f6a2c84-9d31-4e57-8b60-c2d5e7f1a394".into(), json!(app.demo.client_secret)),
            ("0f6a2c84-9d31-4e57-8b60-c2d5e7f1a394".into(), Value::Null),
        ];
        for (id, secret) in wrong {
            let attributes = json!({
                "grant_type": "refresh_token",
                "client_id": id,
                "client_secret": secret,
                "refresh_token": own.refresh,
            });
            let answer = ask(&app, attributes).await.expect_status(401);
            assert!(answer.errors().starts_with("401 InvalidCredentials -: There is no client"), "{}", answer.text);
        }
        refresh(&app, &own.refresh).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn neither_an_unknown_nor_an_access_token_refreshes() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        for no_refresh_token in ["8c1d5f70-2b94-4e63-a7f8-90e1b3d6c425", "undefined", &own.access] {
            assert_eq!(refresh(&app, no_refresh_token).await.expect_status(401).errors(), SPENT);
        }
        assert_eq!(status_with(&app, &own.refresh).await, 401);
        assert_eq!(status_with(&app, &own.access).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_expires_too() {
    on_each_database(async |app| {
        let (late, timely) = (demo_token(&app).await, demo_token(&app).await);
        app.advance(REFRESH_LIFETIME - 1);
        refresh(&app, &timely.refresh).await.expect_status(201);
        app.advance(1);
        assert_eq!(refresh(&app, &late.refresh).await.expect_status(401).errors(), SPENT);
    })
    .await;
}

#[actix_web::test]
async fn a_revoked_client_is_refused_at_once_with_all_its_tokens() {
    on_each_database(async |app| {
        let own = demo_token(&app).await;
        let colleague = token(&app, GROUP_CLIENT.0, GROUP_CLIENT.1).await;
        let (id, now) = (app.demo.client_id.clone(), app.app.clock.now());
        assert!(app.app.pool.write(Weight::Short, move |db| admin::revoke_client(db, &id, now)).await.unwrap());

        let path = format!("/pub/organization/{}", app.demo.organization);
        assert_eq!(
            get(&app, &own.access, &path).await.expect_status(401).errors(),
            "401 Unauthorized -: The bearer token is unknown or was revoked. Get one from POST /pub/oauth/token."
        );
        let (id, secret) = (&app.demo.client_id, &app.demo.client_secret);
        let requests = [
            json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret}),
            json!({"grant_type": "refresh_token", "client_id": id, "refresh_token": own.refresh}),
        ];
        for attributes in requests {
            let answer = ask(&app, attributes).await.expect_status(401);
            assert!(answer.errors().starts_with("401 InvalidCredentials -: There is no client"), "{}", answer.text);
        }
        assert_eq!(status_with(&app, &colleague.access).await, 200);
    })
    .await;
}

/// All that the database knows of clients and tokens, as text; of SQLite, the
/// bytes of its files.
async fn contents(app: &TestApp) -> String {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        row: String,
    }
    if let Target::Sqlite(file) = &app.database.target {
        let bytes = |name: &str| std::fs::read(name).unwrap();
        let bytes = [bytes(file), bytes(&format!("{file}-wal"))].concat();
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let read = |db: &mut Conn| {
        let Conn::Postgres(connection) = db else { unreachable!() };
        let sql = "SELECT clients::text AS row FROM clients UNION ALL SELECT tokens::text FROM tokens";
        Ok(diesel::sql_query(sql).load::<Row>(connection)?)
    };
    let rows = app.app.pool.read(Weight::Long, read).await.unwrap();
    rows.into_iter().map(|row| row.row).collect()
}

#[actix_web::test]
async fn neither_secrets_nor_tokens_are_in_the_database() {
    on_each_database(async |app| {
        let first = demo_token(&app).await;
        let second = Token::of(&refresh(&app, &first.refresh).await.expect_status(201));
        let contents = contents(&app).await;
        for public in [&first.id, &second.id, &app.demo.client_id] {
            assert!(contents.contains(public.as_str()), "{public} should be there");
        }
        let secrets = [&first.access, &first.refresh, &second.access, &second.refresh];
        for secret in secrets.into_iter().chain([&app.demo.client_secret, &app.stranger.client_secret]) {
            assert!(!contents.contains(secret.as_str()), "{secret} is in the database");
            assert!(!contents.contains(&secret.replace('-', "")), "{secret} is in the database without hyphens");
        }
    })
    .await;
}
