//! The schema's steps, embedded in the program, the same for both databases.

use std::collections::HashSet;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Backend, Conn, POSTGRES_DEFAULTS};
use crate::error::{self, Error};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Takes the steps that are still to be taken and returns their names.
///
/// # Errors
/// When a step fails; it is then undone whole and those before it stand.
pub fn migrate(db: &mut Conn) -> Result<Vec<String>, Failure> {
    one_at_a_time(db, |db| {
        provide_collation(db)?;
        let steps = pending(db)?;
        MigrationHarness::<Backend>::run_pending_migrations(db, MIGRATIONS)?;
        Ok(steps)
    })
}

/// Several gateways may start on one PostgreSQL at once; the first takes the
/// steps, the others wait for it. SQLite's own lock does the same.
fn one_at_a_time<T>(db: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, Failure>) -> Result<T, Failure> {
    let lock = |db: &mut Conn, sql: &str| match db {
        Conn::Postgres(connection) => connection.batch_execute(sql),
        Conn::Sqlite(_) => Ok(()),
    };
    // A step takes the time that it takes.
    lock(db, "RESET statement_timeout; RESET lock_timeout")?;
    lock(db, "SELECT pg_advisory_lock(7281945502)")?;
    let outcome = work(db);
    lock(db, "SELECT pg_advisory_unlock(7281945502)")?;
    lock(db, POSTGRES_DEFAULTS)?;
    outcome
}

/// The names of the steps that are still to be taken.
///
/// # Errors
/// When the database does not answer.
pub fn pending(db: &mut Conn) -> error::Result<Vec<String>> {
    let cause = |failure: Failure| match failure.downcast::<diesel::result::Error>() {
        Ok(error) => Error::Database(*error),
        Err(failure) => Error::Internal(failure.to_string()),
    };
    let steps = MigrationHarness::<Backend>::pending_migrations(db, MIGRATIONS).map_err(cause)?;
    Ok(steps.iter().map(|step| step.name().to_string()).collect())
}

/// How the schema of a database stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not of this program.
    Foreign,
    /// Steps are still to be taken.
    Behind,
    /// It is as this program wants it.
    Current,
    /// It has steps of a later version.
    Ahead,
}

/// How the schema stands, found out without touching it.
///
/// # Errors
/// When the database does not answer.
pub fn standing(db: &mut Conn) -> Result<Standing, Failure> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let taken: Vec<Step> = match diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(db) {
        Err(diesel::result::Error::DatabaseError(_, cause))
            if cause.message().contains("__diesel_schema_migrations") =>
        {
            return Ok(Standing::Foreign);
        }
        taken => taken?,
    };
    let steps = MigrationSource::<Backend>::migrations(&MIGRATIONS)?;
    let known: HashSet<_> = steps.iter().map(|step| step.name().version().to_string()).collect();
    Ok(match taken.iter().all(|step| known.contains(&step.version)) {
        false => Standing::Ahead,
        true if taken.len() < known.len() => Standing::Behind,
        true => Standing::Current,
    })
}

/// Takes back so many of the steps that were taken, the last one first.
///
/// # Errors
/// When a step cannot be taken back.
pub fn revert(db: &mut Conn, steps: usize) -> Result<(), Failure> {
    let taken = MigrationHarness::<Backend>::applied_migrations(db)?.len();
    (0..steps.min(taken)).try_for_each(|_| MigrationHarness::<Backend>::revert_last_migration(db, MIGRATIONS).map(drop))
}

/// SQLite sorts text by its bytes under the name `binary`. PostgreSQL is given
/// a collation of that name which does the same, so that both sort alike and
/// one set of migrations can ask for it.
fn provide_collation(db: &mut Conn) -> Result<(), Failure> {
    if let Conn::Postgres(connection) = db {
        connection.batch_execute(r#"CREATE COLLATION IF NOT EXISTS "binary" (PROVIDER = libc, LOCALE = 'C')"#)?;
    }
    Ok(())
}
