//! The settings of a gateway. The command line fills them in; nothing here is
//! global.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::db::Target;
use crate::limits::LimitsConfig;

/// How the gateway serves. Every setting is a flag and an environment variable.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, env = "BIND", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub bind: SocketAddr,
    /// Certificate to serve HTTPS with, its issuers after it, as PEM; without one, plain HTTP is served
    #[arg(long, env = "TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, env = "TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Lifetime of access tokens, in seconds
    #[arg(long, env = "TOKEN_LIFETIME", default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    pub token_lifetime: u32,
    /// Lifetime of refresh tokens, in seconds
    #[arg(long, env = "REFRESH_TOKEN_LIFETIME", default_value_t = 2_592_000, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=315_360_000))]
    pub refresh_token_lifetime: u32,
    /// How long the answer to a write with an Idempotency-Key is kept, in seconds
    #[arg(long, env = "IDEMPOTENCY_LIFETIME", default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    pub idempotency_lifetime: u32,
    /// Largest request body, in bytes
    #[arg(long, env = "BODY_LIMIT", default_value_t = 16 * 1024 * 1024, value_name = "BYTES")]
    pub body_limit: usize,
    /// Seconds that a request's body is given to arrive
    #[arg(long, env = "BODY_TIMEOUT", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub body_timeout: u64,
    /// Threads that answer requests [default: one per processor, with PostgreSQL four]
    #[arg(long, env = "WORKERS", value_name = "COUNT", value_parser = positive)]
    pub workers: Option<usize>,
    /// Seconds that requests in flight are given to finish on shutdown
    #[arg(long, env = "SHUTDOWN_TIMEOUT", default_value_t = 30, value_name = "SECONDS")]
    pub shutdown_timeout: u64,
    /// Base of the links to the web application in `links.twine_web_app`
    #[arg(long, env = "TWINE_WEB_APP", default_value = "https://app.example.com", value_name = "URL")]
    pub twine_web_app: String,
    /// Whether the audit trail has reads, too [default: true; of the demo, false]
    #[arg(long, env = "AUDIT_READS", action = ArgAction::Set, value_name = "TRUE|FALSE")]
    pub audit_reads: Option<bool>,
    /// Whether the page at /docs is served
    #[arg(long, env = "DOCS", default_value_t = true, action = ArgAction::Set, value_name = "TRUE|FALSE")]
    pub docs: bool,
    /// What one request, client or address may take
    #[command(flatten)]
    pub limits: LimitsConfig,
}

impl Config {
    /// The URL of a gateway that listens there.
    pub fn url(&self, address: SocketAddr) -> String {
        format!("{}://{address}", if self.tls_cert.is_some() { "https" } else { "http" })
    }
}

/// Where the data is. Every command takes these.
#[derive(Args, Clone)]
pub struct DatabaseConfig {
    /// Database, as `sqlite:FILE` or `postgres://user:password@host/database`
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = DatabaseConfig::DEFAULT_URL,
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: String,
    /// Replica of a PostgreSQL database, where `serve` runs long reads; they are no older there
    #[arg(long, env = "DATABASE_REPLICA_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub database_replica_url: Option<String>,
    /// Connections to the database at the most, and as many to its replica
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 16, value_name = "COUNT", global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
    /// Seconds that a request waits for a connection before it is answered 503
    #[arg(long, env = "DATABASE_PATIENCE", default_value_t = 5, value_name = "SECONDS", global = true, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub database_patience: u64,
}

impl DatabaseConfig {
    /// Where the data is when nothing is said.
    pub const DEFAULT_URL: &'static str = "sqlite:retwine.sqlite";

    /// The replica.
    ///
    /// # Errors
    /// A sentence for the operator when there is one that cannot be.
    pub fn replica(&self) -> Result<Option<Target>, String> {
        let refused = |error| format!("--database-replica-url: {error}");
        let replica = self.database_replica_url.as_deref().map(Target::parse).transpose().map_err(refused)?;
        let database = Target::parse(&self.database_url)?;
        match [Some(&database), replica.as_ref()] {
            [_, None] | [Some(Target::Postgres(_)), Some(Target::Postgres(_))] => Ok(replica),
            _ => Err("--database-replica-url: only PostgreSQL has replicas, and only of PostgreSQL".into()),
        }
    }

    /// What the pool is made from.
    pub fn pool_options(&self) -> crate::db::PoolOptions {
        crate::db::PoolOptions {
            connections: self.database_connections,
            patience: Duration::from_secs(self.database_patience),
        }
    }
}

/// The password of a database URL is shown to nobody.
impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("database_url", &redact(&self.database_url))
            .field("database_replica_url", &self.database_replica_url.as_deref().map(redact))
            .field("database_connections", &self.database_connections)
            .field("database_patience", &self.database_patience)
            .finish()
    }
}

/// A database URL without its password.
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((credentials, place)) = rest.rsplit_once('@') else { return hide_parameter(url) };
    let user = credentials.split(':').next().unwrap_or_default();
    hide_parameter(&format!("{scheme}://{user}:***@{place}"))
}

/// What is said about a database URL, without its password: libpq quotes what it
/// cannot read, such as a password that is not percent-encoded.
pub fn redact_within(text: &str, url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let whole = rest.rsplit_once('@').and_then(|(credentials, _)| credentials.split_once(':'));
    let parameters = rest.split(['?', '&']).filter_map(|parameter| parameter.split_once("password="));
    let passwords = whole.into_iter().chain(parameters).map(|(_, password)| password);
    // Which `@` ends the password is not for sure in a URL that cannot be read.
    let pieces = passwords.clone().flat_map(|password| password.split('@')).filter(|piece| piece.len() > 2);
    let secrets = passwords.filter(|password| !password.is_empty()).chain(pieces);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// libpq also takes the password as a parameter of the URL.
fn hide_parameter(url: &str) -> String {
    match url.split_once("password=") {
        Some((before, after)) => {
            let rest = after.split_once('&').map(|(_, rest)| format!("&{rest}")).unwrap_or_default();
            format!("{before}password=***{rest}")
        }
        None => url.to_owned(),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "must be a whole number from 1".into())
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_within};

    #[test]
    fn nor_are_those_that_are_quoted() {
        for (url, said, expected) in [
            ("postgres://u:s%t@h/d", "invalid token: \"s%t\"", "invalid token: \"***\""),
            ("postgres://u:pass@[::1]x/d?y=a@b", "in postgres://u:pass@[::1]x/d?y=a@b", "in postgres://u:***@b"),
            ("postgres://u:pa@ss@h/d", "\"pa@ss\" of postgres://u:pa@ss@h/d", "\"***\" of postgres://u:***@h/d"),
            ("postgres://u:pa@word@h/d", "no host \"word@h\"", "no host \"***@h\""),
            ("postgres://h/d?x=y&password=pass", "\"pass\"", "\"***\""),
            ("postgres://u@h/d", "no password for u at h", "no password for u at h"),
        ] {
            assert_eq!(redact_within(said, url), expected);
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redact("postgres://u:p@ss@h/d"), "postgres://u:***@h/d");
        assert_eq!(redact("postgres://h/d?user=u&password=p&x=y"), "postgres://h/d?user=u&password=***&x=y");
        assert_eq!(redact("sqlite:a.sqlite"), "sqlite:a.sqlite");
    }
}
