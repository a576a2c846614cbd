//! How far a request has come: who it is of, and whether it may be stored
//! already when nobody waits for it any longer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use actix_web::http::Method;
use uuid::Uuid;

use crate::error::{Error, Fault, Kind, Result};
use crate::id::Id;

/// Nothing has been done that stays.
const WAITING: u8 = 0;
/// A write has begun.
const WRITING: u8 = 1;
/// The client was told that nothing is stored, and nothing must be.
const GIVEN_UP: u8 = 2;

/// How far a request has come.
#[derive(Default)]
pub struct Progress {
    /// The id of the request.
    pub req_id: Uuid,
    /// The organization and the id of the client.
    caller: OnceLock<(Id, String)>,
    stage: AtomicU8,
}

impl Progress {
    /// The beginning of a request.
    pub fn of(req_id: Uuid) -> Self {
        Self { req_id, ..Self::default() }
    }

    /// The organization and the id of the client, once they are known.
    pub fn caller(&self) -> Option<&(Id, String)> {
        self.caller.get()
    }

    /// Notes whose request it is; true the first time.
    pub fn identify(&self, organization: Id, client: &str) -> bool {
        self.caller.get().is_none() && self.caller.set((organization, client.to_owned())).is_ok()
    }

    /// Where work for a request begins that may be run again.
    ///
    /// # Errors
    /// When the request was given up before.
    pub fn begin(&self, writes: bool) -> Result<()> {
        let stage = if writes {
            let begun = self.stage.compare_exchange(WAITING, WRITING, Ordering::Relaxed, Ordering::Relaxed);
            begun.unwrap_or_else(|stage| stage)
        } else {
            self.stage.load(Ordering::Relaxed)
        };
        if stage == GIVEN_UP {
            // Nobody reads it.
            return Err(Fault::new(Kind::Unavailable, "This request was given up.").into());
        }
        Ok(())
    }

    /// Gives the request up after so long; what the client is told of it. A write
    /// that has begun ends as it will.
    pub fn give_up(&self, method: &Method, patience: Duration) -> Error {
        let given_up = self.stage.compare_exchange(WAITING, GIVEN_UP, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let outcome = if given_up {
            "nothing was stored. Try again after the seconds that Retry-After names, or ask for less at a time."
        } else {
            "it may still be stored, or not. Wait the seconds that Retry-After names and look before you send it again."
        };
        let what = if method.is_safe() { "answer" } else { "write" };
        let detail = format!("This {what} took longer than the {} s that it is given: {outcome}", patience.as_secs());
        Fault::new(Kind::Unavailable, detail).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give_up(progress: &Progress) -> String {
        progress.give_up(&Method::POST, Duration::from_secs(1)).to_string()
    }

    #[test]
    fn what_was_given_up_does_not_begin_and_what_has_begun_is_not_given_up() {
        let waiting = Progress::default();
        waiting.begin(false).unwrap();
        assert!(give_up(&waiting).contains("nothing was stored"));
        assert!(waiting.begin(true).is_err() && waiting.begin(false).is_err());

        let begun = Progress::default();
        begun.begin(true).unwrap();
        assert!(give_up(&begun).contains("may still be stored"));
        // A transaction that loses a race is run again.
        begun.begin(true).unwrap();
    }
}
