//! The one writer of a SQLite database.
//!
//! SQLite has one writer at a time. Writers that poll for their turn starve
//! each other, so here they queue, in order, for one thread that owns the
//! writing connection. It takes the short writes that have queued up
//! meanwhile into one transaction, a savepoint for each: at `synchronous = FULL`
//! the wait for the disk is by far the dearest part of a short write, and this
//! way many share one. Nobody is answered before that transaction is on disk.
//!
//! What is alone in its transaction needs no savepoint, and long writes always
//! are: for a savepoint SQLite keeps a copy of each page that is changed, in a
//! file of its own when there are many, and that takes as long as the change.
//!
//! SQLite answers some failures, such as a full disk, by undoing the whole
//! transaction. So when one of a group fails for a reason that is not the
//! client's, the group is undone on purpose and each write is run again alone,
//! unless a commit failed and not for want of space: then nobody knows what is
//! stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::{Conn, Target, Weight, connect};
use crate::error::{Error, Result};

/// Writes that wait for their turn before further ones are turned away.
const QUEUE: usize = 1024;

/// Writes that share one transaction.
const GROUP: usize = 64;

/// The way to the writing thread. Dropping the last of these waits until the
/// thread has closed its connection: SQLite then folds its log into the file.
#[derive(Clone)]
pub struct Writer(Arc<Way>);

struct Way {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the writing thread has panicked");
        }
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(target: Target, db: Conn) -> Self {
        let (sender, queue) = sync_channel(QUEUE);
        let thread = thread::spawn(move || WritingThread { target, db, next: None }.run(&queue));
        Self(Arc::new(Way { queue: Some(sender), thread: Some(thread) }))
    }

    /// Runs this in a transaction and returns when it is on disk. It may be run
    /// twice, of which only one counts.
    pub async fn run<T, F>(&self, weight: Weight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let ended = || Error::Unavailable("the writing thread has ended".into());
        let queue = self.0.queue.as_ref().ok_or_else(ended)?;
        queue.try_send(Box::new(Write { weight, work, outcome: None, reply })).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(format!("{QUEUE} writes wait for their turn")),
            TrySendError::Disconnected(_) => ended(),
        })?;
        outcome.await.map_err(|_| Error::Doubtful("the writing thread has ended".into()))?
    }
}

/// A write of whatever result.
trait Job: Send {
    /// Forgets what an attempt that was undone has come to.
    fn reset(&mut self);

    /// How long it takes.
    fn weight(&self) -> Weight;

    /// Runs it. What it wrote before it was refused or failed is there.
    fn run(&mut self, db: &mut Conn) -> Ran;

    /// Runs it in a savepoint. What it wrote before it was refused or failed is
    /// gone.
    fn run_beside_others(&mut self, db: &mut Conn) -> Ran;

    /// Answers whoever waits, when the transaction around it has ended.
    fn finish(self: Box<Self>, transaction: Result<()>);
}

/// How a write went.
#[derive(Clone, Copy, PartialEq)]
enum Ran {
    /// It is to be stored.
    Well,
    /// The client is told why it is not.
    Refused,
    /// It failed for a reason that is not the client's.
    Failed,
}

struct Write<F, T> {
    weight: Weight,
    work: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Write<F, T>
where
    T: Send + 'static,
    F: Fn(&mut Conn) -> Result<T> + Send + 'static,
{
    fn reset(&mut self) {
        self.outcome = None;
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn run(&mut self, db: &mut Conn) -> Ran {
        let outcome = unless_panic(|| (self.work)(db));
        self.keep(outcome)
    }

    fn run_beside_others(&mut self, db: &mut Conn) -> Ran {
        let outcome = db.transaction(|db| unless_panic(|| (self.work)(db)));
        self.keep(outcome)
    }

    fn finish(self: Box<Self>, transaction: Result<()>) {
        let outcome = match (self.outcome, transaction) {
            // A refusal stands, whether or not anything could be stored.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Internal("a write was not run".into())),
        };
        // Nobody listens any more when the client has gone.
        let _ = self.reply.send(outcome);
    }
}

impl<F, T> Write<F, T> {
    fn keep(&mut self, outcome: Result<T>) -> Ran {
        let ran = match &outcome {
            Ok(_) => Ran::Well,
            Err(error) if error.is_ours() => Ran::Failed,
            Err(_) => Ran::Refused,
        };
        self.outcome = Some(outcome);
        ran
    }
}

/// Turns a panic of one request into that request's failure.
pub fn unless_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Internal("a panic, logged above".into())))
}

struct WritingThread {
    target: Target,
    db: Conn,
    /// A long write that was found behind short ones.
    next: Option<Box<dyn Job>>,
}

impl WritingThread {
    fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Some(first) = self.next.take().or_else(|| queue.recv().ok()) {
            let group = self.gather(first, queue);
            self.settle(group, queue);
        }
    }

    /// A write with those behind it that may share its transaction.
    fn gather(&mut self, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if first.weight() == Weight::Long {
            return vec![first];
        }
        let mut group = vec![first];
        for job in queue.try_iter().take(GROUP - 1) {
            if job.weight() == Weight::Long {
                self.next = Some(job);
                break;
            }
            group.push(job);
        }
        group
    }

    /// Runs jobs together, or else each alone, and answers them.
    fn settle(&mut self, mut group: Vec<Box<dyn Job>>, queue: &Receiver<Box<dyn Job>>) {
        match self.write(&mut group) {
            Ok(()) => group.into_iter().for_each(|job| job.finish(Ok(()))),
            // Another process holds the lock. Nobody is to wait for it twice, so
            // whoever has queued up meanwhile is answered, too.
            Err(Error::Unavailable(cause)) => {
                for job in group.into_iter().chain(self.next.take()).chain(queue.try_iter()) {
                    job.finish(Err(Error::Unavailable(cause.clone())));
                }
            }
            // It may be stored, and run again it would be twice.
            Err(Error::Doubtful(cause)) => {
                for job in group {
                    job.finish(Err(Error::Doubtful(cause.clone())));
                }
            }
            Err(_) if group.len() > 1 => group.into_iter().for_each(|job| self.settle(vec![job], queue)),
            Err(error) => {
                if let Some(job) = group.pop() {
                    job.finish(Err(error));
                }
            }
        }
    }

    /// Runs jobs in one transaction; they all stay or none does.
    fn write(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        for job in jobs.iter_mut() {
            job.reset();
        }
        let outcome = self.attempt(jobs);
        if outcome.is_err()
            && let Ok(fresh) = connect(&self.target)
        {
            // In whatever state the old one is, dropping it undoes what it had begun.
            self.db = fresh;
        }
        outcome
    }

    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        // The write lock is taken at once: a transaction that reads first and
        // asks for it later is refused when another process has written.
        AnsiTransactionManager::begin_transaction_sql(sqlite(&mut self.db)?, "BEGIN IMMEDIATE")
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        if let [job] = jobs {
            match job.run(&mut self.db) {
                Ran::Well => {}
                Ran::Refused => return Ok(AnsiTransactionManager::rollback_transaction(sqlite(&mut self.db)?)?),
                Ran::Failed => return Err(diesel::result::Error::RollbackTransaction.into()),
            }
        } else if jobs.iter_mut().any(|job| job.run_beside_others(&mut self.db) == Ran::Failed) {
            return Err(diesel::result::Error::RollbackTransaction.into());
        }
        AnsiTransactionManager::commit_transaction(sqlite(&mut self.db)?).map_err(|error| {
            let error = Error::from(error);
            // A transaction that did not fit on the disk is none; of any other failure nobody knows.
            if error.is_full() { error } else { Error::Doubtful(error.to_string()) }
        })
    }
}

fn sqlite(db: &mut Conn) -> QueryResult<&mut SqliteConnection> {
    match db {
        Conn::Sqlite(connection) => Ok(connection),
        Conn::Postgres(_) => Err(diesel::result::Error::BrokenTransactionManager),
    }
}
