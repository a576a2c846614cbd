//! Finding entries of the trail.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Action, Entry};
use crate::db::schema::audit_entries as entries;
use crate::db::{Backend, Conn, Json};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::time::Instant;

/// Which requests are looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Of this organization.
    pub organization: Option<Id>,
    /// By this client.
    pub client: Option<String>,
    /// About this record.
    pub record: Option<Id>,
    /// This one.
    pub req_id: Option<Uuid>,
    /// That did one of these; none for all.
    pub actions: Vec<Action>,
    /// Not before this.
    pub since: Option<Instant>,
    /// Before this.
    pub until: Option<Instant>,
}

/// A request as it is told.
#[derive(Serialize)]
struct Told<'e> {
    at: Instant,
    organization: Id,
    client: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_id: Option<&'e str>,
    action: &'e str,
    records: &'e RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'e Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'e Json>,
}

/// A request in an entry of many.
#[derive(Deserialize)]
struct Read<'e> {
    at: &'e str,
    req_id: &'e str,
    #[serde(borrow)]
    records: &'e RawValue,
}

/// Entries that are looked at together: one of reads can be of some megabytes.
const PORTION: i64 = 20;

/// Tells of every request that matches, as a line of JSON, the oldest second first.
///
/// # Errors
/// When the database fails, or the telling.
pub fn search(db: &mut Conn, search: &Search, mut tell: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut last = None;
    loop {
        let portion: Vec<Entry> = search.query(last).limit(PORTION).load(db)?;
        let Some(entry) = portion.last() else { return Ok(()) };
        last = Some(entry.id);
        for entry in &portion {
            search.tell(entry, &mut tell).map_err(|error| match error {
                Error::Internal(cause) => Error::Internal(format!("entry {} of the trail: {cause}", entry.id)),
                error => error,
            })?;
        }
    }
}

impl Search {
    /// The entries that may hold what is looked for. Reads are entered together
    /// for a second, at its beginning.
    fn query<'q>(&self, last: Option<Id>) -> entries::BoxedQuery<'q, Backend> {
        let mut query = entries::table.order(entries::id).into_boxed();
        if let Some(last) = last {
            query = query.filter(entries::id.gt(last));
        }
        if let Some(since) = self.since {
            // Ids are never older than their entries, and are what there is an index of. None is of before 1970.
            query = query.filter(entries::id.ge(format!("{:08x}", since.seconds().max(0))));
        }
        if let Some(until) = self.until {
            query = query.filter(entries::at.lt(until));
        }
        if let Some(organization) = self.organization {
            query = query.filter(entries::organization_id.eq(organization));
        }
        if let Some(client) = &self.client {
            query = query.filter(entries::client_id.eq(client.clone()));
        }
        if let Some(record) = &self.record {
            query = query.filter(entries::records.like(format!("%\"{record}\"%")));
        }
        if let Some(req_id) = &self.req_id {
            let within = entries::records.like(format!("%\"{req_id}\"%"));
            query = query.filter(entries::req_id.eq(req_id.to_string()).or(within.nullable()));
        }
        if !self.actions.is_empty() {
            query = query.filter(entries::action.eq_any(self.actions.iter().map(|action| action.name())));
        }
        query
    }

    fn tell(&self, entry: &Entry, tell: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        let unreadable = |error: serde_json::Error| Error::Internal(error.to_string());
        let line = |at, req_id, records| Told {
            at,
            organization: entry.organization_id,
            client: &entry.client_id,
            req_id,
            action: &entry.action,
            records,
            old: entry.old.as_ref(),
            new: entry.new.as_ref(),
        };
        let mut say = |told: Told<'_>| {
            if !self.wants(&told) {
                return Ok(());
            }
            tell(&serde_json::to_string(&told).map_err(unreadable)?)
        };
        if entry.action != Action::Read.name() {
            return say(line(entry.at, entry.req_id.as_deref(), entry.records.borrowed().map_err(unreadable)?));
        }
        let reads: Vec<Read<'_>> = entry.records.borrowed().map_err(unreadable)?;
        reads.iter().try_for_each(|read| {
            say(line(Instant::parse(read.at).unwrap_or(entry.at), Some(read.req_id), read.records))
        })
    }

    fn wants(&self, told: &Told<'_>) -> bool {
        self.since.is_none_or(|since| told.at >= since)
            && self.until.is_none_or(|until| told.at < until)
            && self.req_id.is_none_or(|wanted| told.req_id == Some(&wanted.to_string()))
            && self.record.is_none_or(|record| told.records.get().contains(&format!("\"{record}\"")))
    }
}
