//! `retwine backup` and `retwine restore`, of SQLite.
//!
//! A backup and a restored database appear under their names when they are
//! whole and on disk: they are written beside, under a name of their own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use tempfile::NamedTempFile;

use super::check::refuse_unless;
use super::{Failure, Outcome, say};
use crate::check;
use crate::config::DatabaseConfig;
use crate::db::file::{self, Seizure};
use crate::db::schema::{organizations, patient_health_metrics, patients};
use crate::db::{Conn, Standing, Target, inspect};
use crate::error::Error;

/// Copies the database into a file, while it may be written to.
pub(super) fn backup(config: &DatabaseConfig, to: &Path, force: bool) -> Outcome<()> {
    let instead = "PostgreSQL makes its backups itself: pg_dump --format=custom --file=FILE DATABASE_URL";
    let database = sqlite(config, instead)?;
    if !database.is_file() {
        return Err(Failure::OutOfReach(format!("there is no file {}; see --database-url", database.display())));
    }
    refuse_same(&database, to)?;
    refuse_used(to)?;
    refuse_existing(to, force)?;
    let copy = temporary(to)?;
    file::copy(&text(&database)?, &text(copy.path())?)?;
    let said = {
        let mut db = inspect_copy(copy.path(), to)?;
        refuse_unless(&mut db, "the database", &[Standing::Current, Standing::Behind, Standing::Ahead])?;
        contents(&mut db, copy.path())?
    };
    put(copy, to, force)?;
    say(&format!("backed up {said}"))
}

/// Puts a backup in the place of the database.
pub(super) fn restore(config: &DatabaseConfig, from: &Path, force: bool) -> Outcome<()> {
    let instead = "PostgreSQL is restored by its own tools: pg_restore --clean --if-exists --dbname=DATABASE_URL FILE";
    let database = sqlite(config, instead)?;
    let backup = File::open(from).map_err(|error| about(from, &error))?;
    refuse_same(&database, from)?;
    refuse_used(from)?;
    refuse_existing(&database, force)?;
    // Held until the new one is in place, so that no gateway starts meanwhile.
    let held = if database.exists() { Some(file::seize(&text(&database)?)?) } else { None };
    if matches!(held, Some(Seizure::InUse)) {
        let place = database.display();
        return Err(Failure::Refused(format!("{place} is in use; stop every gateway that serves from it first")));
    }
    let mut copy = temporary(&database)?;
    io::copy(&mut &backup, copy.as_file_mut()).map_err(|error| about(copy.path(), &error))?;
    let said = verify(copy.path(), from)?;
    if let Ok(replaced) = fs::metadata(&database) {
        fs::set_permissions(copy.path(), replaced.permissions())?;
    }
    for stale in file::beside(&database) {
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(about(&stale, &error)),
            _ => {}
        }
    }
    put(copy, &database, force)?;
    drop(held);
    say(&format!("restored {said}"))
}

/// Refuses what is not whole or not this program's; what it holds.
fn verify(copy: &Path, from: &Path) -> Outcome<String> {
    let mut db = inspect_copy(copy, from)?;
    let name = from.display().to_string();
    refuse_unless(&mut db, &name, &[Standing::Current, Standing::Behind])?;
    let damage = check::damage(&mut db)?;
    if !damage.is_empty() {
        let listed: Vec<_> = damage.iter().take(10).map(|fault| format!("\n  {fault}")).collect();
        return Err(Failure::Refused(format!("{name} is damaged; nothing was restored:{}", listed.concat())));
    }
    contents(&mut db, copy)
}

/// How large a database is and what it holds.
fn contents(db: &mut Conn, file: &Path) -> Outcome<String> {
    let count = |query: QueryResult<i64>| query.map_err(|error| Failure::from(Error::from(error)));
    let organizations = count(organizations::table.count().get_result(db))?;
    let patients = count(patients::table.count().get_result(db))?;
    let metrics = count(patient_health_metrics::table.count().get_result(db))?;
    let size = fs::metadata(file)?.len();
    Ok(format!("{size} bytes; organizations: {organizations}, patients: {patients}, measurements: {metrics}"))
}

/// The file of a SQLite database; on PostgreSQL, what to do instead.
fn sqlite(config: &DatabaseConfig, instead: &str) -> Outcome<PathBuf> {
    match Target::parse(&config.database_url).map_err(Failure::Refused)? {
        // What SQLite keeps beside a database is beside the file that a link leads to.
        Target::Sqlite(file) => Ok(fs::canonicalize(&file).unwrap_or_else(|_| file.into())),
        Target::Postgres(_) => Err(Failure::Refused(format!("{instead} (the README says more, under Operating)"))),
    }
}

/// Opens a file that is to be, or was, the one of this name.
fn inspect_copy(copy: &Path, of: &Path) -> Outcome<Conn> {
    let unreadable = |error| Failure::Refused(format!("{} cannot be read: {error}", of.display()));
    inspect(&Target::Sqlite(text(copy)?)).map_err(unreadable)
}

fn refuse_same(database: &Path, file: &Path) -> Outcome<()> {
    match (database.canonicalize(), file.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => {
            Err(Failure::Refused(format!("{} is the database itself", file.display())))
        }
        _ => Ok(()),
    }
}

/// Refuses a file with a log beside it: that is a database at work, or was one
/// until it was cut off, and the file alone is not all of it.
fn refuse_used(file: &Path) -> Outcome<()> {
    let [log, journal, _] = file::beside(file);
    match [log, journal].iter().find(|beside| beside.exists()) {
        Some(beside) => Err(Failure::Refused(format!(
            "{} is a database in use, not a backup: there is {} beside it",
            file.display(),
            beside.display()
        ))),
        None => Ok(()),
    }
}

fn refuse_existing(place: &Path, force: bool) -> Outcome<()> {
    if place.exists() && !force {
        return Err(Failure::Refused(format!("{} is there already; --force replaces it", place.display())));
    }
    Ok(())
}

/// A file that only its owner reads, beside the one it is to become.
fn temporary(place: &Path) -> Outcome<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(place.file_name().unwrap_or_default());
    let folder = folder(place)?;
    let made = tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(&folder);
    made.map_err(|error| about(&folder, &error))
}

/// Gives a file its place once it is on disk.
fn put(file: NamedTempFile, place: &Path, force: bool) -> Outcome<()> {
    file.as_file().sync_all()?;
    let placed = if force { file.persist(place) } else { file.persist_noclobber(place) };
    placed.map_err(|error| about(place, &error.error))?;
    Ok(File::open(folder(place)?)?.sync_all()?)
}

fn folder(place: &Path) -> Outcome<PathBuf> {
    let absolute = std::path::absolute(place)?;
    Ok(absolute.parent().map_or_else(|| absolute.clone(), Path::to_path_buf))
}

fn text(path: &Path) -> Outcome<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::Refused(format!("{} is not a name in UTF-8", path.display())))
}

fn about(file: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{}: {error}", file.display()))
}
