//! Databases for tests: each test has its own, a copy of one that was migrated
//! and filled with the demo once.
//!
//! PostgreSQL runs as a cluster of this process, on a socket in a temporary
//! folder, from whatever binaries are installed. Without any, its half of each
//! test is left out and says so; with `REQUIRE_POSTGRES=1` that is a failure.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use diesel::connection::SimpleConnection;
use retwine::db::{Conn, Pool, PoolOptions, Target, connect, migrate};
use retwine::demo;
use tempfile::TempDir;

/// A database of one test.
pub struct Database {
    pub target: Target,
    /// Keeps the folder of a SQLite file.
    _folder: Option<TempDir>,
}

/// A fresh database of each kind that is there.
pub fn each() -> Vec<Database> {
    super::queries::count();
    let mut databases = vec![Database::sqlite()];
    databases.extend(Database::postgres());
    databases
}

impl Database {
    pub fn name(&self) -> &'static str {
        match self.target {
            Target::Sqlite(_) => "SQLite",
            Target::Postgres(_) => "PostgreSQL",
        }
    }

    /// A SQLite file with the demo in it.
    pub fn sqlite() -> Self {
        static TEMPLATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let database = Database::empty_sqlite();
            fill(&database.target);
            let Target::Sqlite(file) = &database.target else { unreachable!() };
            fs::read(file).expect("the template")
        });
        let database = Self::empty_sqlite();
        let Target::Sqlite(file) = &database.target else { unreachable!() };
        fs::write(file, &*TEMPLATE).expect("a copy of the template");
        database
    }

    /// A SQLite file without anything.
    pub fn empty_sqlite() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("test.sqlite").display().to_string();
        Self { target: Target::Sqlite(file), _folder: Some(folder) }
    }

    /// A PostgreSQL database with the demo in it; `None` where there is no
    /// PostgreSQL.
    pub fn postgres() -> Option<Self> {
        static TEMPLATE: LazyLock<()> = LazyLock::new(|| {
            if let Some(cluster) = &*CLUSTER {
                cluster.create("demo", "template1");
                fill(&cluster.target("demo"));
            }
        });
        LazyLock::force(&TEMPLATE);
        Self::postgres_like("demo")
    }

    /// A PostgreSQL database without anything.
    pub fn empty_postgres() -> Option<Self> {
        Self::postgres_like("template1")
    }

    fn postgres_like(template: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cluster = CLUSTER.as_ref()?;
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        cluster.create(&name, template);
        Some(Self { target: cluster.target(&name), _folder: None })
    }

    pub fn pool(&self) -> Pool {
        let options = PoolOptions { connections: 8, patience: Duration::from_secs(20) };
        Pool::open(&self.target, options).expect("the test's database opens")
    }

    pub fn connect(&self) -> Conn {
        connect(&self.target).expect("the test's database opens")
    }
}

pub(super) fn fill(target: &Target) {
    let mut db = connect(target).expect("the template opens");
    migrate(&mut db).expect("the template is migrated");
    let now = retwine::time::Instant::parse(super::NOW).unwrap();
    demo::load(&mut db, false, now).expect("the template is filled");
    if let Conn::Sqlite(connection) = &mut db {
        // One file is all that is copied.
        connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
}

static CLUSTER: LazyLock<Option<Cluster>> = LazyLock::new(|| {
    let hasty = ["listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off"];
    Cluster::if_there(&[&hasty[..], &["max_connections=300"]].concat(), &[])
});

/// A PostgreSQL server of this test run.
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    owner: Option<(u32, u32)>,
    /// What its URLs say of its port: nothing, or `:PORT`.
    port: String,
    /// A shell that waits for its standard input to close, which it does when
    /// this process ends in whatever way, and then stops the server.
    guard: Option<Child>,
}

impl Cluster {
    /// An empty one with these settings and files of its own, where there is
    /// PostgreSQL.
    pub fn if_there(settings: &[&str], files: &[(&str, &str)]) -> Option<Self> {
        let required = env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
        match Self::start(settings, files) {
            Ok(cluster) => Some(cluster),
            Err(cause) if required => panic!("REQUIRE_POSTGRES=1, but there is none: {cause}"),
            Err(cause) => {
                eprintln!("PostgreSQL is skipped: {cause}");
                None
            }
        }
    }

    fn start(settings: &[&str], files: &[(&str, &str)]) -> Result<Self, String> {
        let cluster = Self::new()?;
        cluster.run("initdb", &["-N", "-A", "trust", "-U", "retwine", "-E", "UTF8", "-D", "data"])?;
        for (name, text) in files {
            cluster.write(name, text).map_err(|error| format!("{name}: {error}"))?;
        }
        cluster.serve(settings)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.folder.join("data").join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        match self.owner {
            Some((user, group)) => std::os::unix::fs::chown(&file, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// A copy of it that follows it.
    pub fn standby(&self) -> Self {
        let standby = Self::new().expect("a folder");
        let source = self.folder.display().to_string();
        standby
            .run(
                "pg_basebackup",
                &["-N", "-h", &source, "-U", "retwine", "-D", "data", "-R", "-X", "stream", "-c", "fast"],
            )
            .expect("a copy");
        standby.serve(&["listen_addresses=", "fsync=off"]).expect("the copy is served")
    }

    fn new() -> Result<Self, String> {
        let binaries = binaries().ok_or("no initdb in PATH or below /usr/lib/postgresql")?;
        let folder = TempDir::new().map_err(|error| error.to_string())?.keep();
        let owner = unprivileged();
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).map_err(|error| error.to_string())?;
        }
        Ok(Self { folder, binaries, owner, port: String::new(), guard: None })
    }

    /// Runs one of its programs in its folder.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        let output = as_user(&mut command, self.owner).output().map_err(|error| format!("{program}: {error}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    fn serve(mut self, settings: &[&str]) -> Result<Self, String> {
        let port = settings.iter().find_map(|setting| setting.strip_prefix("port="));
        self.port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let folder = self.folder.display();
        let settings = settings.join(" -c ");
        let script = format!(
            "'{}' -D '{folder}/data' -k '{folder}' -c {settings} >server.log 2>&1 </dev/null & \
             read _; kill -INT $!; wait; cd /; rm -rf '{folder}'",
            self.binaries.join("postgres").display(),
        );
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).current_dir(&self.folder);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.guard = Some(as_user(&mut shell, self.owner).spawn().map_err(|error| error.to_string())?);
        self.wait()?;
        Ok(self)
    }

    /// Ends it as a loss of power would.
    pub fn fail(&self) {
        self.run("pg_ctl", &["stop", "-D", "data", "-m", "immediate"]).expect("the server stops");
    }

    /// The folder of its socket, as the host in a URL.
    pub fn host(&self) -> String {
        self.folder.display().to_string().replace('/', "%2F")
    }

    fn wait(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match connect(&self.target("postgres")) {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > Duration::from_secs(30) => return Err(error.to_string()),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    pub fn target(&self, database: &str) -> Target {
        Target::Postgres(format!("postgres://retwine@{}{}/{database}", self.host(), self.port))
    }

    pub fn create(&self, name: &str, template: &str) {
        // One at a time: a template must not be in use.
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut db = connect(&self.target("postgres")).expect("the cluster answers");
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let Conn::Postgres(connection) = &mut db else { unreachable!() };
        connection.batch_execute(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = installed.map(|version| version.path().join("bin")).collect();
    folders.extend(env::split_paths(&path));
    folders.into_iter().find(|folder| is_program(&folder.join("initdb")) && is_program(&folder.join("postgres")))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file())
}

/// PostgreSQL refuses to run as root; whom it runs as then.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"));
    if !root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

fn as_user(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}
