//! `retwine backup` and `retwine restore`: whole or not at all.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use retwine::db::{Conn, Target};
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::people::{OSTRANDER, document};
use crate::serving::Server;
use crate::support::Database;

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];
const METRICS: &str = "/pub/patient_health_metric";

/// Measurements in one request.
const BULK: usize = 25;

fn bulk(first: usize) -> Value {
    let metric = |n: usize| {
        json!({
            "type": "patient_health_metric",
            "attributes": {"type": "weight", "value": first + n, "unit": "kg", "occurred_at": "2026-03-02T08:00:00Z"},
            "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}},
        })
    };
    document(&(0..BULK).map(metric).collect())
}

/// How many measurements a server shows.
fn shown(server: &Server) -> usize {
    let path = format!("{METRICS}?filter[patient]={OSTRANDER}&page[size]=0");
    let list = server.get(&path, &server.authorization()).json();
    usize::try_from(list["meta"]["count"].as_u64().unwrap()).unwrap()
}

/// An operator of a database that is not there yet.
fn elsewhere() -> (Database, Operator) {
    let database = Database::empty_sqlite();
    let operator = Operator::of(&database);
    (database, operator)
}

fn file_of(database: &Database) -> &Path {
    let Target::Sqlite(file) = &database.target else { unreachable!() };
    Path::new(file)
}

/// A file in the folder of an operator.
fn place(operator: &Operator, name: &str) -> String {
    operator.folder.path().join(name).display().to_string()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_acknowledged_before_a_backup_began_is_in_it_whatever_is_written_meanwhile() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let server = Server::start(&operator, &SERVE);
    let (authorization, before) = (server.authorization(), shown(&server));
    let (acknowledged, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let backup = place(&operator, "backup.sqlite");
    let write = || {
        while !done.load(Ordering::SeqCst) {
            let answer = server.send("POST", METRICS, &authorization, &bulk(acknowledged.load(Ordering::SeqCst)));
            assert_eq!(answer.status(), 200);
            acknowledged.fetch_add(BULK, Ordering::SeqCst);
        }
    };
    let await_more = |than: usize| {
        while acknowledged.load(Ordering::SeqCst) <= than {
            thread::yield_now();
        }
    };
    thread::scope(|threads| {
        threads.spawn(write);
        for turn in 0..4 {
            await_more(acknowledged.load(Ordering::SeqCst) + 2 * BULK);
            let (least, force) = (acknowledged.load(Ordering::SeqCst), ["--force"]);
            let force = if turn == 0 { &force[..0] } else { &force[..] };
            let said = operator.run(&[&["backup", &backup], force].concat()).done();
            // One bulk may be on its way to be acknowledged.
            let most = acknowledged.load(Ordering::SeqCst) + BULK;

            let (_copy, elsewhere) = elsewhere();
            let restored = elsewhere.run(&["restore", &backup]).done();
            assert_eq!(restored.strip_prefix("restored"), said.strip_prefix("backed up"));
            assert!(said.contains(&format!("{} bytes; organizations: 2, ", fs::metadata(&backup).unwrap().len())));
            let report = elsewhere.run(&["check"]).done();
            assert!(report.lines().all(|line| line.ends_with("  sound")), "{report}");
            let held = shown(&Server::start(&elsewhere, &SERVE)) - before;
            assert!((least..=most).contains(&held) && held.is_multiple_of(BULK), "{held} of {least} to {most}");
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(names(operator.folder.path()), ["backup.sqlite"]);
}

#[test]
fn a_backup_does_not_take_the_place_of_what_is_there() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let there = operator.file("there", "something else");
    let complaint = operator.run(&["backup", &there]).refused(1);
    assert!(complaint.contains("is there already; --force replaces it"), "{complaint}");
    assert_eq!(fs::read_to_string(&there).unwrap(), "something else");
    operator.run(&["backup", &there, "--force"]).done();

    let itself = file_of(&database).display().to_string();
    for command in ["backup", "restore"] {
        let complaint = operator.run(&[command, &itself, "--force"]).refused(1);
        assert!(complaint.contains("is the database itself"), "{command}: {complaint}");
    }
    let server = Server::start(&operator, &SERVE);
    let (_other, operator_of_other) = elsewhere();
    operator_of_other.run(&["migrate"]).done();
    let complaint = operator_of_other.run(&["backup", &itself, "--force"]).refused(1);
    assert!(complaint.contains("is a database in use, not a backup"), "{complaint}");
    assert_eq!(server.get("/readyz", "").status(), 200);

    let (nothing, operator) = elsewhere();
    assert!(operator.run(&["backup", &place(&operator, "b")]).refused(3).contains("there is no file"));
    fs::write(file_of(&nothing), "").unwrap();
    assert!(operator.run(&["backup", &place(&operator, "b")]).refused(1).contains("nothing of retwine's"));
    let complaint = operator.run(&["backup", &place(&operator, "no/such/folder/b")]).refused(1);
    assert!(complaint.contains("no/such/folder"), "{complaint}");
    assert_eq!(names(operator.folder.path()), [""; 0], "something was left behind");
}

#[test]
fn a_database_that_is_served_is_not_replaced_and_one_that_is_not_is() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let backup = place(&operator, "backup.sqlite");
    operator.run(&["backup", &backup]).done();
    let restore = ["restore", backup.as_str(), "--force"];

    let server = Server::start(&operator, &SERVE);
    let before = shown(&server);
    let answer = server.send("POST", METRICS, &server.authorization(), &bulk(0));
    assert_eq!(answer.status(), 200);
    let complaint = operator.run(&restore[..2]).refused(1);
    assert!(complaint.contains("is there already; --force replaces it"), "{complaint}");
    let complaint = operator.run(&restore).refused(1);
    assert!(complaint.contains("is in use; stop every gateway"), "{complaint}");
    assert_eq!(shown(&server), before + BULK);

    // It is killed, so its log stays behind.
    drop(server);
    let folder = file_of(&database).parent().unwrap();
    assert!(names(folder).contains(&"test.sqlite-wal".to_owned()), "{:?}", names(folder));
    let (_other, operator_of_other) = elsewhere();
    let itself = file_of(&database).display().to_string();
    let complaint = operator_of_other.run(&["restore", &itself]).refused(1);
    assert!(complaint.contains("test.sqlite-wal beside it"), "{complaint}");

    operator.run(&restore).done();
    assert_eq!(names(folder), ["test.sqlite"]);
    operator.run(&["check"]).done();
    assert_eq!(shown(&Server::start(&operator, &SERVE)), before);
}

#[test]
fn a_broken_database_is_replaced_with_all_that_stands_beside_it() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let backup = place(&operator, "backup.sqlite");
    operator.run(&["backup", &backup]).done();
    let file = file_of(&database).to_owned();
    for (content, left) in [(Some("no database"), "-wal"), (Some("no database"), "-journal"), (None, "-wal")] {
        match content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        fs::write(format!("{}{left}", file.display()), "of another database").unwrap();
        operator.run(&["restore", &backup, "--force"]).done();
        assert_eq!(names(file.parent().unwrap()), ["test.sqlite"]);
        operator.run(&["check"]).done();
    }
}

#[test]
fn a_link_to_a_database_stays_one() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let (backup, link) = (place(&operator, "backup.sqlite"), place(&operator, "link.sqlite"));
    operator.run(&["backup", &backup]).done();
    std::os::unix::fs::symlink(file_of(&database), &link).unwrap();
    operator.run(&["organization", "add", "Night Clinic"]).done();
    let by_link = Operator { url: format!("sqlite:{link}"), ..Operator::of(&database) };
    by_link.run(&["restore", &backup, "--force"]).done();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(operator.run(&["organization", "list"]).done().lines().count(), 2);
}

#[test]
fn only_a_whole_backup_of_a_known_version_is_restored() {
    let database = Database::sqlite();
    let operator = Operator::of(&database);
    let backup = place(&operator, "backup.sqlite");
    operator.run(&["backup", &backup]).done();
    let whole = fs::read(&backup).unwrap();

    let (target, elsewhere) = elsewhere();
    let refused = |file: &str, said: &str| {
        let complaint = elsewhere.run(&["restore", file]).refused(1);
        assert!(complaint.contains(said), "{said:?}: {complaint}");
        assert_eq!(names(file_of(&target).parent().unwrap()), [""; 0], "something was left behind");
    };
    refused(&place(&operator, "nowhere"), "nowhere: No such file");
    refused(&operator.file("text", &"no database at all ".repeat(100)), "cannot be read: ");
    refused(&operator.file("empty", ""), "holds nothing of retwine's");
    let damaged = place(&operator, "damaged");
    let middle = whole.len() / 2;
    let id = b"6407294b741e089d927ad24f";
    let measurement = whole.windows(id.len()).position(|window| window == id).expect("a measurement");
    for begin in [middle, measurement / 4096 * 4096] {
        let mut bytes = whole.clone();
        bytes[begin..begin + 4096].fill(7);
        fs::write(&damaged, &bytes).unwrap();
        refused(&damaged, "is damaged; nothing was restored:\n  ");
    }
    fs::write(&damaged, &whole[..middle]).unwrap();
    refused(&damaged, "malformed");

    let later = place(&operator, "later");
    fs::write(&later, &whole).unwrap();
    let Conn::Sqlite(mut db) = retwine::db::connect(&Target::Sqlite(later.clone())).unwrap() else { unreachable!() };
    let step = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')";
    db.batch_execute(step).unwrap();
    drop(db);
    refused(&later, "has been used by a later version of retwine");
}

#[test]
fn postgresql_is_left_to_its_own_tools() {
    if let Some(database) = Database::postgres() {
        let operator = Operator::of(&database);
        let file = place(&operator, "backup");
        assert!(operator.run(&["backup", &file]).refused(1).contains("pg_dump"));
        assert!(operator.run(&["restore", &file]).refused(1).contains("pg_restore"));
        assert_eq!(names(operator.folder.path()), [""; 0]);
    }
}
