//! Reads, gathered and entered together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::rt::time::sleep;
use serde::Serialize;
use uuid::Uuid;

use super::{Action, Entry, Records};
use crate::db::schema::audit_entries as entries;
use crate::db::{Json, Pool, Weight, insert_all};
use crate::id::Id;
use crate::time::Instant;

/// The reads that are not in the trail yet: those of the last second, unless
/// the database is out of reach. A process that is killed loses them.
#[derive(Clone, Default)]
pub struct Reads(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    /// Requests as JSON, with commas between; the oldest second first, as their ids
    /// are to ascend.
    requests: BTreeMap<Batch, String>,
    bytes: usize,
    /// Requests that had no room.
    lost: usize,
}

/// What one client reads in one second.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Batch {
    second: i64,
    organization: Id,
    client: String,
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
        let mut pending = self.pending();
        if pending.bytes + request.len() > Self::MOST {
            pending.lost += 1;
            return;
        }
        pending.bytes += request.len() + 1;
        let batch = Batch { organization, client: client.to_owned(), second: at.seconds() };
        join(pending.requests.entry(batch).or_default(), &request);
    }

    /// Enters what is noted, for as long as the program runs.
    pub async fn enter_every_second(self, pool: Pool) {
        loop {
            sleep(Duration::from_secs(1)).await;
            self.enter(&pool).await;
        }
    }

    /// Enters all that was noted, in one entry for each client and second. What
    /// cannot be entered stays noted.
    pub async fn enter(&self, pool: &Pool) {
        let Pending { requests, bytes, lost } = std::mem::take(&mut *self.pending());
        if lost > 0 {
            log::error!("{lost} reads are missing from the audit trail: the database took no entries for too long");
        }
        if requests.is_empty() {
            return;
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
        let outcome = pool.write(Weight::Long, move |db| Ok(insert_all::<_, Entry>(db, entries::table, &rows)?)).await;
        if let Err(error) = outcome {
            log::warn!("reads wait to be entered in the audit trail: {error}");
            // They may be there: twice is better than not at all.
            self.pending().put_back(requests, bytes);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn put_back(&mut self, requests: BTreeMap<Batch, String>, bytes: usize) {
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
