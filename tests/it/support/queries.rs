//! How many queries a database was sent.

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use retwine::db::Target;

/// Queries by the URL of the database. The tests of one program share it,
/// but no two tests share a database.
static COUNTS: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

/// Counts the queries of one connection.
#[derive(Default)]
struct Counter {
    url: String,
}

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => url.clone_into(&mut self.url),
            // The pool makes connections when it likes; their settings are not the answer's.
            InstrumentationEvent::StartQuery { query, .. } if query.to_string().starts_with("SELECT") => {
                let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
                *counts.get_or_insert_default().entry(self.url.clone()).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// Counts from now on, on every connection that is yet to be opened.
pub fn count() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_default_instrumentation(|| Some(Box::new(Counter::default()))).unwrap());
}

/// The queries that this database was sent so far.
pub fn counted(target: &Target) -> usize {
    let (Target::Sqlite(url) | Target::Postgres(url)) = target;
    COUNTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .and_then(|counts| counts.get(url))
        .copied()
        .unwrap_or(0)
}
