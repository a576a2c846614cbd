//! Reads, gathered and entered together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

use super::{Action, Entry, Records};
use crate::db::schema::audit_entries as entries;
use crate::db::{Json, Pool, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::time::Instant;

/// The reads that are not in the trail yet: those of the last second, unless
/// the database is out of reach. A process that is killed loses them.
#[derive(Clone, Default)]
pub struct Reads(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    /// Requests as JSON, with commas between.
    requests: HashMap<Batch, String>,
    bytes: usize,
    /// Requests that had no room.
    lost: usize,
}

/// What one client reads in one second.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Batch {
    organization: Id,
    client: String,
    second: i64,
}

#[derive(Serialize)]
struct Request<'r> {
    at: Instant,
    req_id: Uuid,
    records: &'r Records,
}

impl Reads {
    /// Bytes that wait for the database at the most.
    const MOST: usize = 64 * 1024 * 1024;

    /// Notes what a request has shown.
    pub fn note(&self, organization: Id, client: &str, at: Instant, req_id: Uuid, records: &Records) {
        if records.is_empty() {
            return;
        }
        let request = serde_json::to_string(&Request { at, req_id, records }).unwrap_or_default();
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.bytes + request.len() > Self::MOST {
            pending.lost += 1;
            return;
        }
        pending.bytes += request.len() + 1;
        let batch = Batch { organization, client: client.to_owned(), second: at.seconds() };
        join(pending.requests.entry(batch).or_default(), &request);
    }

    /// Enters all that was noted: one entry for each client. What cannot be
    /// entered stays noted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(&self, pool: &Pool) -> Result<()> {
        let Pending { requests, bytes, lost } =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if lost > 0 {
            log::error!("{lost} reads are missing from the audit trail: the database took no entries for too long");
        }
        if requests.is_empty() {
            return Ok(());
        }
        let entry = |(batch, json): (&Batch, &String)| {
            let at = Instant::from_milliseconds(batch.second * 1000).unwrap_or_default();
            Entry {
                id: Id::new(at),
                at,
                organization_id: batch.organization,
                client_id: batch.client.clone(),
                req_id: None,
                action: Action::Read.name().to_owned(),
                records: Json::raw(&format!("[{json}]")),
                old: None,
                new: None,
            }
        };
        let rows: Vec<Entry> = requests.iter().map(entry).collect();
        let outcome = pool.write(move |db| Ok(insert_all::<_, Entry>(db, entries::table, &rows)?)).await;
        if outcome.is_err() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).put_back(requests, bytes);
        }
        outcome
    }
}

impl Pending {
    fn put_back(&mut self, requests: HashMap<Batch, String>, bytes: usize) {
        for (batch, json) in requests {
            join(self.requests.entry(batch).or_default(), &json);
        }
        self.bytes += bytes;
    }
}

fn join(requests: &mut String, further: &str) {
    if !requests.is_empty() {
        requests.push(',');
    }
    requests.push_str(further);
}
