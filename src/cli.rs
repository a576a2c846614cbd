//! The command line.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 database out of
//! reach.

use std::io::{BufRead, IsTerminal, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

use crate::admin::{self, NewClient, NewCoach};
use crate::auth::{Scope, Secret};
use crate::call::App;
use crate::config::{Config, DatabaseConfig, redact};
use crate::db::{Conn, Pool, Target, Weight, migrate, pending};
use crate::demo;
use crate::error::{Error, Fault, Source};
use crate::id::Id;
use crate::jsonapi::Notes;
use crate::resources::identifier::Identifier;
use crate::resources::organization::Organization;
use crate::seed::{self, Report, Seeded};
use crate::server;
use crate::time::Clock;

/// A host for clients of the discontinued Twine (Fitbit Plus) API.
///
/// Point them at this gateway's base URL, http://ADDRESS:PORT/pub, and change
/// nothing else.
#[derive(Debug, Parser)]
#[command(name = "retwine", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
To try it:           retwine demo
To set up a service: retwine migrate
                     retwine organization add \"Our clinic\"
                     retwine client add --name \"EMR connector\"
                     retwine serve

Every flag can be given as an environment variable instead, as [env: ...] shows.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 database out of reach.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API
    Serve {
        #[command(flatten)]
        config: Config,
        /// On PostgreSQL, run pending migrations first (SQLite always does)
        #[arg(long)]
        migrate: bool,
    },
    /// Serve two organizations of invented people, for trying things out
    Demo {
        #[command(flatten)]
        config: Config,
        /// Print the credentials as shell assignments and exit
        #[arg(long)]
        print_env: bool,
        /// Put the demo organizations back to how they were
        #[arg(long)]
        reset: bool,
    },
    /// Bring the database's schema up to date
    Migrate,
    /// Load organizations from fixture files
    Seed {
        /// JSON:API documents, one organization each
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// First remove everything that these organizations have
        #[arg(long)]
        reset: bool,
    },
    /// Manage organizations
    #[command(subcommand)]
    Organization(OrganizationCommand),
    /// Manage coaches
    #[command(subcommand)]
    Coach(CoachCommand),
    /// Look at groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Manage the clients that may ask for tokens
    #[command(subcommand)]
    Client(ClientCommand),
}

#[derive(Debug, Subcommand)]
enum OrganizationCommand {
    /// Make an organization and print its id
    Add {
        /// Its name
        name: String,
    },
    /// List all organizations
    List,
}

#[derive(Debug, Subcommand)]
enum CoachCommand {
    /// Make a coach and print its id
    Add {
        #[command(flatten)]
        of: OfOrganization,
        /// First name
        #[arg(long)]
        first_name: Option<String>,
        /// Last name
        #[arg(long)]
        last_name: Option<String>,
        /// Group that the coach belongs to; may be given several times
        #[arg(long = "group", value_name = "ID", value_parser = id)]
        groups: Vec<Id>,
        /// Identifier in another system; may be given several times
        #[arg(long = "identifier", value_name = "SYSTEM=VALUE", value_parser = identifier)]
        identifiers: Vec<Identifier>,
    },
    /// List the coaches of an organization
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// List the groups of an organization
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Make a client and print its id and secret, once
    Add {
        #[command(flatten)]
        of: OfOrganization,
        /// What people call it
        #[arg(long, default_value = "client")]
        name: String,
        /// Restrict it to this group; may be given several times
        #[arg(long = "group", value_name = "ID", value_parser = id)]
        groups: Vec<Id>,
        /// The id that an existing client has already
        #[arg(long)]
        id: Option<String>,
        /// Read the secret that an existing client has already from standard input
        #[arg(long)]
        secret_stdin: bool,
    },
    /// List the clients of an organization
    List {
        #[command(flatten)]
        of: OfOrganization,
    },
    /// Revoke a client and all its tokens, at once
    Revoke {
        /// Its id
        id: String,
    },
}

#[derive(Args, Debug)]
struct OfOrganization {
    /// Organization; may be left out where there is only one
    #[arg(long, value_name = "ID", value_parser = id)]
    organization: Option<Id>,
}

fn id(text: &str) -> Result<Id, String> {
    Id::parse(text).ok_or_else(|| "an id is 24 lower-case hex digits".into())
}

fn identifier(text: &str) -> Result<Identifier, String> {
    match text.split_once('=') {
        Some((system, value)) if !system.is_empty() && !value.is_empty() => {
            Ok(Identifier { label: None, system: system.into(), value: value.into(), unique: true })
        }
        _ => Err("write SYSTEM=VALUE, such as employee-number=0112".into()),
    }
}

/// Why a command ended without doing what it was told.
#[derive(Debug)]
enum Failure {
    Refused(String),
    OutOfReach(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(faults) => {
                let lines = faults.iter().map(|fault| match &fault.source {
                    Some(Source::Pointer(place) | Source::Parameter(place)) => format!("{place}: {}", fault.detail),
                    None => fault.detail.clone(),
                });
                Self::Refused(lines.collect::<Vec<_>>().join("\n"))
            }
            Error::Unavailable(cause) => Self::OutOfReach(cause),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

type Outcome<T> = Result<T, Failure>;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match actix_web::rt::System::new().block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Refused(cause)) => {
            say_error(&cause);
            ExitCode::from(1)
        }
        Err(Failure::OutOfReach(cause)) => {
            say_error(&format!("the database cannot be reached: {cause}"));
            ExitCode::from(3)
        }
    }
}

fn say_error(cause: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "retwine: {cause}");
}

fn say(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // The reader of a pipe may have seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

async fn run(mut cli: Cli) -> Outcome<()> {
    match cli.command {
        Command::Serve { config, migrate } => serve(config, &cli.database, migrate).await,
        Command::Demo { config, print_env, reset } => {
            if cli.database.database_url == DatabaseConfig::DEFAULT_URL {
                cli.database.database_url = "sqlite:retwine-demo.sqlite".into();
            }
            run_demo(config, &cli.database, print_env, reset).await
        }
        Command::Migrate => {
            let pool = connect(&cli.database)?;
            let taken = run_migrations(&pool).await?;
            match taken.len() {
                0 => say("The database is up to date."),
                _ => say(&taken.iter().map(|step| format!("migrated {step}")).collect::<Vec<_>>().join("\n")),
            }
        }
        Command::Seed { files, reset } => seed_files(&open(&cli.database, false).await?, files, reset).await,
        Command::Organization(command) => organization(&open(&cli.database, false).await?, command).await,
        Command::Coach(command) => coach(&open(&cli.database, false).await?, command).await,
        Command::Group(GroupCommand::List { of }) => {
            let pool = open(&cli.database, false).await?;
            let organization = of.find(&pool).await?.id;
            let groups = read(&pool, move |db| admin::groups(db, organization)).await?;
            say_list(groups.iter().map(|group| format!("{}  {}", group.id, group.name)), "no groups")
        }
        Command::Client(command) => client(&open(&cli.database, false).await?, command).await,
    }
}

fn connect(config: &DatabaseConfig) -> Outcome<Pool> {
    let target = Target::parse(&config.database_url).map_err(Failure::Refused)?;
    Pool::open(&target, config.pool_options()).map_err(|error| {
        Failure::OutOfReach(format!(
            "{error} (the database URL is {}; see --database-url)",
            redact(&config.database_url)
        ))
    })
}

/// The database with its schema up to date. SQLite is brought there without
/// asking; several gateways may share a PostgreSQL, so that is asked for.
async fn open(config: &DatabaseConfig, may_migrate: bool) -> Outcome<Pool> {
    let pool = connect(config)?;
    if may_migrate || pool.is_sqlite() {
        run_migrations(&pool).await?;
        return Ok(pool);
    }
    let steps = read(&pool, |db| pending(db).map_err(|error| Error::Internal(error.to_string()))).await?;
    if steps.is_empty() {
        return Ok(pool);
    }
    Err(Failure::Refused(format!(
        "the database lacks {} migrations; run `retwine migrate` with the same --database-url first",
        steps.len()
    )))
}

async fn run_migrations(pool: &Pool) -> Outcome<Vec<String>> {
    read(pool, |db| migrate(db).map_err(|error| Error::Internal(format!("migrating: {error}")))).await
}

async fn read<T: Send + 'static>(
    pool: &Pool,
    work: impl FnOnce(&mut Conn) -> crate::error::Result<T> + Send + 'static,
) -> Outcome<T> {
    Ok(pool.read(Weight::Long, work).await?)
}

async fn serve(config: Config, database: &DatabaseConfig, may_migrate: bool) -> Outcome<()> {
    let pool = open(database, may_migrate).await?;
    if !config.bind.ip().is_loopback() {
        let open = read(&pool, demo::open_doors).await?;
        if !open.is_empty() {
            return Err(Failure::Refused(format!(
                "the database lets the demo's clients in, whose secrets everybody knows, so it is served on loopback only; \
                 not on {}. Revoke them first: {}",
                config.bind,
                open.iter().map(|id| format!("retwine client revoke {id}")).collect::<Vec<_>>().join("; ")
            )));
        }
    }
    let listener = listen(&config)?;
    let bound = listener.local_addr()?;
    log::info!("serving http://{bound}/pub from {}", redact(&database.database_url));
    Ok(server::serve(listener, app(config, pool)).await?)
}

fn listen(config: &Config) -> Outcome<TcpListener> {
    TcpListener::bind(config.bind).map_err(|error| {
        Failure::Refused(format!("cannot listen on {}: {error}; choose another with --bind", config.bind))
    })
}

fn app(config: Config, pool: Pool) -> App {
    App { config: Arc::new(config), pool, clock: Clock::System }
}

async fn run_demo(config: Config, database: &DatabaseConfig, print_env: bool, reset: bool) -> Outcome<()> {
    let credentials = demo::credentials()?;
    if print_env {
        return say(&demo::environment(config.bind, &credentials));
    }
    if !config.bind.ip().is_loopback() {
        return Err(Failure::Refused(format!(
            "the demo's secrets stand in its documentation, so it is served on loopback only; {} is not: leave --bind out, \
             or set up a service with `retwine serve`",
            config.bind
        )));
    }
    let listener = listen(&config)?;
    let pool = open(database, true).await?;
    let now = Clock::System.now();
    let reports = pool.write(move |db| demo::load(db, reset, now)).await?;
    log::info!("data in {}", redact(&database.database_url));
    say(&format!(
        "{}\n{}",
        reports.iter().map(describe).collect::<Vec<_>>().join("\n"),
        demo::welcome(listener.local_addr()?, &credentials)
    ))?;
    Ok(server::serve(listener, app(config, pool)).await?)
}

async fn seed_files(pool: &Pool, files: Vec<PathBuf>, reset: bool) -> Outcome<()> {
    let mut fixtures = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
        fixtures.push((file.display().to_string(), text));
    }
    let now = Clock::System.now();
    let load =
        move |db: &mut Conn| fixtures.iter().map(|(file, text)| seed::load(db, file, text, reset, now)).collect();
    let reports: Vec<Report> = pool.write(load).await.map_err(|error| match error.into() {
        Failure::Refused(cause) => Failure::Refused(format!("nothing was stored, because:\n{cause}")),
        failure @ Failure::OutOfReach(_) => failure,
    })?;
    say(&reports.iter().map(describe).collect::<Vec<_>>().join("\n"))
}

fn describe(report: &Report) -> String {
    let mut lines = vec![report.organization.clone()];
    for (kind, stored, there) in &report.counts {
        let already = if *there > 0 { format!(", {there} there already") } else { String::new() };
        lines.push(format!("  {kind:<22} {stored} stored{already}"));
    }
    lines.join("\n")
}

fn say_list(lines: impl Iterator<Item = String>, none: &str) -> Outcome<()> {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        // On a terminal only: a script reads an empty list.
        return if std::io::stdout().is_terminal() { say(none) } else { Ok(()) };
    }
    say(&lines.join("\n"))
}

async fn organization(pool: &Pool, command: OrganizationCommand) -> Outcome<()> {
    match command {
        OrganizationCommand::Add { name } => {
            if name.trim().is_empty() {
                return Err(Failure::Refused("an organization needs a name".into()));
            }
            let now = Clock::System.now();
            let row = Seeded { id: Id::new(now), created_at: now, updated_at: now };
            let organization = pool.write(move |db| admin::add_organization(db, row, name.clone())).await?;
            say(&organization.id.to_string())
        }
        OrganizationCommand::List => {
            let organizations = read(pool, admin::organizations).await?;
            say_list(organizations.iter().map(|row| format!("{}  {}", row.id, row.name)), "no organizations")
        }
    }
}

impl OfOrganization {
    /// The organization that is meant.
    async fn find(&self, pool: &Pool) -> Outcome<Organization> {
        let mut all = read(pool, admin::organizations).await?;
        let known: Vec<_> = all.iter().map(|row| format!("\n  {}  {}", row.id, row.name)).collect();
        let known = known.concat();
        match (self.organization, all.len()) {
            (_, 0) => {
                Err(Failure::Refused("there is no organization yet; make one: retwine organization add NAME".into()))
            }
            (None, 1) => all.pop().ok_or_else(|| Failure::Refused("there is no organization".into())),
            (None, _) => Err(Failure::Refused(format!("say which with --organization ID; there are{known}"))),
            (Some(id), _) => all
                .into_iter()
                .find(|row| row.id == id)
                .ok_or_else(|| Failure::Refused(format!("there is no organization {id}; there are{known}"))),
        }
    }
}

/// The scope of an operator: a whole organization.
fn operator(organization: Id) -> Scope {
    Scope { organization, groups: None, client: "operator".into(), now: Clock::System.now() }
}

/// Refuses groups that the organization does not have.
fn check_groups(db: &mut Conn, organization: Id, named: &[Id]) -> crate::error::Result<()> {
    let known: Vec<Id> = admin::groups(db, organization)?.iter().map(|group| group.id).collect();
    match named.iter().find(|id| !known.contains(id)) {
        Some(id) => {
            Err(Fault::body(format!("--group {id}"), "the organization has no such group; see `retwine group list`")
                .into())
        }
        None => Ok(()),
    }
}

async fn coach(pool: &Pool, command: CoachCommand) -> Outcome<()> {
    match command {
        CoachCommand::Add { of, first_name, last_name, groups, identifiers } => {
            let scope = operator(of.find(pool).await?.id);
            let coach = pool
                .write(move |db| {
                    check_groups(db, scope.organization, &groups)?;
                    let new = NewCoach {
                        first_name: first_name.clone(),
                        last_name: last_name.clone(),
                        groups: groups.clone(),
                        identifiers: identifiers.clone(),
                    };
                    db.serialize(scope.organization)?;
                    admin::add_coach(db, &scope, Seeded::now(&scope), &new, "--identifier", &Notes::default())
                })
                .await?;
            say(&coach.id.to_string())
        }
        CoachCommand::List { of } => {
            let organization = of.find(pool).await?.id;
            let coaches = read(pool, move |db| admin::coaches(db, organization)).await?;
            let name = |part: &Option<String>| part.clone().unwrap_or_default();
            let line = |coach: &crate::resources::coach::Coach| {
                format!("{}  {} {}", coach.id, name(&coach.first_name), name(&coach.last_name))
            };
            say_list(coaches.iter().map(line), "no coaches")
        }
    }
}

async fn client(pool: &Pool, command: ClientCommand) -> Outcome<()> {
    match command {
        ClientCommand::Add { of, name, groups, id, secret_stdin } => {
            let organization = of.find(pool).await?;
            let scope = operator(organization.id);
            let chosen = if secret_stdin { Some(secret_from_stdin()?) } else { None };
            let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
            let generated = Uuid::new_v4().to_string();
            let text = match &chosen {
                Some(_) => format!("client id      {id}"),
                None => format!(
                    "client id      {id}\nclient secret  {generated}\nThe secret is shown this once; it is stored as a hash only."
                ),
            };
            pool.write(move |db| {
                check_groups(db, scope.organization, &groups)?;
                if admin::client(db, &id)?.is_some() {
                    return Err(Fault::body(
                        "--id",
                        format!("there is a client {id} already; revoked ids are not used again"),
                    )
                    .into());
                }
                let secret = chosen.as_deref().map_or(Secret::Generated(&generated), Secret::of);
                let groups = (!groups.is_empty()).then_some(groups.as_slice());
                admin::add_client(db, &scope, &NewClient { id: &id, name: &name, secret, groups })
            })
            .await?;
            say(&text)
        }
        ClientCommand::List { of } => {
            let organization = of.find(pool).await?.id;
            let clients = read(pool, move |db| admin::clients(db, organization)).await?;
            let line = |client: &admin::Client| {
                let revoked = client.revoked_at.map(|at| format!("  revoked {at}")).unwrap_or_default();
                format!("{}  {:<12}  {}{revoked}", client.id, client.scope, client.name)
            };
            say_list(clients.iter().map(line), "no clients")
        }
        ClientCommand::Revoke { id } => {
            let (now, wanted) = (Clock::System.now(), id.clone());
            if pool.write(move |db| admin::revoke_client(db, &wanted, now)).await? {
                return say(&format!("revoked {id} and its tokens"));
            }
            match read(pool, move |db| admin::client(db, &id)).await? {
                Some(client) => say(&format!("{} was revoked already", client.id)),
                None => Err(Failure::Refused("there is no such client; see `retwine client list`".into())),
            }
        }
    }
}

/// The first line of standard input: not an argument, which every process on
/// the machine could read.
fn secret_from_stdin() -> Outcome<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let secret = line.trim_end_matches(['\r', '\n']).to_owned();
    if secret.is_empty() {
        return Err(Failure::Refused(
            "no secret came from standard input; pipe it in: printf %s SECRET | retwine client add --secret-stdin"
                .into(),
        ));
    }
    Ok(secret)
}
