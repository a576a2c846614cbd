//! Reads from a replica that is as fresh as its primary.
//!
//! A client may write through one gateway and read through the next, so no
//! gateway can tell whose reads tolerate that a replica lags behind. Instead the
//! primary is asked how far its log has come, which costs it next to nothing,
//! and the replica how far it has followed. When it has, it knows of every write
//! that was acknowledged before the read began. When it does not get there in
//! time, fails or cannot be reached, the primary answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::Conn;
use super::pool::{Connection, Connections, attempt};
use crate::error::{Error, Result};

/// The connections to a replica.
#[derive(Clone)]
pub struct Replica {
    connections: Connections,
    /// Until when, in milliseconds since `began`, it is left alone, because it
    /// could not be reached, lags too far behind or is none.
    shunned_until: Arc<AtomicU64>,
    began: Instant,
}

/// How long a read waits for the replica to catch up; it is a few milliseconds
/// behind as a rule.
const PATIENCE: Duration = Duration::from_millis(50);

/// For how long it is left alone then.
const SHUNNED: Duration = Duration::from_secs(5);

/// How far a primary's log has come. Positions compare within one timeline only:
/// a standby that is promoted begins another, and a replica of the old primary may
/// have followed that one farther than the new one has come.
#[derive(QueryableByName)]
struct Position {
    #[diesel(sql_type = Text)]
    lsn: String,
    /// As it is written in the names of files: eight hex digits.
    #[diesel(sql_type = Text)]
    timeline: String,
}

#[derive(QueryableByName)]
struct Follows {
    #[diesel(sql_type = Nullable<Bool>)]
    follows: Option<bool>,
}

impl Replica {
    /// A replica behind these connections.
    pub fn new(connections: Connections) -> Self {
        Self { connections, shunned_until: Arc::default(), began: Instant::now() }
    }

    /// Runs queries that change nothing; `None` when the primary has to.
    pub fn read<T>(&self, primary: &Connections, work: impl Fn(&mut Conn) -> Result<T>) -> Option<Result<T>> {
        if self.began.elapsed() < Duration::from_millis(self.shunned_until.load(Ordering::Relaxed)) {
            return None;
        }
        let outcome = self.read_fresh(primary, work).transpose()?;
        match outcome {
            Err(error) if error.is_ours() => {
                log::warn!("the primary answers for its replica: {error}");
                None
            }
            outcome => Some(outcome),
        }
    }

    /// A connection; `None` when all are busy.
    fn connect(&self) -> Result<Option<Connection>> {
        match self.connections.get_timeout(PATIENCE) {
            Ok(connection) => Ok(Some(connection)),
            Err(_) if self.connections.state().connections > 0 => Ok(None),
            Err(error) => {
                self.shun();
                Err(error.into())
            }
        }
    }

    fn shun(&self) {
        let until = (self.began.elapsed() + SHUNNED).as_millis();
        self.shunned_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read_fresh<T>(&self, primary: &Connections, work: impl Fn(&mut Conn) -> Result<T>) -> Result<Option<T>> {
        let position = {
            let mut primary = primary.get()?;
            attempt(&mut primary, |db| {
                let query = "SELECT lsn::text, left(pg_walfile_name(lsn), 8) AS timeline FROM pg_current_wal_flush_lsn() AS lsn";
                Ok(diesel::sql_query(query).get_result::<Position>(db)?)
            })?
        };
        let Some(mut connection) = self.connect()? else { return Ok(None) };
        let until = Instant::now() + PATIENCE;
        loop {
            match attempt(&mut connection, |db| follows(db, &position))? {
                Some(true) => break,
                Some(false) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
                Some(false) => {
                    self.shun();
                    return Ok(None);
                }
                None => {
                    self.shun();
                    return Err(Error::Unavailable("what --database-replica-url names is no replica".into()));
                }
            }
        }
        attempt(&mut connection, work).map(Some)
    }
}

/// Whether a replica has all that its primary had at this position; `None` when
/// it is no replica, or no longer. It is on a timeline from its first restartpoint
/// there, which may be minutes after it has switched; that is the safe side.
fn follows(db: &mut Conn, position: &Position) -> Result<Option<bool>> {
    let query = diesel::sql_query(
        "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AND upper(lpad(to_hex(timeline_id), 8, '0')) = $2 AS follows \
         FROM pg_control_checkpoint() WHERE pg_is_in_recovery()",
    );
    let query = query.bind::<Text, _>(&position.lsn).bind::<Text, _>(&position.timeline);
    let answer: Option<Follows> = query.get_result(db).optional()?;
    Ok(answer.map(|Follows { follows }| follows.unwrap_or(false)))
}
