//! The store: one set of tables and queries on SQLite and on PostgreSQL.
//!
//! [`Conn`] is a connection to either. Queries are written once against it;
//! the few places where the databases differ match on the variant and all of
//! them are in this folder. [`Pool`] decides where and in which transaction
//! queries run.

mod columns;
mod connection;
pub mod file;
mod insert;
mod json;
mod latest;
mod migrations;
mod one_of;
mod page;
mod pool;
mod range;
mod replica;
pub mod schema;
mod tunnel;
pub mod views;
mod writer;

use std::fmt;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

pub use columns::rows_of;
pub use connection::Conn;
pub use insert::{insert_all, insert_bulk};
pub use json::{Json, write_raw};
pub use latest::{Latest, Threads, latest};
pub use migrations::{Standing, migrate, pending, revert, standing};
pub use one_of::{OneOf, one_of};
pub use page::{KeyValue, Page, Paging, Sort, SortKey, SortValue, Window, approach, load_page, load_rows};
pub use pool::{Pool, PoolOptions, Weight};
pub use range::Within;
use tunnel::Tunnel;

use crate::config::{redact, redact_within};
use crate::id::Id;

/// The database behind every query of this crate.
pub type Backend = <Conn as diesel::Connection>::Backend;

/// Which database a URL names.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, made when it is not there.
    Sqlite(String),
    /// A libpq connection URI.
    Postgres(String),
}

/// The password of a URL is shown to nobody.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => f.debug_tuple("Sqlite").field(file).finish(),
            Self::Postgres(url) => f.debug_tuple("Postgres").field(&redact(url)).finish(),
        }
    }
}

impl Target {
    /// Reads a database URL: `sqlite:FILE` or `postgres://...`.
    ///
    /// # Errors
    /// A sentence for the operator when it is neither. An unknown scheme is
    /// refused rather than taken for a new file of that name.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(file) = url.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            if file.is_empty() || file.contains(":memory:") {
                return Err("a SQLite database needs a file: sqlite:retwine.sqlite. (Memory would be a \
                            database of its own for each connection.)"
                    .into());
            }
            return Ok(Self::Sqlite(file.into()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let url = with_timeouts(url);
            Tunnel::asked_for(&url)?;
            return Ok(Self::Postgres(url));
        }
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(format!(
            "the database URL's scheme {scheme:?} is not one of sqlite, postgres: write sqlite:FILE or \
             postgres://user:password@host/database"
        ))
    }

    /// What an operator should know of this target although it works.
    pub fn warning(&self) -> Option<String> {
        let Self::Postgres(url) = self else { return None };
        let host = tunnel::unencrypted(url)?;
        Some(format!(
            "the connections to PostgreSQL on {host} are not encrypted; say sslmode=verify-full and sslrootcert=FILE in \
             the database URL, or sslmode=disable if the network in between is your own"
        ))
    }
}

/// What libpq does about a network that is gone, where the URL says nothing else:
/// nobody waits for it longer than half a minute. `tcp_user_timeout` is in
/// milliseconds, the others in seconds.
const NETWORK: [(&str, u32); 5] = [
    ("connect_timeout", 5),
    ("keepalives_idle", 10),
    ("keepalives_interval", 5),
    ("keepalives_count", 3),
    ("tcp_user_timeout", 20_000),
];

fn with_timeouts(url: &str) -> String {
    let (place, said) = url.split_once('?').unwrap_or((url, ""));
    let stated = |name| said.split('&').any(|parameter| parameter.split('=').next() == Some(name));
    let ours = NETWORK.iter().filter(|(name, _)| !stated(name)).map(|(name, value)| format!("{name}={value}"));
    let theirs = said.split('&').filter(|parameter| !parameter.is_empty()).map(str::to_owned);
    format!("{place}?{}", theirs.chain(ours).collect::<Vec<_>>().join("&"))
}

/// Opens a connection, set up as every connection of this program is.
pub fn connect(target: &Target) -> ConnectionResult<Conn> {
    let settle = |connection: &mut dyn FnMut(&str) -> QueryResult<()>, settings: &str| {
        connection(settings).map_err(ConnectionError::CouldntSetupConfiguration)
    };
    match target {
        Target::Sqlite(file) => {
            let mut connection = SqliteConnection::establish(file)?;
            settle(&mut |sql| connection.batch_execute(sql), SQLITE_SETTINGS)?;
            Ok(Conn::Sqlite(connection))
        }
        Target::Postgres(url) => {
            let connection = match Tunnel::asked_for(url).map_err(ConnectionError::InvalidConnectionUrl)? {
                Some(tunnel) => tunnel.connect(),
                None => PgConnection::establish(url),
            };
            let mut connection = connection.map_err(|error| match error {
                ConnectionError::BadConnection(cause) => ConnectionError::BadConnection(redact_within(&cause, url)),
                other => other,
            })?;
            let settings = format!("{POSTGRES_SETTINGS} {POSTGRES_DEFAULTS}");
            settle(&mut |sql| connection.batch_execute(sql), &settings)?;
            Ok(Conn::Postgres(connection))
        }
    }
}

/// Opens a connection that cannot change anything, of a database that is there.
pub fn inspect(target: &Target) -> ConnectionResult<Conn> {
    let Target::Sqlite(file) = target else { return connect(target) };
    if !Path::new(file).is_file() {
        return Err(ConnectionError::BadConnection(format!("there is no file {file}")));
    }
    let mut connection = SqliteConnection::establish(file)?;
    connection.batch_execute(INSPECTION_SETTINGS).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(Conn::Sqlite(connection))
}

/// Without a word about the log: what is only looked at keeps the one it has.
const INSPECTION_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -16384;";

/// `FULL`: an acknowledged write survives a power cut. The cache is counted in
/// KiB per connection, the log in pages: when it has 40 MiB it is folded into
/// the file, and pages that a bulk import comes back to are written once, not
/// ten times. `busy_timeout` is for other processes on the same file; writers
/// of this one queue in [`writer`].
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                               PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384; \
                               PRAGMA wal_autocheckpoint = 10000;";

const POSTGRES_SETTINGS: &str = "SET client_min_messages TO warning; SET TIME ZONE 'UTC';";

/// Nothing holds a connection or a lock for ever; and pages of an index are not
/// dearer than those of a table, as they were on discs that turn. What the URL
/// (`options`), the role, the database or the server says of these goes before.
const POSTGRES_DEFAULTS: &str = "SELECT set_config(name, ours, false) FROM pg_settings JOIN (VALUES \
                               ('statement_timeout', '60s'), ('lock_timeout', '30s'), \
                               ('idle_in_transaction_session_timeout', '60s'), ('random_page_cost', '1.1')) \
                                 AS defaults (name, ours) USING (name) WHERE source = 'default'";

impl Conn {
    /// Holds other writers of this organization back until the transaction
    /// ends, so that what was looked up still holds when it is acted upon.
    ///
    /// SQLite has one writer at a time anyway.
    pub fn serialize(&mut self, organization: Id) -> QueryResult<()> {
        let fold = |number: i64, byte: u8| number.wrapping_mul(31).wrapping_add(i64::from(byte));
        self.lock(organization.as_str().bytes().fold(0, fold))
    }

    /// Holds other transactions back that lock the same number, until this one ends.
    pub fn lock(&mut self, number: i64) -> QueryResult<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                .bind::<BigInt, _>(number)
                .execute(connection)
                .map(drop),
        }
    }

    /// The end of a query for rows to be changed that passes over those which
    /// another transaction is changing.
    pub fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Keeps so many pages of a SQLite file in memory, in KiB. PostgreSQL sees to
    /// that itself.
    fn remember(&mut self, kibibytes: u32) -> QueryResult<()> {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(&format!("PRAGMA cache_size = -{kibibytes}")),
            Self::Postgres(_) => Ok(()),
        }
    }
}

/// Values in portions that one statement can take.
pub fn chunks<T>(values: impl IntoIterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    let mut values = values.into_iter();
    std::iter::from_fn(move || Some(values.by_ref().take(10_000).collect::<Vec<_>>()).filter(|chunk| !chunk.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_database_url_names_its_database() {
        assert_eq!(Target::parse("sqlite:a.sqlite"), Ok(Target::Sqlite("a.sqlite".into())));
        assert_eq!(Target::parse("sqlite:///var/a.sqlite"), Ok(Target::Sqlite("/var/a.sqlite".into())));
        for refused in ["", "retwine.sqlite", "mysql://h/d", "sqlite:", "sqlite::memory:"] {
            assert!(Target::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_url_of_postgresql_is_given_the_timeouts_that_it_does_not_state() {
        let parsed = |url| match Target::parse(url) {
            Ok(Target::Postgres(url)) => url,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            parsed("postgres://h/d"),
            "postgres://h/d?connect_timeout=5&keepalives_idle=10&keepalives_interval=5&keepalives_count=3\
             &tcp_user_timeout=20000"
        );
        assert_eq!(
            parsed("postgres://h/d?tcp_user_timeout=1&sslmode=disable&connect_timeout=60"),
            "postgres://h/d?tcp_user_timeout=1&sslmode=disable&connect_timeout=60&keepalives_idle=10\
             &keepalives_interval=5&keepalives_count=3"
        );
        // A primary and its standby.
        let both = "postgresql://u:p@a:5432,b:5433/d?host=a,b&target_session_attrs=read-write";
        assert!(parsed(both).starts_with(&format!("{both}&connect_timeout=5&")), "{}", parsed(both));
    }
}
