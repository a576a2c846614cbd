//! The commands of the program itself, run as an operator runs them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use retwine::db::Target;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Database, TestApp, each, on_each_database};

/// The settings that the environment of a test run may hold.
const VARIABLES: [&str; 28] = [
    "AUDIT_READS",
    "BIND",
    "BODY_LIMIT",
    "CLIENT_RATE",
    "DATABASE_CONNECTIONS",
    "DATABASE_PATIENCE",
    "DATABASE_REPLICA_URL",
    "DATABASE_URL",
    "DOCS",
    "FAILED_ATTEMPTS",
    "FAILED_ATTEMPTS_PER_ADDRESS",
    "HEAD_LIMIT",
    "HEAD_TIMEOUT",
    "IDEMPOTENCY_LIFETIME",
    "KEEP_ALIVE",
    "MAX_CONNECTIONS",
    "MAX_REQUESTS",
    "REFRESH_TOKEN_LIFETIME",
    "REQUEST_TIMEOUT",
    "RUST_LOG",
    "SHUTDOWN_TIMEOUT",
    "TARGET_LIMIT",
    "TLS_CERT",
    "TLS_KEY",
    "TOKEN_LIFETIME",
    "TRUSTED_PROXIES",
    "TWINE_WEB_APP",
    "WORKERS",
];

/// What a command did.
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program, in a folder of its own and with no settings but these.
pub fn retwine(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retwine"));
    command.args(arguments).current_dir(folder.path());
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// Kills a process that has not ended in time, unless this is dropped before.
pub fn watch(process: &Child) -> Sender<()> {
    let (id, (watch, ended)) = (process.id().to_string(), channel());
    thread::spawn(move || {
        if ended.recv_timeout(Duration::from_mins(1)) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
    });
    watch
}

/// Runs a command to its end, with this on its standard input.
pub fn run(mut command: Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // Most commands do not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let watch = watch(&child);
    let output = child.wait_with_output().expect("the program ends");
    drop(watch);
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Outcome {
    /// What it printed; fails the test unless it did what it was told.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out.trim_end().to_owned()
    }

    /// What it complained of; fails the test unless it ended with this code and
    /// printed nothing.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        self.err.trim_end().to_owned()
    }
}

/// An operator of one database.
pub struct Operator {
    pub folder: TempDir,
    pub url: String,
}

impl Operator {
    pub fn of(database: &Database) -> Self {
        let url = match &database.target {
            Target::Sqlite(file) => format!("sqlite:{file}"),
            Target::Postgres(url) => url.clone(),
        };
        Self { folder: TempDir::new().expect("a temporary folder"), url }
    }

    /// One of an empty database of each kind, with or without its tables.
    pub fn each(migrated: bool) -> Vec<(Database, Self)> {
        let databases = std::iter::once(Database::empty_sqlite()).chain(Database::empty_postgres());
        let of = |database: Database| {
            let operator = Self::of(&database);
            if migrated {
                operator.run(&["migrate"]).done();
            }
            (database, operator)
        };
        databases.map(of).collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = retwine(&self.folder, arguments);
        command.args(["--database-url", &self.url]);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments), "")
    }

    /// Writes a file for the program to read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

/// The value of a line like `client id      7d2f...`.
fn value<'o>(out: &'o str, name: &str) -> &'o str {
    let line = out.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {out}")).trim()
}

fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn the_help_knows_every_command() {
    let folder = TempDir::new().unwrap();
    for (command, verbs) in [
        ("", "serve demo migrate seed check backup restore organization coach group client"),
        ("organization", "add list"),
        ("coach", "add list"),
        ("group", "list"),
        ("client", "add list revoke"),
        ("serve", "--bind --migrate --database-url --token-lifetime --body-limit --workers --shutdown-timeout"),
        ("demo", "--bind --print-env --reset --database-url"),
        ("seed", "<FILE> --reset --as-of --database-url"),
        ("check", "--database-url"),
        ("backup", "<FILE> --force --database-url"),
        ("restore", "<FILE> --force --database-url"),
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let help = run(retwine(&folder, &arguments), "").done();
        let words: Vec<_> = help.split(|character: char| character.is_whitespace() || character == '.').collect();
        for verb in verbs.split(' ') {
            assert!(words.contains(&verb), "retwine {command} --help lacks {verb}:\n{help}");
        }
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        vec![],
        vec!["dance"],
        vec!["client"],
        vec!["seed"],
        vec!["serve", "--bind", "nowhere"],
        vec!["serve", "--workers", "0"],
        vec!["group", "list", "--organization", "17"],
        vec!["coach", "add", "--identifier", "RHP-0112"],
    ] {
        let outcome = run(retwine(&folder, &arguments), "");
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}{}", outcome.out, outcome.err);
        assert!(outcome.err.contains("Usage:") || outcome.err.contains("--help"), "{arguments:?}: {}", outcome.err);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a database was made");
}

#[test]
fn a_database_that_cannot_be_had_is_named_without_its_password() {
    let folder = TempDir::new().unwrap();
    for (url, code, said) in [
        ("mysql://u:hunter2@127.0.0.1/d", 1, "the database URL's scheme \"mysql\" is not one of sqlite, postgres"),
        ("retwine.sqlite", 1, "sqlite:FILE"),
        ("sqlite::memory:", 1, "a SQLite database needs a file"),
        ("sqlite:no/such/folder/retwine.sqlite", 3, "sqlite:no/such/folder/retwine.sqlite"),
        ("postgres://u:hunter2@127.0.0.1:1/d", 3, "postgres://u:***@127.0.0.1:1/d"),
        ("postgres://127.0.0.1:1/d?user=u&password=hunter2", 3, "postgres://127.0.0.1:1/d?user=u&password=***"),
    ] {
        for command in [vec!["migrate"], vec!["organization", "list"], vec!["serve", "--bind", "127.0.0.1:0"]] {
            let command: Vec<_> = command.into_iter().chain(["--database-url", url]).collect();
            let complaint = run(retwine(&folder, &command), "").refused(code);
            assert!(complaint.contains(said) && !complaint.contains("hunter2"), "{command:?}: {complaint}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a database was made");
}

#[test]
fn migrate_says_what_it_did_and_does_it_once() {
    for (_database, operator) in Operator::each(false) {
        let steps = operator.run(&["migrate"]).done();
        assert!(steps.lines().count() >= 6 && steps.lines().all(|line| line.starts_with("migrated 2026")), "{steps}");
        assert_eq!(operator.run(&["migrate"]).done(), "The database is up to date.");
    }
}

#[test]
fn sqlite_is_migrated_without_being_asked_for_it_and_postgresql_is_not() {
    let database = Database::empty_sqlite();
    Operator::of(&database).run(&["organization", "add", "Night Clinic"]).done();
    if let Some(database) = Database::empty_postgres() {
        for command in [vec!["organization", "list"], vec!["client", "add"], vec!["serve", "--bind", "127.0.0.1:0"]] {
            let complaint = Operator::of(&database).run(&command).refused(1);
            assert!(complaint.contains("run `retwine migrate`"), "{command:?}: {complaint}");
        }
    }
}

#[test]
fn the_database_is_also_taken_from_the_environment() {
    for (_database, operator) in Operator::each(true) {
        let id = operator.run(&["organization", "add", "Night Clinic"]).done();
        let mut command = retwine(&operator.folder, &["organization", "list"]);
        command.env("DATABASE_URL", &operator.url);
        assert_eq!(run(command, "").done(), format!("{id}  Night Clinic"));
    }
}

#[test]
fn organizations_are_added_and_listed() {
    for (_database, operator) in Operator::each(true) {
        assert_eq!(operator.run(&["organization", "list"]).done(), "");
        let first = operator.run(&["organization", "add", "Night Clinic"]).done();
        let second = operator.run(&["organization", "add", "Day Clinic"]).done();
        assert!(is_id(&first) && is_id(&second) && first != second, "{first} {second}");
        assert!(operator.run(&["organization", "add", " "]).refused(1).contains("needs a name"));
        let list = operator.run(&["organization", "list"]).done();
        let expected = BTreeSet::from([format!("{first}  Night Clinic"), format!("{second}  Day Clinic")]);
        assert_eq!(list.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn the_organization_is_left_out_only_where_there_is_one() {
    for (_database, operator) in Operator::each(true) {
        for command in [["client", "list"], ["coach", "list"], ["group", "list"]] {
            assert!(operator.run(&command).refused(1).contains("retwine organization add"), "{command:?}");
        }
        operator.run(&["organization", "add", "Night Clinic"]).done();
        assert_eq!(operator.run(&["client", "list"]).done(), "");
        let second = operator.run(&["organization", "add", "Day Clinic"]).done();
        for command in [["client", "list"], ["coach", "list"], ["group", "list"], ["client", "add"], ["coach", "add"]] {
            let complaint = operator.run(&command).refused(1);
            assert!(complaint.contains("--organization") && complaint.contains(&second), "{command:?}: {complaint}");
        }
        assert_eq!(operator.run(&["client", "list", "--organization", &second]).done(), "");
        let nowhere = ["client", "add", "--organization", "65ffffffffffffffffffffff"];
        assert!(operator.run(&nowhere).refused(1).contains(&second));
    }
}

#[actix_web::test]
async fn a_client_gets_a_secret_that_is_shown_once_and_kept_as_a_hash() {
    for (database, operator) in Operator::each(true) {
        operator.run(&["organization", "add", "Night Clinic"]).done();
        let outcome = operator.run(&["client", "add", "--name", "EMR connector"]);
        assert_eq!(outcome.err, "", "the log knows of it");
        let out = outcome.done();
        let (id, secret) = (value(&out, "client id"), value(&out, "client secret"));
        assert_eq!(out.matches(secret).count(), 1, "{out}");

        let list = operator.run(&["client", "list"]).done();
        assert_eq!(list, format!("{id}  organization  EMR connector"));
        if let Target::Sqlite(file) = &database.target {
            let stored = [fs::read(file).unwrap(), fs::read(format!("{file}-wal")).unwrap_or_default()].concat();
            let holds = |text: &str| stored.windows(text.len()).any(|bytes| bytes == text.as_bytes());
            assert!(holds(id) && !holds(secret));
        }
        let app = TestApp::new(database).await;
        app.client(id, secret).await;
    }
}

#[actix_web::test]
async fn a_client_keeps_the_id_and_secret_that_it_has_already() {
    for (database, operator) in Operator::each(true) {
        operator.run(&["organization", "add", "Night Clinic"]).done();
        let (id, secret) = ("ward7-connector", "f0b3c9a2-58de-4c1b-9a67-0d4e8f21b7c3");
        let add = ["client", "add", "--id", id, "--secret-stdin"];
        assert_eq!(run(operator.command(&add), &format!("{secret}\n")).done(), format!("client id      {id}"));
        assert!(run(operator.command(&add), secret).refused(1).contains("there is a client ward7-connector already"));
        let add = ["client", "add", "--id", "ward8-connector", "--secret-stdin"];
        assert!(run(operator.command(&add), "\n").refused(1).contains("no secret came from standard input"));
        assert_eq!(operator.run(&["client", "list"]).done(), format!("{id}  organization  client"));
        let app = TestApp::new(database).await;
        app.client(id, secret).await;
    }
}

#[actix_web::test]
async fn a_client_is_restricted_to_groups() {
    for database in each() {
        let operator = Operator::of(&database);
        let groups = operator.run(&["group", "list", "--organization", "645bc23c86f89266d12f13e9"]).done();
        let expected = "646249ff86f89266d12f13ec  Harbor Street Adults\n6463d1d286f89266d12f13ed  Weight Management\n\
                        65bbb2e98539f250882f13f0  Lungs & Heart";
        assert_eq!(groups, expected);

        let in_demo = ["--organization", "63dab3ff741e089d927ad216", "--group", "659d8885fa867d8b7c7ad21a"];
        let add = |more: &[&str]| operator.run(&[&["client", "add"], &in_demo[..], more].concat());
        let of_another = "646249ff86f89266d12f13ec";
        let complaint = add(&["--group", of_another]).refused(1);
        assert!(complaint.contains(of_another) && complaint.contains("retwine group list"), "{complaint}");
        let out = add(&["--group", "643ebbbeb46c643c507ad219"]).done();
        let list = operator.run(&["client", "list", "--organization", "63dab3ff741e089d927ad216"]).done();
        assert_eq!(list.lines().count(), 3, "{list}");
        assert!(list.contains(&format!("{}  group         client", value(&out, "client id"))), "{list}");

        let app = TestApp::new(database).await;
        let client = app.client(value(&out, "client id"), value(&out, "client secret")).await;
        let list = client.get("/pub/group?filter[organization]=63dab3ff741e089d927ad216").await.expect_status(200);
        assert_eq!(list.ids(), ["643ebbbeb46c643c507ad219", "659d8885fa867d8b7c7ad21a"]);
    }
}

#[actix_web::test]
async fn a_revoked_client_is_let_in_no_more_and_neither_are_its_tokens() {
    on_each_database(async |app| {
        let (operator, client) = (Operator::of(&app.database), app.organization().await);
        let revoke = ["client", "revoke", app.demo.client_id.as_str()];
        client.get(&format!("/pub/group/{}", app.demo.group)).await.expect_status(200);

        assert_eq!(operator.run(&revoke).done(), format!("revoked {} and its tokens", app.demo.client_id));
        // Another process may rely for a second on what it has looked up.
        app.advance(1);
        client.get(&format!("/pub/group/{}", app.demo.group)).await.expect_status(401);
        let body = json!({"data": {"type": "token", "attributes": {"grant_type": "client_credentials",
            "client_id": app.demo.client_id, "client_secret": app.demo.client_secret}}});
        app.anonymous().post("/pub/oauth/token", &body).await.expect_status(401);
        app.group().await;

        assert_eq!(operator.run(&revoke).done(), format!("{} was revoked already", app.demo.client_id));
        assert!(operator.run(&["client", "revoke", "nobody"]).refused(1).contains("there is no such client"));
        let list = operator.run(&["client", "list", "--organization", &app.demo.organization]).done();
        let revoked: Vec<_> = list.lines().filter(|line| line.contains("revoked")).collect();
        assert!(revoked.len() == 1 && revoked[0].contains("Demo integration  revoked 20"), "{list}");
    })
    .await;
}

#[actix_web::test]
async fn coaches_are_added_with_their_groups_and_identifiers() {
    on_each_database(async |app| {
        let operator = Operator::of(&app.database);
        let of = ["--organization", &app.demo.organization];
        let add = |more: &[&str]| operator.run(&[&["coach", "add"], &of[..], more].concat());
        let name = ["--first-name", "Ottilie", "--last-name", "Framsden"];
        let known_by = ["--identifier", "employee-number=RHP-0401", "--identifier", "badge=7=b"];
        let id = add(&[&name[..], &known_by, &["--group", &app.demo.group]].concat()).done();
        let list = operator.run(&[&["coach", "list"], &of[..]].concat()).done();
        assert!(list.contains(&format!("{id}  Ottilie Framsden")) && list.lines().count() == 6, "{list}");

        let client = app.group().await;
        client.get(&format!("/pub/coach/{id}")).await.expect_status(200);
        for (system, value) in [("employee-number", "RHP-0401"), ("badge", "7=b")] {
            let attributes = json!({"identifiers": [{"system": system, "value": value}]});
            let groups = json!({"data": [{"type": "group", "id": app.demo.group}]});
            let patient = json!({"type": "patient", "attributes": attributes, "relationships": {"groups": groups}});
            client.post("/pub/patient", &json!({"data": patient})).await.expect_status(409);
        }
        let taken = add(&["--identifier", "badge=9", "--identifier", "medical-record-number=204417"]).refused(1);
        assert!(taken.contains("\"204417\" of the system \"medical-record-number\" belongs to another"), "{taken}");
        assert!(add(&["--group", &app.stranger.group]).refused(1).contains("retwine group list"));
        assert_eq!(operator.run(&[&["coach", "list"], &of[..]].concat()).done(), list);
    })
    .await;
}
