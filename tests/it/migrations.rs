//! The schema's steps on both databases, there, back and there again; and that
//! transactions of the pool do not lose each other's writes.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use retwine::auth::Scope;
use retwine::db::schema::{groups, metric_counts, patient_counts, patients};
use retwine::db::{Conn, Json, Weight, migrate, pending, revert};
use retwine::demo;
use retwine::id::Id;
use retwine::resources::group::Group;
use retwine::time::Instant;

use crate::support::{Database, NOW, TestApp, each, on_each_database};

/// The columns of each table: name, type, whether it may be null.
type Tables = BTreeMap<String, Vec<(String, String, bool)>>;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    name: String,
}

const SQLITE_COLUMNS: &str = "SELECT m.name AS of_table, c.name AS name, c.type AS data_type, \
    c.\"notnull\" = 0 AS nullable FROM sqlite_master m, pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.cid";

const POSTGRES_COLUMNS: &str = "SELECT table_name::text AS of_table, column_name::text AS name, data_type::text, \
    is_nullable = 'YES' AS nullable FROM information_schema.columns WHERE table_schema = 'public' \
    AND table_name NOT IN (SELECT table_name FROM information_schema.views) ORDER BY table_name, ordinal_position";

const SQLITE_INDEXES: &str =
    "SELECT tbl_name AS of_table, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";

const POSTGRES_INDEXES: &str = "SELECT tablename::text AS of_table, indexname::text AS name FROM pg_indexes \
    WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)";

/// The tables that a database has, but for the migrations' own.
fn tables(db: &mut Conn) -> Tables {
    let columns: Vec<Column> = match db {
        Conn::Sqlite(connection) => diesel::sql_query(SQLITE_COLUMNS).load(connection).unwrap(),
        Conn::Postgres(connection) => diesel::sql_query(POSTGRES_COLUMNS).load(connection).unwrap(),
    };
    let mut tables = Tables::new();
    for Column { of_table, name, data_type, nullable } in columns {
        let kind = match data_type.to_uppercase().as_str() {
            "TIMESTAMP WITHOUT TIME ZONE" => "TIMESTAMP".to_owned(),
            other => other.to_owned(),
        };
        tables.entry(of_table).or_default().push((name, kind, nullable));
    }
    tables.remove("__diesel_schema_migrations");
    tables
}

/// The indexes that a database has, but for those of constraints.
fn indexes(db: &mut Conn) -> Vec<(String, String)> {
    let indexes: Vec<Index> = match db {
        Conn::Sqlite(connection) => diesel::sql_query(SQLITE_INDEXES).load(connection).unwrap(),
        Conn::Postgres(connection) => diesel::sql_query(POSTGRES_INDEXES).load(connection).unwrap(),
    };
    let mut indexes: Vec<_> = indexes.into_iter().map(|index| (index.of_table, index.name)).collect();
    indexes.sort();
    indexes
}

/// The tables that the queries are written for.
fn tables_of_the_program() -> Tables {
    let mut tables = Tables::new();
    let (mut table, mut renamed) = (String::new(), None);
    for line in include_str!("../../src/db/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            name.clone_into(&mut table);
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            renamed = Some(name.to_owned());
        } else if let Some((name, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            let inner = kind.strip_prefix("Nullable<").and_then(|rest| rest.strip_suffix('>'));
            let sql = match inner.unwrap_or(kind) {
                "Bool" => "BOOLEAN".to_owned(),
                "Double" => "DOUBLE PRECISION".to_owned(),
                other => other.to_uppercase(),
            };
            let name = renamed.take().unwrap_or_else(|| name.to_owned());
            tables.entry(table.clone()).or_default().push((name, sql, inner.is_some()));
        }
    }
    tables
}

/// A database of each kind without anything in it.
fn each_empty() -> impl Iterator<Item = Database> {
    std::iter::once(Database::empty_sqlite()).chain(Database::empty_postgres())
}

#[test]
fn the_steps_make_the_tables_that_the_queries_are_written_for() {
    let expected = tables_of_the_program();
    assert!(
        expected.len() >= 12 && expected["patient_health_metrics"].contains(&("type".into(), "TEXT".into(), false))
    );
    for database in each_empty() {
        let mut db = database.connect();
        migrate(&mut db).unwrap();
        let found = tables(&mut db);
        for (table, columns) in &expected {
            assert_eq!(found.get(table), Some(columns), "{table} on {}", database.name());
        }
        assert_eq!(found.len(), expected.len(), "{:?}", found.keys());
    }
}

#[test]
fn both_databases_have_the_same_indexes() {
    let found: Vec<_> = each_empty()
        .map(|database| {
            let mut db = database.connect();
            migrate(&mut db).unwrap();
            indexes(&mut db)
        })
        .collect();
    assert!(found[0].contains(&("identifiers".into(), "identifiers_unique".into())), "{:?}", found[0]);
    assert!(found.iter().all(|indexes| *indexes == found[0]), "{found:?}");
}

#[test]
fn steps_are_taken_once() {
    for database in each_empty() {
        let mut db = database.connect();
        let all = pending(&mut db).unwrap();
        assert!(all.is_sorted() && all.first().is_some_and(|name| name.ends_with("create_organizations")), "{all:?}");
        assert_eq!(migrate(&mut db).unwrap().len(), all.len(), "{}", database.name());
        assert_eq!(pending(&mut db).unwrap(), [""; 0]);
        assert_eq!(migrate(&mut db).unwrap(), [""; 0]);
    }
}

#[test]
fn steps_are_taken_back_whatever_the_tables_hold_and_taken_again() {
    for database in each() {
        let mut db = database.connect();
        let before = (tables(&mut db), indexes(&mut db));
        revert(&mut db, usize::MAX).unwrap();
        assert_eq!((tables(&mut db), indexes(&mut db)), Default::default(), "{}", database.name());
        let steps = pending(&mut db).unwrap().len();
        assert_eq!(migrate(&mut db).unwrap().len(), steps);
        assert_eq!((tables(&mut db), indexes(&mut db)), before);
        let reports = demo::load(&mut db, false, Instant::parse(NOW).unwrap()).unwrap();
        assert_eq!(reports[0].counts[0], ("organization", 1, 0), "something was left behind");
    }
}

#[test]
fn a_row_cannot_refer_to_what_is_not_there() {
    for database in each() {
        let insert = "INSERT INTO groups (id, organization_id, name, created_at, updated_at) VALUES \
                      ('65ffffffffffffffffffffff', '65fffffffffffffffffffff0', 'Nowhere', '2026-03-02 00:00:00', \
                      '2026-03-02 00:00:00')";
        let refused = database.connect().batch_execute(insert).unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("foreign key"), "{}: {refused}", database.name());
    }
}

#[actix_web::test]
async fn of_transactions_that_count_and_then_insert_none_is_lost_and_none_counts_what_another_does() {
    const THREADS: usize = 8;
    const WRITES: usize = 12;
    on_each_database(async |app| {
        let organization = Id::parse(&app.stranger.organization).unwrap();
        let of_organization = move || groups::table.filter(groups::organization_id.eq(organization));
        let scope = Scope {
            organization,
            groups: None,
            client: "a test".into(),
            now: Instant::parse(NOW).unwrap(),
            req_id: None,
        };
        let number_a_group = move |db: &mut Conn, scope: &Scope| {
            db.serialize(organization)?;
            let count: i64 = of_organization().count().get_result(db)?;
            let group = Group::new(scope, format!("number {count:03}"), None);
            diesel::insert_into(groups::table).values(&group).execute(db)?;
            Ok(())
        };
        let before: i64 = of_organization().count().get_result(&mut app.database.connect()).unwrap();
        std::thread::scope(|threads| {
            for _ in 0..THREADS {
                let (pool, scope) = (app.app.pool.clone(), scope.clone());
                threads.spawn(move || {
                    actix_web::rt::System::new().block_on(async {
                        for _ in 0..WRITES {
                            let scope = scope.clone();
                            pool.write(Weight::Short, move |db| number_a_group(db, &scope)).await.unwrap();
                        }
                    });
                });
            }
        });
        let numbered = of_organization().filter(groups::name.like("number %")).order(groups::name);
        let names: Vec<String> = numbered.select(groups::name).load(&mut app.database.connect()).unwrap();
        let expected = (before..).take(THREADS * WRITES).map(|number| format!("number {number:03}"));
        assert_eq!(names, expected.collect::<Vec<_>>());
    })
    .await;
}

#[actix_web::test]
async fn patients_of_before_there_were_plans_are_given_theirs() {
    for database in each() {
        go_back_before(&mut database.connect(), "2026-11-20-000012_create_plans");
        migrate(&mut database.connect()).unwrap();
        let app = TestApp::new(database).await;
        let client = app.organization().await;
        let list = |kind: &str| format!("/pub/{kind}?filter[organization]={}&page[limit]=100", app.demo.organization);
        let patients = client.get(&list("patient")).await.expect_status(200);
        let plans = client.get(&list("patient_plan_summary")).await.expect_status(200);
        assert_eq!((plans.count(), plans.ids()), (34, patients.ids()));
    }
}

/// Takes back this step and all after it.
fn go_back_before(db: &mut Conn, step: &str) {
    while !pending(db).unwrap().iter().any(|pending| pending == step) {
        revert(db, 1).unwrap();
    }
}

/// Measurements by patient, patients by organization, and linkage.
type Kept = (Vec<(Id, i32)>, Vec<(Id, i32)>, Vec<String>);

/// What the steps since number 20 keep beside the rows that it follows from.
fn kept(db: &mut Conn) -> Kept {
    let metrics = metric_counts::table.select((metric_counts::patient_id, metric_counts::metrics));
    let shown = patients::table.select((patients::groups, patients::coaches)).order(patients::id);
    let shown: Vec<(Json, Json)> = shown.load(db).unwrap();
    (
        metrics.order(metric_counts::patient_id).load(db).unwrap(),
        patient_counts::table.order(patient_counts::organization_id).load(db).unwrap(),
        shown.iter().map(|(groups, coaches)| serde_json::to_string(&(groups, coaches)).unwrap()).collect(),
    )
}

#[test]
fn what_is_kept_beside_rows_is_made_from_those_that_were_there_before() {
    for database in each() {
        let mut db = database.connect();
        let before = kept(&mut db);
        assert!(before.0.iter().any(|(_, metrics)| *metrics > 0), "{:?}", before.0);
        go_back_before(&mut db, "2026-11-20-000020_keep_counts");
        migrate(&mut db).unwrap();
        assert_eq!(kept(&mut db), before);
    }
}
