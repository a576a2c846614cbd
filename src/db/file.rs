//! SQLite's database as a file: copied while it is written to, and taken out of
//! use to be replaced.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;

use crate::error::{Error, Result};

/// Copies a database into an empty file: all that was committed before, nothing
/// of what comes after. Others read and write it meanwhile.
///
/// # Errors
/// When it cannot be read, or the copy not be written.
pub fn copy(from: &str, to: &str) -> Result<()> {
    let mut db = open(from)?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to).execute(&mut db)?;
    Ok(())
}

/// What came of taking a database out of use.
pub enum Seizure {
    /// Nobody else can use it while this is held. Its log is folded in and gone.
    Held(SqliteConnection),
    /// Somebody uses it.
    InUse,
    /// It is no database, or too damaged to be used.
    Broken,
}

/// Takes a database out of use.
///
/// Whoever has opened a database with a log holds a lock on it, at work or not;
/// the log can only be given up when there is no such lock.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn seize(file: &str) -> Result<Seizure> {
    let mut db = open(file)?;
    let seized = db.batch_execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;");
    let Err(error) = seized else { return Ok(Seizure::Held(db)) };
    match error.to_string() {
        cause if cause.contains("locked") => Ok(Seizure::InUse),
        cause if cause.contains("malformed") || cause.contains("not a database") => Ok(Seizure::Broken),
        _ => Err(error.into()),
    }
}

/// The files that SQLite keeps beside a database, named after it. One that an
/// earlier database left behind would be taken for the log of the next.
pub fn beside(file: &Path) -> [PathBuf; 3] {
    ["-wal", "-journal", "-shm"].map(|end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

/// A connection that sets nothing that stays.
fn open(file: &str) -> Result<SqliteConnection> {
    let out_of_reach = |error: &dyn std::fmt::Display| Error::Unavailable(error.to_string());
    let mut db = SqliteConnection::establish(file).map_err(|error| out_of_reach(&error))?;
    db.batch_execute("PRAGMA busy_timeout = 1000").map_err(|error| out_of_reach(&error))?;
    Ok(db)
}
