//! Where queries run: [`Pool::read`] and [`Pool::write`], and nowhere else.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actix_web::web;
use diesel::Connection as _;
use diesel::connection::TransactionManager as _;
use diesel::r2d2::R2D2Connection;

use super::replica::Replica;
use super::writer::{Writer, unless_panic};
use super::{Conn, Target, connect};
use crate::error::{Error, Result};

/// How long a read or a write may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A few look-ups by key.
    Short,
    /// Anything that can take milliseconds.
    Long,
}

/// How many connections there are and how long one is waited for.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Connections at the most.
    pub connections: u32,
    /// How long a request waits for one of them.
    pub patience: Duration,
}

impl PoolOptions {
    fn builder(&self) -> r2d2::Builder<Manager> {
        r2d2::Pool::builder()
            .max_size(self.connections)
            .min_idle(Some(1))
            .connection_timeout(self.patience)
            .test_on_check_out(false)
            .error_handler(Box::new(r2d2::LoggingErrorHandler))
    }
}

/// The connections of one gateway. A clone shares them, but for one that it
/// keeps to itself.
pub struct Pool {
    connections: Connections,
    /// Where long reads run, when there is one.
    replica: Option<Replica>,
    /// SQLite's only writer; on PostgreSQL every connection writes.
    writer: Option<Writer>,
    /// The connection of the thread that answers requests with this clone. Short
    /// reads need not ask for one, and none of its statements is prepared twice.
    own: RefCell<Option<Connection>>,
    /// How many clones may still take one for their own. Half of the connections
    /// are left to all.
    claims: Arc<AtomicU32>,
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        Self {
            connections: self.connections.clone(),
            replica: self.replica.clone(),
            writer: self.writer.clone(),
            own: RefCell::default(),
            claims: self.claims.clone(),
        }
    }
}

/// One of them.
pub type Connection = r2d2::PooledConnection<Manager>;

/// Connections to one database.
pub type Connections = r2d2::Pool<Manager>;

/// How often a transaction that loses a race on PostgreSQL is run again.
const ATTEMPTS: u32 = 8;

/// KiB of a SQLite file that a connection of many remembers, and one of a thread
/// alone: together they are the memory that a gateway grows into.
const SHARED: u32 = 4 * 1024;
const OWN: u32 = 16 * 1024;

/// How often what loses its connection is run again on another.
const RERUNS: u32 = 2;

impl Pool {
    /// Opens the database.
    ///
    /// # Errors
    /// When it cannot be reached or opened.
    pub fn open(target: &Target, options: PoolOptions) -> Result<Self> {
        let first = connect(target).map_err(|error| Error::Unavailable(error.to_string()))?;
        let connections = options.builder().build(Manager(target.clone()))?;
        let writer = match first {
            Conn::Sqlite(_) => Some(Writer::start(target.clone(), first)),
            Conn::Postgres(_) => None,
        };
        let claims = Arc::new(AtomicU32::new(options.connections / 2));
        Ok(Self { connections, replica: None, writer, own: RefCell::default(), claims })
    }

    /// The same, with a replica for long reads. It need not be there yet.
    #[must_use]
    pub fn reading_from(self, replica: &Target, options: PoolOptions) -> Self {
        let connections = options.builder().build_unchecked(Manager(replica.clone()));
        Self { replica: Some(Replica::new(connections)), ..self }
    }

    /// Whether it is SQLite.
    pub fn is_sqlite(&self) -> bool {
        self.writer.is_some()
    }

    /// Runs queries that change nothing; again, when the connection is lost.
    ///
    /// Short ones run on the spot: going to another thread and back costs more
    /// than they do. All others would hold up the requests that share this
    /// thread and go to the blocking pool.
    pub async fn read<T, F>(&self, weight: Weight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        if weight == Weight::Short
            && let Some(mut connection) = self.own.take().or_else(|| self.claim())
        {
            match attempt(&mut connection, &work) {
                Err(error) if error.is_ours() => {
                    self.claims.fetch_add(1, Ordering::Relaxed);
                    if !error.is_lost() {
                        return Err(error);
                    }
                }
                outcome => {
                    self.own.replace(Some(connection));
                    return outcome;
                }
            }
        }
        let connections = self.connections.clone();
        let replica = self.replica.clone().filter(|_| weight == Weight::Long);
        let work = move || match replica.and_then(|replica| replica.read(&connections, &work)) {
            Some(outcome) => outcome,
            None => run(&connections, work),
        };
        web::block(work).await.unwrap_or_else(|_| Err(Error::Internal("the blocking pool dropped a read".into())))
    }

    /// Takes an idle connection for its own.
    fn claim(&self) -> Option<Connection> {
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.claims.fetch_update(set, fetch, |left| left.checked_sub(1)).ok()?;
        let connection = self.connections.try_get();
        let settled = connection.and_then(|mut connection| connection.remember(OWN).ok().map(|()| connection));
        if settled.is_none() {
            self.claims.fetch_add(1, Ordering::Relaxed);
        }
        settled
    }

    /// Runs queries in one transaction and returns when it is durable.
    ///
    /// The work may be run again, when it loses a race against another
    /// transaction, shares the failure of one or loses its connection, so it must
    /// not change what it has captured. What may have been stored already is
    /// never run again. On SQLite, short writes that come at once share a
    /// transaction.
    pub async fn write<T, F>(&self, weight: Weight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        if let Some(writer) = &self.writer {
            return writer.run(weight, work).await;
        }
        let connections = self.connections.clone();
        web::block(move || run(&connections, |db| transact(db, &work)))
            .await
            .unwrap_or_else(|_| Err(Error::Internal("the blocking pool dropped a write".into())))
    }
}

/// Runs this on any connection. A server that restarts leaves a pool full of
/// dead ones behind, which only show when they are used.
fn run<T>(connections: &Connections, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut connection = connections.get()?;
    for _ in 0..RERUNS {
        match attempt(&mut connection, &work) {
            Err(error) if error.is_lost() => {
                log::warn!("a connection was lost, so its work is run again: {error}");
                drop(connection);
                connection = living(connections)?;
            }
            outcome => return outcome,
        }
    }
    attempt(&mut connection, &work)
}

/// Runs this once. A connection on which something failed that is not the
/// client's fault does not go back into the pool: Diesel sees only some of the
/// ways in which one dies.
pub fn attempt<T>(connection: &mut Conn, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let outcome = work(connection);
    if matches!(&outcome, Err(error) if error.is_ours()) {
        give_up(connection);
    }
    outcome
}

fn give_up(connection: &mut Conn) {
    <Conn as diesel::Connection>::TransactionManager::transaction_manager_status_mut(connection).set_in_error();
}

/// A connection that has just answered.
fn living(connections: &Connections) -> Result<Connection> {
    let until = Instant::now() + connections.connection_timeout();
    loop {
        let mut connection = connections.get_timeout(until.saturating_duration_since(Instant::now()))?;
        if connection.ping().is_ok() {
            return Ok(connection);
        }
        give_up(&mut connection);
    }
}

/// Runs this in a transaction; again, when it loses a race.
fn transact<T>(db: &mut Conn, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        let mut committing = false;
        let outcome = db.transaction(|db| unless_panic(|| work(db)).inspect(|_| committing = true));
        match outcome {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) if error.is_lost() && committing => return Err(Error::Doubtful(error.to_string())),
            outcome => return outcome,
        }
    }
}

/// Makes connections for the pool.
pub struct Manager(Target);

impl r2d2::ManageConnection for Manager {
    type Connection = Conn;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<Conn, Self::Error> {
        let mut connection = connect(&self.0).map_err(diesel::r2d2::Error::ConnectionError)?;
        connection.remember(SHARED).map_err(diesel::r2d2::Error::QueryError)?;
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Conn) -> std::result::Result<(), Self::Error> {
        connection.ping().map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, connection: &mut Conn) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}
