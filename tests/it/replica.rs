//! Long reads from a replica: whoever asks finds what was written before, whether
//! the replica follows, lags behind or is gone.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use retwine::db::{Target, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::Cluster;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo.json");
const GROUPS: &str = "/pub/group?filter[organization]=63dab3ff741e089d927ad216";

/// Makes groups, one after the other, and looks for each in a list at once.
fn write_and_read(server: &Server, bearer: &str, named: &str) {
    for round in 0..10 {
        let group = json!({"data": {"type": "group", "attributes": {"name": format!("{named} {round}")}}});
        let made = server.send("POST", "/pub/group", bearer, &group);
        assert_eq!(made.status(), 201, "{}", made.head());
        let listed = server.get(GROUPS, bearer).json();
        let ids: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|group| &group["id"]).collect();
        assert!(ids.contains(&&made.json()["data"]["id"]), "{named} {round} is not in the list");
    }
}

/// What the replica was asked last by connections that are idle now.
fn asked(replica: &Cluster) -> String {
    let asked = "(SELECT coalesce(string_agg(query, ' '), '') FROM pg_stat_activity WHERE datname = 'retwine')";
    diesel::select(sql::<Text>(asked)).get_result(&mut connect(&replica.target("postgres")).unwrap()).unwrap()
}

#[test]
fn what_was_written_is_read_at_once_whatever_becomes_of_the_replica() {
    let Some(primary) = Cluster::if_there(&["listen_addresses=", "fsync=off", "wal_level=replica"], &[]) else {
        return;
    };
    primary.create("retwine", "template1");
    let replica = primary.standby();
    let [Target::Postgres(url), Target::Postgres(replica_url)] = [&primary, &replica].map(|it| it.target("retwine"))
    else {
        unreachable!()
    };
    let operator = Operator { folder: TempDir::new().unwrap(), url };
    operator.run(&["migrate"]).done();
    operator.run(&["seed", DEMO]).done();
    let arguments =
        ["serve", "--bind", "127.0.0.1:0", "--audit-reads", "false", "--database-replica-url", &replica_url];
    let server = Server::start(&operator, &arguments);
    let bearer = server.authorization();

    write_and_read(&server, &bearer, "It follows");
    assert!(asked(&replica).contains(r#"FROM "groups""#), "the replica was asked {:?}", asked(&replica));

    let mut db = connect(&replica.target("postgres")).unwrap();
    diesel::select(sql::<Bool>("pg_wal_replay_pause() IS NOT NULL")).get_result::<bool>(&mut db).unwrap();
    write_and_read(&server, &bearer, "It lags behind");

    replica.fail();
    write_and_read(&server, &bearer, "It is gone");
}

#[test]
fn only_postgresql_has_replicas() {
    let operator = Operator { folder: TempDir::new().unwrap(), url: "sqlite:retwine.sqlite".into() };
    let refused = operator.run(&["serve", "--database-replica-url", "postgres://localhost/retwine"]).refused(1);
    assert!(refused.contains("only PostgreSQL has replicas"), "{refused}");
}
