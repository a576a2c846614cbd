//! What the commands do.

use std::io::{BufRead, IsTerminal};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::{
    ClientCommand, CoachCommand, Command, Failure, GroupCommand, OfOrganization, OrganizationCommand, Outcome, audit,
    backup, check, say,
};
use crate::admin::{self, Client, NewClient};
use crate::audit::{Action, Records, enter};
use crate::auth::Scope;
use crate::call::App;
use crate::config::{Config, DatabaseConfig, redact};
use crate::db::{Conn, Pool, Target, Weight, migrate, pending};
use crate::demo;
use crate::error::{Error, Fault, Source};
use crate::id::Id;
use crate::jsonapi::{Items, Notes, Reference};
use crate::resource::Resource as _;
use crate::resources::coach::{Coach, NewCoach};
use crate::resources::organization::Organization;
use crate::seed::{self, Loading, Report, Seed, Seeded};
use crate::server::{self, Stop};
use crate::time::{Clock, Instant};
use crate::tls::serve::Identity;

pub(super) async fn run(mut cli: super::Cli) -> Outcome<()> {
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
        Command::Seed { files, reset, as_of } => {
            let loading = Loading { reset, as_of, now: Clock::System.now() };
            seed_files(&open(&cli.database, false).await?, files, loading).await
        }
        Command::Check => check::run(&cli.database),
        Command::Audit(search) => audit::run(&cli.database, search),
        Command::Backup { file, force } => backup::backup(&cli.database, &file, force),
        Command::Restore { file, force } => backup::restore(&cli.database, &file, force),
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
    if let Some(warning) = target.warning() {
        log::warn!("{warning}");
    }
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
    let steps = read(&pool, pending).await?;
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
    work: impl Fn(&mut Conn) -> crate::error::Result<T> + Send + 'static,
) -> Outcome<T> {
    Ok(pool.read(Weight::Long, work).await?)
}

async fn serve(mut config: Config, database: &DatabaseConfig, may_migrate: bool) -> Outcome<()> {
    config.audit_reads.get_or_insert(true);
    let replica = database.replica().map_err(Failure::Refused)?;
    let mut pool = open(database, may_migrate).await?;
    if let Some(replica) = replica {
        pool = pool.reading_from(&replica, database.pool_options());
    }
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
    let (listener, identity) = listen(&config)?;
    let (gateway, stop) = (config.url(listener.local_addr()?), Stop::listen()?);
    log::info!("serving {gateway}/pub from {}", redact(&database.database_url));
    Ok(server::serve(listener, identity, App::new(config, pool, Clock::System), stop).await?)
}

fn listen(config: &Config) -> Outcome<(TcpListener, Option<Arc<Identity>>)> {
    let identity = Identity::of(config).map_err(Failure::Refused)?;
    let listener = TcpListener::bind(config.bind).map_err(|error| {
        Failure::Refused(format!("cannot listen on {}: {error}; choose another with --bind", config.bind))
    })?;
    Ok((listener, identity))
}

async fn run_demo(config: Config, database: &DatabaseConfig, print_env: bool, reset: bool) -> Outcome<()> {
    let credentials = demo::credentials()?;
    if print_env {
        return say(&demo::environment(&config.url(config.bind), &credentials));
    }
    if !config.bind.ip().is_loopback() {
        return Err(Failure::Refused(format!(
            "the demo's secrets stand in its documentation, so it is served on loopback only; {} is not: leave --bind out, \
             or set up a service with `retwine serve`",
            config.bind
        )));
    }
    let (listener, identity) = listen(&config)?;
    let pool = open(database, true).await?;
    let (now, stop) = (Clock::System.now(), Stop::listen()?);
    let reports = pool.write(Weight::Long, move |db| demo::load(db, reset, now)).await?;
    log::info!("data in {}", redact(&database.database_url));
    say(&format!(
        "{}\n{}",
        reports.iter().map(describe).collect::<Vec<_>>().join("\n"),
        demo::welcome(&config.url(listener.local_addr()?), config.docs, &credentials)
    ))?;
    Ok(server::serve(listener, identity, App::new(config, pool, Clock::System), stop).await?)
}

async fn seed_files(pool: &Pool, files: Vec<PathBuf>, loading: Loading) -> Outcome<()> {
    let mut fixtures = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
        fixtures.push((file.display().to_string(), text));
    }
    let load = move |db: &mut Conn| fixtures.iter().map(|(file, text)| seed::load(db, file, text, loading)).collect();
    let reports: Vec<Report> = pool.write(Weight::Long, load).await.map_err(|error| match error.into() {
        Failure::Refused(cause) => Failure::Refused(format!("nothing was stored, because:\n{cause}")),
        failure @ Failure::OutOfReach(_) => failure,
    })?;
    say(&reports.iter().map(describe).collect::<Vec<_>>().join("\n"))
}

fn describe(report: &Report) -> String {
    let mut lines = vec![report.organization.clone()];
    for (kind, stored, there) in &report.counts {
        let already = if *there > 0 { format!(", {there} there already") } else { String::new() };
        lines.push(format!("  {kind:<26} {stored} stored{already}"));
    }
    lines.extend(report.ignored.iter().map(|place| format!("  without effect: {place}")));
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
            let organization = Organization { id: Id::new(now), name, created_at: now, updated_at: now };
            let id = organization.id;
            let scope = operator(id);
            let new = Items { items: vec![(String::new(), organization)], many: false };
            let store = move |db: &mut Conn| {
                Organization::store(db, &scope, &new, &Notes::default())?;
                enter(db, &scope, Action::Create, &Records::of(Organization::TYPE, [id]))
            };
            pool.write(Weight::Long, store).await?;
            say(&id.to_string())
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
    Scope { organization, groups: None, client: "operator".into(), now: Clock::System.now(), req_id: None }
}

/// Says of a group that was named by a flag what to do about it.
fn about_flags(error: Error) -> Error {
    let advise = |fault: Fault| match &fault.source {
        Some(Source::Parameter(flag)) if flag.starts_with("--group") => {
            Fault { detail: "the organization has no such group; see `retwine group list`".into(), ..fault }
        }
        _ => fault,
    };
    match error {
        Error::Rejected(faults) => Error::Rejected(faults.into_iter().map(advise).collect()),
        error => error,
    }
}

/// The groups that a flag names.
fn named(groups: &[Id]) -> Vec<Reference> {
    let named = |id: &Id| Reference { id: Some(*id), source: Source::Parameter(format!("--group {id}")) };
    groups.iter().map(named).collect()
}

async fn coach(pool: &Pool, command: CoachCommand) -> Outcome<()> {
    match command {
        CoachCommand::Add { of, first_name, last_name, groups, identifiers } => {
            let scope = operator(of.find(pool).await?.id);
            let new = NewCoach { row: Seeded::now(&scope), first_name, last_name, groups: named(&groups), identifiers };
            let store = move |db: &mut Conn| {
                db.serialize(scope.organization)?;
                let coach = Coach::add(db, &scope, &new, "--identifier", &Notes::default())?;
                enter(db, &scope, Action::Create, &Records::of(Coach::TYPE, [coach.id]))?;
                Ok(coach)
            };
            let coach = pool.write(Weight::Long, store).await.map_err(about_flags)?;
            say(&coach.id.to_string())
        }
        CoachCommand::List { of } => {
            let organization = of.find(pool).await?.id;
            let coaches = read(pool, move |db| admin::coaches(db, organization)).await?;
            let name = |part: &Option<String>| part.clone().unwrap_or_default();
            let line = |coach: &Coach| format!("{}  {} {}", coach.id, name(&coach.first_name), name(&coach.last_name));
            say_list(coaches.iter().map(line), "no coaches")
        }
    }
}

async fn client(pool: &Pool, command: ClientCommand) -> Outcome<()> {
    match command {
        ClientCommand::Add { of, name, groups, id, secret_stdin } => {
            let organization = of.find(pool).await?;
            let scope = operator(organization.id);
            let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
            let (secret, text) = if secret_stdin {
                (secret_from_stdin()?, format!("client id      {id}"))
            } else {
                let secret = Uuid::new_v4().to_string();
                let note = "The secret is shown this once; it is stored as a hash only.";
                (secret.clone(), format!("client id      {id}\nclient secret  {secret}\n{note}"))
            };
            let groups = (!groups.is_empty()).then(|| named(&groups));
            let new = NewClient { id, name, secret, groups };
            let store = move |db: &mut Conn| {
                if admin::client(db, &new.id)?.is_some() {
                    let detail =
                        format!("there is a client {} already; the ids of revoked ones are not used again", new.id);
                    return Err(Fault::body("--id", detail).into());
                }
                Client::add(db, &scope, &new, &Notes::default())?;
                enter(db, &scope, Action::Create, &Records::of(Client::NAME, [new.id.as_str()]))
            };
            pool.write(Weight::Long, store).await.map_err(about_flags)?;
            say(&text)
        }
        ClientCommand::List { of } => {
            let organization = of.find(pool).await?.id;
            let clients = read(pool, move |db| admin::clients(db, organization)).await?;
            let line = |client: &Client| {
                let revoked = client.revoked_at.map(|at| format!("  revoked {at}")).unwrap_or_default();
                format!("{}  {:<12}  {}{revoked}", client.id, client.scope, client.name)
            };
            say_list(clients.iter().map(line), "no clients")
        }
        ClientCommand::Revoke { id } => {
            let (now, wanted) = (Clock::System.now(), id.clone());
            if pool.write(Weight::Long, move |db| revoke(db, &wanted, now)).await? {
                return say(&format!("revoked {id} and its tokens"));
            }
            match read(pool, move |db| admin::client(db, &id)).await? {
                Some(client) => say(&format!("{} was revoked already", client.id)),
                None => Err(Failure::Refused("there is no such client; see `retwine client list`".into())),
            }
        }
    }
}

fn revoke(db: &mut Conn, id: &str, now: Instant) -> crate::error::Result<bool> {
    let revoked = admin::revoke_client(db, id, now)?;
    if revoked && let Some(client) = admin::client(db, id)? {
        enter(db, &operator(client.organization_id), Action::Revoke, &Records::of(Client::NAME, [id]))?;
    }
    Ok(revoked)
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
