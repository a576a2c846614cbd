//! A PostgreSQL server that speaks TLS, on a port of this machine.

use std::net::TcpListener;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use retwine::db::{Conn, connect};

use super::certificates::{Authority, Certificate};
use super::database::{Cluster, fill};

/// The server, and who says that it is the one.
pub struct SecureServer {
    cluster: Cluster,
    port: u16,
    pub authority: Authority,
}

/// Over the network only with TLS, and with a password or a certificate.
const ACCESS: &str = "local all all trust
    hostssl all certified 127.0.0.1/32 cert
    hostssl all all 127.0.0.1/32 scram-sha-256
";

impl SecureServer {
    /// With a certificate for `localhost` that has not expired; `None` where
    /// there is no PostgreSQL.
    pub fn start() -> Option<Self> {
        let authority = Authority::new("Authority of the database");
        let certificate = authority.issue("localhost");
        Self::start_with(authority, &certificate)
    }

    pub fn start_with(authority: Authority, certificate: &Certificate) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = format!("port={port}");
        let files = [
            ("server.crt", certificate.chain.as_str()),
            ("server.key", &certificate.key),
            ("root.crt", &authority.pem()),
            ("pg_hba.conf", ACCESS),
            // Where it can be changed while the server runs.
            ("postgresql.auto.conf", "ssl = 'on'\nssl_ca_file = 'root.crt'\n"),
        ];
        let cluster = Cluster::if_there(&["listen_addresses=127.0.0.1", &place, "fsync=off"], &files)?;
        let server = Self { cluster, port, authority };
        server.execute(&["ALTER ROLE retwine PASSWORD 'secret'", "CREATE ROLE certified SUPERUSER LOGIN"]);
        Some(server)
    }

    /// Does this on the server, by its socket, one statement after the other.
    pub fn execute(&self, statements: &[&str]) {
        let Conn::Postgres(mut db) = connect(&self.cluster.target("postgres")).unwrap() else { unreachable!() };
        for statement in statements {
            db.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// The answer to a question that has a number for it.
    pub fn count(&self, query: &str) -> i64 {
        let mut db = connect(&self.cluster.target("postgres")).unwrap();
        diesel::select(sql::<BigInt>(&format!("({query})"))).get_result(&mut db).unwrap()
    }

    /// Makes a database with the demo in it.
    pub fn create(&self, name: &str) {
        self.cluster.create(name, "template1");
        fill(&self.cluster.target(name));
    }

    /// The URL of a database by the network, with these parameters.
    pub fn url(&self, user: &str, host: &str, name: &str, parameters: &str) -> String {
        format!("postgres://{user}@{host}:{}/{name}?{parameters}", self.port)
    }
}
