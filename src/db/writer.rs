//! The one writer of a SQLite database.
//!
//! SQLite has one writer at a time. Writers that poll for their turn starve
//! each other, so here they queue, in order, for one thread that owns the
//! writing connection. It takes everything that has queued up meanwhile into
//! one transaction, a savepoint for each: at `synchronous = FULL` the wait for
//! the disk is by far the dearest part of a small write, and this way many
//! share one. Nobody is answered before that transaction is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use tokio::sync::oneshot;

use super::Conn;
use crate::error::{Error, Result};

/// Writes that wait for their turn before further ones are turned away.
const QUEUE: usize = 1024;

/// Writes that share one transaction.
const GROUP: usize = 64;

/// The way to the writing thread. It ends when the last of these is dropped.
#[derive(Clone)]
pub struct Writer(SyncSender<Box<dyn Job>>);

impl Writer {
    /// Starts the thread that owns this connection.
    pub fn start(connection: Conn) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        thread::spawn(move || write_in_groups(connection, &receiver));
        Self(sender)
    }

    /// Runs this in a transaction of its own and returns when it is on disk.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.0.try_send(Box::new(Task { work: Some(work), outcome: None, reply })).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(format!("{QUEUE} writes wait for their turn")),
            TrySendError::Disconnected(_) => Error::Unavailable("the writing thread has ended".into()),
        })?;
        outcome.await.map_err(|_| Error::Unavailable("the writing thread has ended".into()))?
    }
}

/// A write of whatever result.
trait Job: Send {
    fn run(&mut self, db: &mut Conn);
    fn finish(self: Box<Self>, transaction: std::result::Result<(), &str>);
}

struct Task<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Task<F, T>
where
    T: Send + 'static,
    F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
{
    fn run(&mut self, db: &mut Conn) {
        let Some(work) = self.work.take() else { return };
        // Within a transaction, this is a savepoint.
        self.outcome = Some(db.transaction(|db| unless_panic(|| work(db))));
    }

    fn finish(self: Box<Self>, transaction: std::result::Result<(), &str>) {
        let outcome = match (self.outcome, transaction) {
            (Some(outcome), Ok(())) => outcome,
            // A refusal stands, whether or not the others could be stored.
            (Some(Err(error)), Err(_)) => Err(error),
            (_, Err(cause)) => Err(Error::Unavailable(cause.into())),
            (None, Ok(())) => Err(Error::Internal("a write was not run".into())),
        };
        // Nobody listens any more when the client has gone.
        let _ = self.reply.send(outcome);
    }
}

/// Turns a panic of one request into that request's failure.
pub fn unless_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Internal("a panic, logged above".into())))
}

fn write_in_groups(mut db: Conn, queue: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        let transaction = begin(&mut db).and_then(|()| {
            let mut done = 0;
            while let Some(job) = group.get_mut(done) {
                job.run(&mut db);
                done += 1;
                if done < GROUP {
                    group.extend(queue.try_recv());
                }
            }
            commit(&mut db)
        });
        let transaction = transaction.map_err(|error| error.to_string());
        for job in group {
            job.finish(transaction.as_ref().copied().map_err(String::as_str));
        }
    }
}

/// Takes the write lock at once. A transaction that reads first and asks for
/// the lock later is refused when another has written in between.
fn begin(db: &mut Conn) -> diesel::QueryResult<()> {
    match db {
        Conn::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE"),
        Conn::Postgres(connection) => AnsiTransactionManager::begin_transaction(connection),
    }
}

fn commit(db: &mut Conn) -> diesel::QueryResult<()> {
    match db {
        Conn::Sqlite(connection) => AnsiTransactionManager::commit_transaction(connection),
        Conn::Postgres(connection) => AnsiTransactionManager::commit_transaction(connection),
    }
}
