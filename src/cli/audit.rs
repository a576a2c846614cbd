//! `retwine audit`: tells who did what.

use clap::Args;
use uuid::Uuid;

use super::check::refuse_unless;
use super::{Outcome, id, inspect, say};
use crate::audit::{Action, Search, search};
use crate::config::DatabaseConfig;
use crate::db::Standing;
use crate::error::Error;
use crate::id::Id;
use crate::time::{Instant, parse_date};

/// What of the trail is told; all of it when nothing is said.
#[derive(Args, Debug)]
pub(super) struct Wanted {
    /// Of this organization
    #[arg(long, value_name = "ID", value_parser = id)]
    organization: Option<Id>,
    /// By this client; `operator` for this program's commands
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// About this record
    #[arg(long, value_name = "ID", value_parser = record)]
    record: Option<Id>,
    /// By this request, as `meta.req_id` and the log name it
    #[arg(long, value_name = "REQ_ID")]
    request: Option<Uuid>,
    /// Of this kind; may be given several times
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<Action>,
    /// Not before this: YYYY-MM-DD or an RFC 3339 instant
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    since: Option<Instant>,
    /// Before this
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    until: Option<Instant>,
}

fn record(text: &str) -> Result<Id, String> {
    Id::parse(text).ok_or_else(|| "an id is 24 lower-case hex digits, or a number".into())
}

fn instant(text: &str) -> Result<Instant, String> {
    let midnight = || parse_date(text).and_then(|_| Instant::parse(&format!("{text}T00:00:00Z")));
    Instant::parse(text)
        .or_else(midnight)
        .ok_or_else(|| "write YYYY-MM-DD (midnight in UTC) or an instant such as 2026-03-01T08:00:00Z".into())
}

/// Tells of every request that is wanted, the oldest first.
pub(super) fn run(config: &DatabaseConfig, wanted: Wanted) -> Outcome<()> {
    let Wanted { organization, client, record, request, actions, since, until } = wanted;
    let wanted = Search { organization, client, record, req_id: request, actions, since, until };
    let mut db = inspect(config)?;
    refuse_unless(&mut db, "the database", &[Standing::Current])?;
    let told = |line: &str| say(line).map_err(|_| Error::Internal("nobody reads what is told".into()));
    Ok(search(&mut db, &wanted, told)?)
}
