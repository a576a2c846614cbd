//! The command line.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 database out of
//! reach.

mod audit;
mod backup;
mod check;
mod commands;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DatabaseConfig, redact};
use crate::db::{self, Conn, Target};
use crate::error::Error;
use crate::id::Id;
use crate::resources::identifier::Identifier;
use crate::time::{Clock, parse_date};

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
To look after it:    retwine check
                     retwine backup FILE

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
        /// Put the demo organizations back to how they were, as of today
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
        /// Move what the files tell to this day, by whole weeks: YYYY-MM-DD, or `today` (in UTC)
        #[arg(long, value_name = "DAY", value_parser = day)]
        as_of: Option<NaiveDate>,
    },
    /// Check that the store holds together, without changing anything
    Check,
    /// Tell who did what to which records, as lines of JSON
    Audit(audit::Wanted),
    /// Copy a SQLite database into a file, while it is served or not
    Backup {
        /// The file that is made
        file: PathBuf,
        /// Replace it when it is there
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the place of a SQLite database that is not served
    Restore {
        /// The file that `backup` made
        file: PathBuf,
        /// Replace the database when it is there
        #[arg(long)]
        force: bool,
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
        #[arg(long, value_parser = client_id)]
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
    Id::parse_made(text).ok_or_else(|| "an id is 24 lower-case hex digits".into())
}

fn day(text: &str) -> Result<NaiveDate, String> {
    let day = if text == "today" { Some(Clock::System.now().date()) } else { parse_date(text) };
    day.ok_or_else(|| "write YYYY-MM-DD, or today".into())
}

fn client_id(text: &str) -> Result<String, String> {
    let fine = !text.trim().is_empty() && text.len() <= 250 && !text.contains(char::is_control);
    fine.then(|| text.to_owned())
        .ok_or_else(|| "a client id is a text in one line, of 250 characters at the most".into())
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
                Self::Refused(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            Error::Unavailable(cause) => Self::OutOfReach(cause),
            error if error.is_unavailable() => Self::OutOfReach(error.to_string()),
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
    match actix_web::rt::System::new().block_on(commands::run(cli)) {
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

/// A connection that only looks.
fn inspect(config: &DatabaseConfig) -> Outcome<Conn> {
    let target = Target::parse(&config.database_url).map_err(Failure::Refused)?;
    db::inspect(&target).map_err(|error| {
        Failure::OutOfReach(format!(
            "{error} (the database URL is {}; see --database-url)",
            redact(&config.database_url)
        ))
    })
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
