//! `retwine check`: tells what does not hold together.

use super::{Failure, Outcome, inspect, say};
use crate::check::{self, Finding};
use crate::config::DatabaseConfig;
use crate::db::{Conn, Standing, standing};
use crate::error::Error;

/// Looks the store over and tells what it found.
pub(super) fn run(config: &DatabaseConfig) -> Outcome<()> {
    let mut db = inspect(config)?;
    refuse_unless(&mut db, "the database", &[Standing::Current])?;
    let mut faults = 0;
    check::run(&mut db, |finding| {
        faults += finding.faults;
        say(&describe(finding)).map_err(|_| Error::Internal("nobody reads what is found".into()))
    })?;
    match faults {
        0 => Ok(()),
        _ => Err(Failure::Refused(format!("the database does not hold together; faults: {faults}"))),
    }
}

fn describe(Finding { name, rows, faults, listed }: &Finding) -> String {
    let outcome = if *faults == 0 { "sound".into() } else { format!("faults: {faults}") };
    let mut lines = vec![format!("{name:<14} {rows:>10} rows  {outcome}")];
    lines.extend(listed.iter().map(|fault| format!("  {fault}")));
    let unlisted = faults - i64::try_from(listed.len()).unwrap_or(i64::MAX);
    if unlisted > 0 {
        lines.push(format!("  and {unlisted} more"));
    }
    lines.join("\n")
}

/// Goes on only when the schema stands to this program in one of these ways.
pub(super) fn refuse_unless(db: &mut Conn, what: &str, accepted: &[Standing]) -> Outcome<()> {
    let found = standing(db).map_err(|error| Failure::Refused(format!("{what} cannot be read: {error}")))?;
    if accepted.contains(&found) {
        return Ok(());
    }
    Err(Failure::Refused(match found {
        Standing::Foreign => format!("{what} holds nothing of retwine's"),
        Standing::Behind => {
            format!("{what} lacks migrations; run `retwine migrate` with the same --database-url first")
        }
        Standing::Ahead => format!("{what} has been used by a later version of retwine; use that one"),
        Standing::Current => format!("{what} is of this version"),
    }))
}
