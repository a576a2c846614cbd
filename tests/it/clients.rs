//! Clients that nobody here wrote, against the program as it is shipped:
//! `retwine demo`, a process of its own, on SQLite and on PostgreSQL.
//!
//! What they do is in `tests/clients`, and so is how to install them. A client
//! that is not installed is skipped, and says so; with `REQUIRE_CLIENTS=1` that
//! is a failure.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, iter};

use retwine::db::Target;
use tempfile::TempDir;

use crate::support::Database;

#[test]
fn kitsu_works_unchanged() {
    Client {
        name: "kitsu",
        program: "node".into(),
        import: ["-e", "require.resolve('kitsu/package.json')"],
        script: "kitsu.mjs",
    }
    .run_on_each_database();
}

#[test]
fn requests_oauthlib_works_unchanged() {
    Client {
        name: "requests-oauthlib",
        program: env::var("RETWINE_TEST_PYTHON").unwrap_or_else(|_| "python3".into()),
        import: ["-c", "import requests_oauthlib"],
        script: "oauth2.py",
    }
    .run_on_each_database();
}

/// A library and the script that uses it.
struct Client {
    name: &'static str,
    /// What runs the script.
    program: String,
    /// Its arguments to find out whether the library is there.
    import: [&'static str; 2],
    /// A file of `tests/clients`.
    script: &'static str,
}

impl Client {
    fn run_on_each_database(&self) {
        if let Err(cause) = self.find() {
            return skip(self.name, &cause);
        }
        for database in iter::once(Database::empty_sqlite()).chain(Database::empty_postgres()) {
            eprintln!("{} on {}", self.name, database.name());
            self.run(&Demo::start(&database.target));
        }
    }

    fn find(&self) -> Result<(), String> {
        let output = Command::new(&self.program).args(self.import).output();
        let output = output.map_err(|error| format!("{}: {error}", self.program))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    fn run(&self, demo: &Demo) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(self.script);
        let mut command = Command::new(&self.program);
        command.arg(script).envs(demo.environment()).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let output = command.output().expect("the script runs");
        let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}{complaints}\nThe log of the server:\n{}", demo.log());
        eprint!("{said}");
    }
}

/// Says that a client is not installed; fails where it has to be.
pub fn skip(name: &str, cause: &str) {
    let required = env::var("REQUIRE_CLIENTS").unwrap_or_default();
    let is_required = required.split(',').any(|required| required == "1" || required == name);
    assert!(!is_required, "REQUIRE_CLIENTS={required}, but {name} is not there: {cause}");
    eprintln!("{name} is skipped, because it is not installed; see tests/clients/README.md");
}

/// A running demo. It ends with the test, however that ends.
pub struct Demo {
    process: Child,
    /// Host and port.
    pub address: String,
    /// Keeps the log.
    folder: TempDir,
}

impl Demo {
    /// Starts the demo on a port that is free, and returns when it is ready.
    pub fn start(target: &Target) -> Self {
        let url = match target {
            Target::Sqlite(file) => format!("sqlite:{file}"),
            Target::Postgres(url) => url.clone(),
        };
        let folder = TempDir::new().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = retwine(&["demo", "--bind", "127.0.0.1:0", "--database-url", &url]);
        let process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut demo = Self { process, address: String::new(), folder };
        demo.address = demo.address_printed();
        demo.wait();
        demo
    }

    /// The address, from what the demo prints.
    fn address_printed(&mut self) -> String {
        let pipe = self.process.stdout.as_mut().expect("a pipe");
        let mut printed = BufReader::new(pipe).lines().map_while(Result::ok);
        let address = printed.find_map(|line| {
            let address = line.strip_prefix("The demo is served at http://")?.strip_suffix("/pub")?;
            Some(address.to_owned())
        });
        address.unwrap_or_else(|| panic!("the demo did not start: {}", self.log()))
    }

    /// It listens before it prints, so a connection waits until it is answered.
    fn wait(&self) {
        let mut connection = TcpStream::connect(&self.address).expect("the demo listens");
        connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").expect("the demo reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("the demo answers");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}\n{}", self.log());
    }

    /// What `demo --print-env` prints, by name.
    fn environment(&self) -> Vec<(String, String)> {
        let output = retwine(&["demo", "--print-env", "--bind", &self.address]).output().expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let assignments = text.lines().map(|line| line.split_once('=').expect("an assignment"));
        assignments.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Nothing is left to do when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, with its defaults whatever the environment says.
fn retwine(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retwine"));
    command.args(arguments).env_clear();
    command
}
