//! PostgreSQL over TLS.
//!
//! The libpq in this program knows no TLS: with it, building would need OpenSSL.
//! Where the URL asks for TLS, this program makes the TLS connection itself, and
//! libpq speaks through it by way of a socket that lets this process in and nobody
//! else, once. Each connection has a tunnel of its own, a thread that ends with
//! it: nothing is shared or left behind, and the files of certificates are read
//! anew for each.
//!
//! [`place`] reads what the URL says, [`trust`] decides whom to believe, [`relay`]
//! carries the bytes.

mod place;
mod relay;
mod trust;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use diesel::pg::PgConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult};
use rustls::ClientConfig;
use uuid::Uuid;

pub use place::unencrypted;
use place::{End, Network};
use relay::Relay;
use trust::Trust;

/// What a URL says about connections by TLS.
#[derive(Debug)]
pub struct Tunnel {
    /// Where a server may be, in the order in which they are tried.
    ends: Vec<End>,
    trust: Trust,
    /// The client's certificate and its key.
    client: Option<(PathBuf, PathBuf)>,
    network: Network,
    /// The URL without all this, up to where a parameter can follow.
    rest: String,
}

impl Tunnel {
    /// Connects to the first server that lets it.
    ///
    /// # Errors
    /// When none does; what each of them said.
    pub fn connect(&self) -> ConnectionResult<PgConnection> {
        let config = trust::config(&self.trust, self.client.as_ref()).map_err(ConnectionError::BadConnection)?;
        let mut causes = Vec::new();
        for end in &self.ends {
            match self.connect_to(end, &config) {
                Ok(connection) => return Ok(connection),
                Err(cause) => causes.push(format!("{end}: {cause}")),
            }
        }
        Err(ConnectionError::BadConnection(causes.join("; ")))
    }

    fn connect_to(&self, end: &End, config: &Arc<ClientConfig>) -> Result<PgConnection, String> {
        let (ready, outcome) = mpsc::channel();
        let host = format!("retwine-{}", Uuid::new_v4());
        // As libpq puts it together: `@` stands for a name without a file.
        let socket = format!("{host}/.s.PGSQL.{}", end.port);
        let prefix = format!("connection to server on socket \"@{socket}\" failed: ");
        let relay = Relay { end: end.clone(), config: config.clone(), network: self.network, socket, ready };
        let thread = thread::Builder::new().name("postgresql tls".into());
        thread.spawn(move || relay.run()).map_err(|error| format!("no thread can be started: {error}"))?;
        outcome.recv().map_err(|_| "the tunnel broke".to_owned())??;
        // Without an empty address, the one that the environment may name would be taken.
        let url = format!("{}host=%40{host}&port={}&hostaddr=&sslmode=disable", self.rest, end.port);
        PgConnection::establish(&url).map_err(|error| error.to_string().replace(&prefix, ""))
    }
}
