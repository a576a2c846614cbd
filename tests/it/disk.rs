//! A disk that is full, or that nobody may write to any more, while requests are
//! carried out: what was acknowledged is stored, everything else is turned away,
//! and the server goes on by itself when there is room again.
//!
//! The disk is a small file system that the server alone sees. Where nobody may
//! mount one that half is left out and says so; with `REQUIRE_MOUNTS=1` that is a
//! failure.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use retwine::db::Target;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::people::{OSTRANDER, document};
use crate::serving::{Answer, Server};
use crate::support::Database;

const METRICS: &str = "/pub/patient_health_metric";
const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

/// Measurements in one request.
const BULK: usize = 25;

fn bulk(unit: &str) -> Value {
    let metric = |n: usize| {
        json!({
            "type": "patient_health_metric",
            "attributes": {"type": "weight", "value": n, "unit": unit, "occurred_at": "2026-03-02T08:00:00Z"},
            "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}},
        })
    };
    document(&(0..BULK).map(metric).collect())
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Acknowledged,
    Nothing,
    Unknown,
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        if answer.status() == 200 {
            return Self::Acknowledged;
        }
        let body = answer.json();
        assert_eq!(answer.status(), 503, "{body}");
        assert!(answer.head().contains("retry-after: "), "{}", answer.head());
        let detail = body["errors"][0]["detail"].as_str().unwrap();
        if detail.contains("nothing was stored") {
            return Self::Nothing;
        }
        assert!(detail.contains("may or may not have been stored"), "{detail}");
        Self::Unknown
    }
}

fn file_of(database: &Database) -> PathBuf {
    let Target::Sqlite(file) = &database.target else { unreachable!() };
    file.into()
}

/// How many measurements there are of each unit, once nobody writes any more, and
/// whether everything else holds together: in a copy, as after a crash.
fn stored(files: &Path) -> BTreeMap<String, usize> {
    let copy = Database::empty_sqlite();
    for end in ["", "-wal"] {
        let of = |file: &Path| PathBuf::from(format!("{}{end}", file.display()));
        fs::copy(of(files), of(&file_of(&copy))).unwrap();
    }
    Operator::of(&copy).run(&["check"]).done();
    let db = rusqlite::Connection::open(file_of(&copy)).unwrap();
    let mut rows = db.prepare("SELECT unit, count(*) FROM patient_health_metrics GROUP BY unit").unwrap();
    let text = |unit: Option<String>| unit.unwrap_or_default().trim_matches('"').to_owned();
    rows.query_map([], |row| Ok((text(row.get(0)?), row.get::<_, i64>(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .map(|(unit, count)| (unit, usize::try_from(count).unwrap()))
        .collect()
}

fn compare(sent: &[(String, Outcome)], stored: &BTreeMap<String, usize>) {
    for (unit, outcome) in sent {
        let count = stored.get(unit).copied().unwrap_or_default();
        let fits = match outcome {
            Outcome::Acknowledged => count == BULK,
            Outcome::Nothing => count == 0,
            Outcome::Unknown => count == 0 || count == BULK,
        };
        assert!(fits, "{unit}: {outcome:?}, and {count} are stored");
    }
}

/// A server on a file system of its own, of this size, with a copy of the demo;
/// its folder there, as seen from here.
fn on_a_disk_of(megabytes: u32, database: &Database, operator: &mut Operator) -> (Server, PathBuf) {
    let place = operator.folder.path().join("disk");
    fs::create_dir(&place).unwrap();
    operator.url = format!("sqlite:{}/test.sqlite", place.display());
    let bare = operator.command(&SERVE);
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=\"$1\" disk \"$2\" && cp \"$3\" \"$2/test.sqlite\" && shift 3 && exec \"$@\"";
    command.args(["-rm", "sh", "-c", script, "sh", &format!("{megabytes}m")]).arg(&place).arg(file_of(database));
    command.arg(bare.get_program()).args(bare.get_args());
    for (name, _) in bare.get_envs() {
        command.env_remove(name);
    }
    command.env("RUST_LOG", "info,access=off");
    let server = Server::start_with(command, false);
    let seen = PathBuf::from(format!("/proc/{}/root{}", server.id(), place.display()));
    (server, seen)
}

/// Whether a file system can be mounted for one process.
fn mounts() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let tried = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "disk"]).arg(folder.path()).output();
    let cause = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let required = env::var("REQUIRE_MOUNTS").is_ok_and(|value| value == "1");
    assert!(!required, "REQUIRE_MOUNTS=1, but none works: {cause}");
    eprintln!("a disk of its own is skipped: {cause}");
    false
}

/// Takes up a whole disk, but for this.
fn fill(ballast: &mut File, room: u64) {
    let block = vec![1; 64 * 1024];
    while ballast.write_all(&block).is_ok() {}
    let taken = ballast.metadata().unwrap().len();
    ballast.set_len(taken - room).unwrap();
}

#[test]
fn a_disk_that_is_full_turns_writes_away_until_there_is_room_and_loses_nothing() {
    if !mounts() {
        return;
    }
    let database = Database::sqlite();
    let mut operator = Operator::of(&database);
    let (server, disk) = on_a_disk_of(16, &database, &mut operator);
    let bearer = server.authorization();
    let mut ballast = File::create(disk.join("ballast")).unwrap();
    fill(&mut ballast, 1024 * 1024);

    let freed = AtomicBool::new(false);
    let write = |writer: usize| {
        let (mut sent, mut after, began) = (Vec::new(), 0, Instant::now());
        while after < 3 {
            assert!(began.elapsed() < Duration::from_secs(30), "it does not recover: {:?}", sent.last());
            let was_freed = freed.load(Ordering::SeqCst);
            let unit = format!("{writer} {}", sent.len());
            let outcome = Outcome::of(&server.send("POST", METRICS, &bearer, &bulk(&unit)));
            after += usize::from(was_freed && outcome == Outcome::Acknowledged);
            sent.push((unit, outcome));
            if outcome != Outcome::Acknowledged {
                thread::sleep(Duration::from_millis(20));
            }
        }
        sent
    };
    let sent: Vec<_> = thread::scope(|threads| {
        let writers: Vec<_> = (0..4).map(|writer| threads.spawn(move || write(writer))).collect();
        thread::sleep(Duration::from_secs(3));
        assert_eq!(server.get(&format!("{METRICS}?filter[patient]={OSTRANDER}"), &bearer).status(), 200);
        ballast.set_len(0).unwrap();
        freed.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let count = |wanted: Outcome| sent.iter().filter(|(_, outcome)| *outcome == wanted).count();
    let [acknowledged, nothing, unknown] = [Outcome::Acknowledged, Outcome::Nothing, Outcome::Unknown].map(count);
    eprintln!("acknowledged: {acknowledged}, turned away: {nothing}, unknown: {unknown}");
    assert!(acknowledged > 12 && nothing > 0);
    compare(&sent, &stored(&disk.join("test.sqlite")));
}

/// Lets nobody write to the files of a database any more, not even root, or lets them.
fn protect(file: &Path, protected: bool) -> Result<(), String> {
    let files = ["", "-wal"].map(|end| format!("{}{end}", file.display()));
    let flag = if protected { "+i" } else { "-i" };
    let output = Command::new("chattr").arg(flag).args(files).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn a_file_that_may_not_be_written_to_any_more_turns_writes_away_until_it_may() {
    let database = Database::sqlite();
    let file = file_of(&database);
    let server = Server::start(&Operator::of(&database), &SERVE);
    let bearer = server.authorization();
    let mut sent = Vec::new();
    let mut write = || {
        let unit = format!("turn {}", sent.len());
        let outcome = Outcome::of(&server.send("POST", METRICS, &bearer, &bulk(&unit)));
        sent.push((unit, outcome));
        outcome
    };
    assert_eq!(write(), Outcome::Acknowledged);
    if let Err(cause) = protect(&file, true) {
        // Most file systems can, but containers may not be let.
        return eprintln!("a file that may not be written to is skipped: {cause}");
    }
    let during = [write(), write(), write()];
    let read = server.get(&format!("{METRICS}?filter[patient]={OSTRANDER}"), &bearer).status();
    protect(&file, false).unwrap();
    assert_eq!(read, 200);
    assert!(!during.contains(&Outcome::Acknowledged), "{during:?}");
    // One may find out that it is over.
    let after = [write(), write(), write()];
    assert_eq!(after[1..], [Outcome::Acknowledged; 2], "{after:?}");
    compare(&sent, &stored(&file));
}
